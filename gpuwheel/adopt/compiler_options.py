"""Compiler options, each to its key of `[tool.gpuwheel]`."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from gpuwheel._toml import own_table
from gpuwheel.model.archs import Arch, ArchTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Compiler", "SortedOptions", "same_libraries", "sort_options"]

Compiler = Literal["cxx", "nvcc", "link"]

_CODE = re.compile(r"\b(?P<kind>sm|compute|lto)_(?P<number>\d+[af]?)\b")
_DIALECTS = {"c++17": "c++17", "gnu++17": "c++17", "c++20": "c++20", "gnu++20": "c++20", "c++2a": "c++20"}
_OLDER = ("98", "03", "0x", "11", "1y", "14", "1z")


@functools.cache
def _document() -> Mapping[str, Any]:
    return own_table("setup_options.toml")


def same_libraries() -> frozenset[str]:
    """Names after `-l` that gpuwheel links by itself where they are needed."""
    return frozenset(_document()["libraries"]["same"])


@dataclass
class SortedOptions:
    """What one list of options comes to."""

    kept: list[str] = field(default_factory=list)
    """As `flags`, `nvcc-flags` or `link-flags`."""
    torchs: list[str] = field(default_factory=list)
    """Those that gpuwheel gives by itself where torch's C++ ABI is used."""
    defines: list[str] = field(default_factory=list)
    """Macros, `NAME` or `NAME=VALUE`."""
    include_dirs: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    cubins: set[Arch] = field(default_factory=set)
    ptx: set[Arch] = field(default_factory=set)
    std: str | None = None
    rdc: bool = False
    left: list[tuple[str, str]] = field(default_factory=list)
    """What is not carried over -> what to do."""

    @property
    def targets(self) -> tuple[ArchTarget, ...]:
        """Architectures, sorted."""
        return tuple(ArchTarget(arch, ptx=arch in self.ptx) for arch in sorted(self.cubins | self.ptx))


def sort_options(words: Sequence[str], compiler: Compiler) -> SortedOptions:
    """Each option of one compiler to where it belongs.

    Args:
        words: as setup.py lists them.
        compiler: whose they are.
    """
    result = SortedOptions()
    for word in _joined(words, _document()["takes-value"].get(compiler, ())):
        if word.startswith("-I"):
            result.include_dirs.append(word[2:])
            continue
        row = _row(word, compiler)
        match row.get("does"):
            case "left":
                result.left.append((word, row["advice"]))
            case "std":
                _dialect(word, result)
            case "arch":
                _architectures(word, result)
            case "torch":
                result.torchs.append(word)
            case "include":
                result.include_dirs.append(word.partition("=")[2])
            case "rdc":
                result.rdc = True
            case "apart" | None:
                _keep(word, compiler, result, apart=bool(row))
            case _:  # "same"
                pass
    return result


def _joined(words: Iterable[str], takes_value: Sequence[str]) -> Iterator[str]:
    """Options with the word that belongs to them: CMake drops a word that comes a second time."""
    rest = iter(words)
    for word in rest:
        if word in {"-D", "-U", "-I", "-L", "-l"}:
            yield word + next(rest, "")
        elif word in takes_value:
            value = next(rest, None)
            yield word if value is None else f"{word}={value}"
        elif word:
            yield word


def _row(word: str, compiler: Compiler) -> Mapping[str, Any]:
    """The first row that knows the option; empty if none does."""
    rows = (row for row in _document()["options"] if compiler in row["compilers"])
    return next((row for row in rows if any(fnmatchcase(word, pattern) for pattern in row["match"])), {})


def _keep(word: str, compiler: Compiler, result: SortedOptions, *, apart: bool) -> None:
    if compiler == "link" and word.startswith("-l"):
        result.libraries.append(word[2:])
    elif compiler != "link" and word.startswith("-D"):
        result.defines.append(word[2:])
    else:
        result.kept += word.split("=", 1) if apart else [word]


def _dialect(word: str, result: SortedOptions) -> None:
    asked = word.partition("=")[2]
    if asked in _DIALECTS:
        result.std = _DIALECTS[asked]
    elif not asked.endswith(_OLDER):
        result.left.append((word, 'gpuwheel compiles std = "c++17" or "c++20"'))


def _architectures(word: str, result: SortedOptions) -> None:
    option, _, value = word.partition("=")
    short = option in {"-arch", "--gpu-architecture"}
    virtual, _, codes = ("", "", value) if short or "code=" not in value else value.partition("code=")
    found = list(_CODE.finditer(codes))
    for match in found:
        # "arch=compute_100f,code=sm_100" is code for the family, whatever the second half is called
        family = next((own["number"] for own in _CODE.finditer(virtual) if own["number"][:-1] == match["number"]), None)
        arch = Arch.parse(family or match["number"])
        (result.ptx if match["kind"] == "compute" else result.cubins).add(arch)
        if short:  # `-arch=sm_80` is short for a cubin and PTX
            result.ptx.add(arch)
    if not found:
        result.left.append((word, 'name architectures: archs = ["8.0", "9.0+PTX"] in [tool.gpuwheel]'))
