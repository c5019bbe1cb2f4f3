"""Where compilers and linkers look: the folders of a command, its driver and its toolkit, there or not."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.compile.reuse.named_files import folders_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["SearchFolders", "missing_part", "ordinary_words"]

_MISSING = re.compile(r'^ignoring nonexistent directory "(.+)"', re.MULTILINE)
_LISTED = re.compile(r"search starts here:\n((?: .*\n|#include.*\n)*)")
_PROFILE = re.compile(r'"?-(?:I|isystem"?\s+"?)(\$\(TOP\)[^"\s]*)')
_VALUED = {"-o", "-MF", "-MT", "-MQ", "-x"}
_LAUNCHERS = 3
"""Words among which the program is: launchers may stand before it."""
_ALONE = {"-c", "-MD", "-MMD", "-MP"}


def missing_part(folder: str, name: str, known: dict[str, bool]) -> str | None:
    """The topmost part of `folder/name` that is not there; `None` if all of it is. `known`: what was asked before."""
    path = folder
    for part in name.split("/"):
        path = f"{path}/{part}"
        if path not in known:
            known[path] = os.path.lexists(path)
        if not known[path]:
            return path
    return None


class SearchFolders:
    """The folders that the commands of one build search; a driver is asked once for each set of options."""

    def __init__(self, host: Sequence[str], toolkit: Path | None, environ: Mapping[str, str]) -> None:
        self._host = host
        self._toolkit = toolkit
        # "search starts here" is translated.
        self._environ = {**environ, "LC_ALL": "C"}
        self._driven: dict[tuple[str, ...], list[str]] = {}

    def of_headers(self, words: Sequence[str], cwd: str) -> dict[str, int]:
        """Folder -> its rank, for the words of a command that compiles.

        What is found in a folder of one rank is not looked for in those of a higher rank. Of one rank are all whose
        order is not known.
        """
        named = folders_in(words, cwd)
        if self._toolkit is not None and any(Path(word).name == "nvcc" for word in words[:_LAUNCHERS]):
            passed = [part for word in words if word.startswith("-Xcompiler=") for part in word[11:].split(",")]
            driven = self._ask([*self._host, *(part for part in passed if part.startswith(("-m", "-std", "--s")))], cwd)
            first = [*named, *self._of_toolkit(self._toolkit)]
        else:
            driven = self._ask(list(_without_files(words)), cwd)
            first = [folder for folder in named if folder not in driven]
        ranks: dict[str, int] = {}
        for rank, folder in [*((0, folder) for folder in first), *enumerate(driven, 1)]:
            ranks.setdefault(folder.rstrip("/") or "/", rank)
        return ranks

    def _ask(self, command: Sequence[str], cwd: str) -> list[str]:
        key = tuple(command)
        if key not in self._driven:
            said = run(
                # -v lists what is searched, and what would be if it were there: both decide which header is found.
                [*command, "-E", "-v", "-x", "c++", os.devnull],
                cwd=Path(cwd),
                env=self._environ,
                check=False,
            ).stderr
            listed = [line.strip() for part in _LISTED.findall(said) for line in part.splitlines()]
            folders = _MISSING.findall(said) + [line for line in listed if not line.startswith("#")]
            self._driven[key] = [os.path.join(cwd, folder) for folder in folders]  # noqa: PTH118
        return self._driven[key]

    @staticmethod
    def _of_toolkit(root: Path) -> list[str]:
        """What nvcc.profile adds to every command."""
        profile = root / "bin" / "nvcc.profile"
        text = profile.read_text(encoding="utf-8", errors="replace") if profile.is_file() else ""
        found = [match.replace("$(TOP)", str(root)) for match in _PROFILE.findall(text)]
        targets = ["", *(f"targets/{path.name}" for path in sorted((root / "targets").glob("*")))]
        spread = [
            os.path.normpath(one.replace("$(_TARGET_DIR_)", target).replace("$(_TARGET_SIZE_)", "64"))
            for one in found
            for target in targets
        ]
        return [*spread, str(root / "include"), str(root / "include" / "cccl")]


def _without_files(words: Iterable[str]) -> Iterator[str]:
    """A command that compiles, without what it compiles and where to."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _VALUED:
            skip = True
        elif word not in _ALONE and not re.fullmatch(r"[^-].*\.(?:cpp|cc|cxx|c|C|cu|S|s|hxx)", word):
            yield word


def ordinary_words(text: str) -> list[str]:
    """The words of a variable such as CXXFLAGS, as a shell has them."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
