"""Pieces of CMake code, for all that write a `CMakeLists.txt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["install_manifests", "keyword", "languages", "quoted"]

_LANGUAGES = {".c": "C", ".s": "ASM", ".asm": "ASM"}


def quoted(text: str) -> str:
    """A CMake bracket argument: taken literally, whatever is in it."""
    equals = "="
    # More equals signs than any bracket inside (cmake-language(7), "Bracket Argument"); a "]" at the end counts.
    while f"]{equals}]" in f"{text}]":
        equals += "="
    first = "\n" if text.startswith("\n") else ""  # the one after the bracket does not count
    return f"[{equals}[{first}{text}]{equals}]"


def keyword(name: str, values: Sequence[object]) -> str:
    """`  NAME value value` on a line, or nothing."""
    return f"  {name} {' '.join(quoted(str(value)) for value in values)}\n" if values else ""


def languages(sources: Iterable[Path]) -> str:
    """CMake code that enables the languages of `sources` which a project has not enabled already."""
    found = sorted({_LANGUAGES[source.suffix.lower()] for source in sources if source.suffix.lower() in _LANGUAGES})
    module = quoted(str(resource("cmake", "GpuWheelLanguages.cmake")))
    return f"include({module})\ngpuwheel_languages({' '.join(found)})\n" if found else ""


def install_manifests(manifests: Mapping[str, Path]) -> str:
    """CMake code that puts each `_kernels.json` beside its libraries.

    That of libraries in no package goes to `.dist-info`: all distributions share the folder of such libraries.
    """
    text = ""
    for package, manifest in manifests.items():
        folder = f"${{SKBUILD_PLATLIB_DIR}}/{package}" if package else "${SKBUILD_METADATA_DIR}"
        text += f'install(FILES {quoted(str(manifest))} DESTINATION "{folder}")\n'
    return text
