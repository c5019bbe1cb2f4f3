"""What a command is: which source it compiles, with what, for what; and what it needs where nobody has seen it yet."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment import launchers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AskedCommand", "read_command"]

_MIB = 1 << 20
_UNSEEN: Mapping[tuple[str, bool], tuple[float, int]] = {
    ("cuda", False): (20.0, 1024 * _MIB),
    ("cuda", True): (60.0, 2048 * _MIB),
    ("c++", False): (10.0, 512 * _MIB),
    ("c++", True): (40.0, 1536 * _MIB),
    ("image", False): (5.0, 512 * _MIB),
    ("link", False): (1.0, 256 * _MIB),
    ("other", False): (1.0, 256 * _MIB),
}
"""Language, and whether torch's C++ headers are included -> seconds and bytes of a source that was never compiled.

Of torch, between what ATen/ATen.h takes (1.2 GB) and torch/extension.h (3.1 GB, nvcc 13.0.88): what turns out to be
more is seen as it runs.
"""
_COMPILES = ("-c", "-dc", "-dw")
_CLASSIC = "torch/csrc/api/include"
_ARCH = re.compile(r"(?:sm|compute)_\d+[af]?")
_LANGUAGES = {".cu": "cuda", **dict.fromkeys((".cpp", ".cc", ".cxx", ".c", ".C", ".hxx"), "c++")}


@dataclass(frozen=True)
class AskedCommand:
    """A command that asks to run."""

    source: str
    variant: str
    tool: str
    launcher: str
    family: tuple[str, bool]
    """What it is like in time and memory: language, and whether torch's C++ headers are included."""
    width: int = 1
    """Cores that it could use."""

    @property
    def unseen(self) -> tuple[float, int]:
        """Seconds and bytes, where nothing like it was ever seen."""
        return _UNSEEN.get(self.family, _UNSEEN["other", False])


def read_command(words: Sequence[str], cwd: str, root: Path | None) -> AskedCommand:
    """The words of a command, launchers ahead of it and all; `root`: the project, which paths are told from."""
    count = next((number for number, word in enumerate(words) if Path(word).name not in launchers()), len(words))
    ahead, rest = words[:count], words[count:]
    tool = Path(rest[0]).name if rest else ""
    compiling = [word for before, word in pairwise(rest) if before in _COMPILES]
    source = next((word for word in compiling if not word.startswith("-")), "")
    if not source and any(word in _COMPILES for word in rest):
        source = next((word for word in reversed(rest) if not word.startswith("-")), "")
    language = _LANGUAGES.get(Path(source).suffix, "other") if source else "link"
    if source and tool.startswith("nvcc"):
        language = "cuda"
    elif not source:
        source = next((word for before, word in pairwise(rest) if before == "-o"), tool)
    archs = sorted({arch for word in rest if "arch" in word or "code" in word for arch in _ARCH.findall(word)})
    # nvcc names the virtual architecture beside the real one, which says nothing more.
    real = [arch for arch in archs if arch.startswith("sm_")] or archs
    threads = next((word.partition("=")[2] for word in rest if word.startswith("--threads=")), "1")
    return AskedCommand(
        source=_below(source, cwd, root),
        variant=" ".join([language, *(real if language == "cuda" else ())]),
        tool=tool,
        launcher=Path(ahead[0]).name if ahead else "",
        family=(language, language in {"cuda", "c++"} and any(_CLASSIC in word for word in rest)),
        width=int(threads) if threads.isdigit() and len(threads) < 4 else 1,  # noqa: PLR2004
    )


def _below(source: str, cwd: str, root: Path | None) -> str:
    """A path from the project; one elsewhere without the folders that differ from machine to machine."""
    path = os.path.normpath(os.path.join(cwd, source))  # noqa: PTH118
    if root is not None and path.startswith(f"{root}{os.sep}"):
        return os.path.relpath(path, root)
    if path.startswith(f"{os.path.normpath(cwd)}{os.sep}"):  # made by the build
        return os.path.basename(path)  # noqa: PTH119
    return "/".join(Path(path).parts[-2:])
