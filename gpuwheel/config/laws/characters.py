"""Which characters of the user's words and file names reach compilers unharmed: the others are refused, by name.

Words of `flags`, `defines` and `link-flags` are given in files where CMake, Ninja or a shell would bend them
(`compile.cmake.user_words`), so little is refused there. Names of files are in commands, and in what compilers note of
the files they read, which Ninja takes apart. What is refused was measured by building with each character
(`tests/build/nvcc/test_words.py`).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.config.files.globs import resolve_folders, resolve_sources
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gpuwheel.config.model import Extension, Kernels, Settings

__all__ = ["check_words"]

_NOT_IN_PATHS = frozenset(";$'\"`\\<>|&*?^")
"""CMake splits at `;` and turns a backslash round; Ninja ends names at the others in the records of compilers."""
_NOT_FOR_NVCC = frozenset("$`")
"""nvcc hands its options to a shell in double quotes."""
_SPOKEN = {"\n": "a newline", "\r": "a carriage return", "\t": "a tab", "\0": "NUL", "\x7f": "DEL"}
_CUDA = ".cu"
_OPENMP = ("-fopenmp", "-lgomp")
# A macro's name, parameters if it has some, and its value: what -D takes (GCC manual, "Preprocessor Options").
_DEFINE = re.compile(r"(?P<name>[A-Za-z_$][\w$]*)(?:\([\w$ \t,.]*\))?(?:=.*)?", re.ASCII | re.DOTALL)
# Characters of symbols, and of globs in version scripts (ld manual, "VERSION Command").
_EXPORT = re.compile(r"[\w.$@?*\[\]^!-]+", re.ASCII)


def check_words(settings: Settings, root: Path, origins: Mapping[str, str]) -> None:
    """Every option, macro, and name of a file or folder that a build hands on.

    Raises:
        ConfigError: one that a tool on the way would change or not take: the key, the word and the character.
    """
    for name, group in settings.kernels.items():
        _check_group(dotted(("kernels", name)), group, root, origins)
    for name, extension in settings.extensions.items():
        key = dotted(("extensions", name))
        _check_extension(key, extension, root, origins)
        _check_paths(key, extension, root, origins, own=settings.cmake is not None)
    for pattern, source in settings.sources.items():
        _check_options(_where(dotted(("sources", pattern, "flags")), origins), source.flags, _NOT_FOR_NVCC)
    if any(extension.mode is not Mode.KERNELS for extension in settings.extensions.values()):
        cuda = any(extension.mode is Mode.NVCC for extension in settings.extensions.values())
        _check_path("the project's folder", str(root), _not_in_folder(nvcc=cuda))


def _check_group(key: str, group: Kernels, root: Path, origins: Mapping[str, str]) -> None:
    _check_options(_where(f"{key}.flags", origins), group.flags)
    _check_defines(_where(f"{key}.defines", origins), group.defines)
    for path in resolve_sources(root, group.sources, f"{key}.sources"):
        _check_path(_where(f"{key}.sources", origins), path.relative_to(root).as_posix())
    for folder in resolve_folders(root, group.include_dirs, f"{key}.include-dirs"):
        _check_path(_where(f"{key}.include-dirs", origins), str(folder))


def _check_extension(key: str, extension: Extension, root: Path, origins: Mapping[str, str]) -> None:
    _check_options(_where(f"{key}.flags", origins), extension.flags)
    _check_options(_where(f"{key}.nvcc-flags", origins), extension.nvcc_flags, _NOT_FOR_NVCC)
    _check_options(_where(f"{key}.link-flags", origins), extension.link_flags)
    # "-Wl,--whole-archive,lib.a": each part may be a file, whose name the linker and Ninja see.
    for part in (part for word in extension.link_flags for part in word.split(",")):
        if part and os.path.isfile(root / part):  # noqa: PTH113 (a word may be longer than any name)
            _check_path(_where(f"{key}.link-flags", origins), part, _NOT_IN_PATHS)
    _check_openmp(key, extension, origins)
    _check_defines(_where(f"{key}.defines", origins), extension.defines)
    _check_exports(_where(f"{key}.exports", origins), extension.exports)


def _check_openmp(key: str, extension: Extension, origins: Mapping[str, str]) -> None:
    """GCC's runtime comes with torch and with nothing else; its archive is no code for a shared library."""
    words = {"flags": extension.flags, "nvcc-flags": extension.nvcc_flags, "link-flags": extension.link_flags}
    for name, listed in words.items():
        where = _where(f"{key}.{name}", origins)
        archive = next((word for word in listed if word.endswith("libgomp.a")), None)
        if archive is not None:
            msg = f"{where} links an OpenMP runtime that no shared library can hold (found {cut(repr(archive))})"
            raise ConfigError(msg, hint='flags = ["-fopenmp"] alone: torch brings the runtime that the library finds')
        parts = (part for word in listed for part in re.split(r"[,=]", word))
        found = next((part for part in parts if part in _OPENMP), None)
        if found is not None and extension.abi is TorchAbi.NONE:
            msg = f'{where} asks for OpenMP, whose runtime torch brings (found {found!r} with abi = "none")'
            raise ConfigError(msg, hint=f'set abi = "stable" for {key}, or use threads of the C++ library')


def _check_paths(key: str, extension: Extension, root: Path, origins: Mapping[str, str], *, own: bool) -> None:
    """Names of sources and folders; `own`: sources are named by the user's own CMake project."""
    nvcc = extension.mode is Mode.NVCC
    paths = resolve_sources(root, extension.sources, f"{key}.sources")
    for path in paths:
        where, shown = _where(f"{key}.sources", origins), path.relative_to(root).as_posix()
        cuda = nvcc and path.suffix == _CUDA
        _check_path(where, shown, _not_in_folder(nvcc=cuda))
        if cuda and "," in path.name:
            raise _refusal(where, shown, ",", "nvcc cannot take it")
    _check_objects(_where(f"{key}.sources", origins), [path.relative_to(root).as_posix() for path in paths])
    device = nvcc and (own or any(path.suffix == _CUDA for path in paths))
    for folder in resolve_folders(root, extension.include_dirs, f"{key}.include-dirs"):
        _check_path(_where(f"{key}.include-dirs", origins), str(folder), _not_in_folder(nvcc=device))


def _check_objects(where: str, names: Iterable[str]) -> None:
    """CMake writes `_` for a blank or a colon when it names objects (cmLocalGenerator.cxx)."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.replace(" ", "_").replace(":", "_"), name)
        if other != name:
            msg = f"{where} has two files whose objects CMake would call the same (found {other!r} and {name!r})"
            raise ConfigError(msg, hint="rename one of them: a blank, ':' and '_' are one character there")


def _not_in_folder(*, nvcc: bool) -> frozenset[str]:
    """Characters; nvcc writes its records without the escapes that `#` needs."""
    return _NOT_IN_PATHS | {"#"} if nvcc else _NOT_IN_PATHS


def _check_path(where: str, shown: str, refused: frozenset[str] = frozenset()) -> None:
    found = next((char for char in shown if char in refused or _unprintable(char)), None)
    if found is not None:
        raise _refusal(where, shown, found, "a compiler, CMake or Ninja cannot take it in the name of a file")
    if refused and not _balanced(shown):
        raise _refusal(where, shown, "[" if "[" in shown else "]", "CMake takes one without its partner for a list")


def _check_options(where: str, words: Iterable[str], refused: frozenset[str] = frozenset()) -> None:
    for word in words:
        if not word.strip():
            msg = f"{where} has an empty word (found {cut(repr(word))}, expected an option)"
            raise ConfigError(msg, hint="remove it")
        found = next((char for char in word if char in refused or (_unprintable(char) and char != "\t")), None)
        if found is not None and found in refused:
            shown = f"found {_spoken(found)} in {cut(repr(word))}"
            msg = f"{where} has a word with a character that nvcc gives to a shell ({shown})"
            raise ConfigError(msg, hint="give a macro by defines, and an option of the host compiler by flags")
        if found is not None:
            shown = f"found {_spoken(found)} in {cut(repr(word))}"
            msg = f"{where} has a word with a character that no option holds ({shown})"
            raise ConfigError(msg, hint="one word is one option: make two of it, or remove the character")


def _check_defines(where: str, words: Iterable[str]) -> None:
    _check_options(where, words)
    for word in words:
        if _DEFINE.fullmatch(word) is None:
            shown = f"found {cut(repr(word))}, expected NAME, NAME=VALUE or NAME(x)=VALUE"
            msg = f"{where} has a word that defines no macro ({shown})"
            raise ConfigError(msg, hint=_meant(word))


def _meant(word: str) -> str:
    plain = word.removeprefix("-D").strip()
    if word.startswith("-D") and _DEFINE.fullmatch(plain):
        return f"write it without -D: {plain!r}"
    return "a name has letters, digits and _ alone, as in C; options go to flags"


def _check_exports(where: str, names: Iterable[str]) -> None:
    for name in names:
        if _EXPORT.fullmatch(name) is None:
            found = next((char for char in name if _EXPORT.fullmatch(char) is None), "")
            shown = f"found {_spoken(found)} in {cut(repr(name))}" if found else "found an empty word"
            msg = f"{where} has a name that no symbol has ({shown}, expected a symbol or a glob)"
            raise ConfigError(msg, hint="C++ functions are named as the linker sees them: nm -D library.so")


def _refusal(where: str, shown: str, char: str, why: str) -> ConfigError:
    msg = f"{where} has a character that cannot be passed on (found {_spoken(char)} in {cut(repr(shown))}: {why})"
    return ConfigError(msg, hint="rename the file or folder")


def _spoken(char: str) -> str:
    if char in _SPOKEN:
        return _SPOKEN[char]
    return f"the byte {ord(char) - 0xDC00:#04x}, which is not UTF-8" if _is_byte(char) else repr(char)


def _is_byte(char: str) -> bool:
    """Whether it stands for a byte of a name that is not UTF-8 (PEP 383)."""
    return "\udc80" <= char <= "\udcff"


def _unprintable(char: str) -> bool:
    return char < " " or char == "\x7f" or _is_byte(char)


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += {"[": 1, "]": -1}.get(char, 0)
        if depth < 0:
            return False
    return depth == 0


def _where(key: str, origins: Mapping[str, str]) -> str:
    return f"{key} in {origins.get(key, 'defaults')}"
