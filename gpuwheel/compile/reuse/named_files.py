"""What options say of files: each one that is named, what cannot be seen, and what asks for this machine."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["NATIVE", "folders_in", "machine_identity", "named_paths", "refusal", "with_response_files"]

# Options whose value is a folder that compilers and linkers search: what they found there, and what not, is noted.
# The others name folders for messages, for the result, or for programs that have a fingerprint.
# Sources: GCC manual, "Options for Directory Search"; Clang command line reference; nvcc manual, "Command Options".
_SEARCHED = (
    *("-I", "-isystem", "-iquote", "-idirafter", "-iprefix", "-iwithprefix", "-iwithprefixbefore", "-isysroot", "-L"),
    *("--include-path", "--system-include", "--library-path", "-isystem-after", "--include-directory", "--embed-dir"),
)
_HARMLESS = (
    *("-B", "--sysroot", "-rpath", "--rpath", "-rpath-link", "--rpath-link", "--gcc-toolchain", "--gcc-install-dir"),
    *("-ffile-prefix-map", "-fmacro-prefix-map", "-fdebug-prefix-map", "-fprofile-prefix-map", "-ccbin", "-soname"),
    *("--compiler-bindir", "-fdebug-compilation-dir", "-ffile-compilation-dir", "-dumpdir", "-o", "-MF", "-h", "-R"),
    *("-DCMAKE_", "--prefix", "--cuda-path", "--target-directory", "-resource-dir", "--dependency-file", "-D", "-U"),
)
NATIVE = re.compile(r"(?:^|[=,\s])-m(?:arch|tune|cpu)=native\b")
_NATIVE_GPU = re.compile(r"(?<![a-z])(?:arch|--gpu-architecture)[= ](?:native|all-native)\b")
_SPLIT = re.compile(r"[,;=:\s]+")
_JOINED = re.compile(r"^-(?:[ILBT]|isystem|iquote|idirafter|include|imacros)(?=.)")
_MODULES = re.compile(r"-f(?:modules|module-|prebuilt-module|implicit-module)")
# x86 ("vendor_id", "flags") and Arm ("Features", "CPU part"): proc_cpuinfo(5).
_CPU = re.compile(
    r"^(vendor_id|cpu family|model|model name|stepping|cache size|flags|Features|CPU \w+)\s*:\s*(.*)$", re.MULTILINE
)
_DEPTH = 8
_OPTIONS_FILES = ("--options-file", "-optf")
"""Of nvcc, with which a file of words is named ("File and Path Specifications")."""


def machine_identity(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What a compiler sees of this machine's CPU where `-march=native` asks."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return sorted({f"{match[1]}: {match[2]}" for match in _CPU.finditer(text)}) or [os.uname().machine]


def refusal(words: Iterable[str]) -> str | None:
    """Why nothing that is compiled with these options can be kept, if so."""
    for word in words:
        if _NATIVE_GPU.search(word):
            return f"{word} asks the GPU of this machine"
        if _MODULES.match(word):
            return f"{word} reads compiled modules, which say nothing of their sources"
    return None


def with_response_files(words: Sequence[str], folders: Sequence[str], depth: int = 0) -> Iterator[str]:
    """`words`, and after each `@file` (also behind a comma) or `--options-file=file` the words in it."""
    before = ""
    for word in words:
        yield word
        names = [part[1:] for part in (piece.rpartition("=")[2] for piece in word.split(",")) if part.startswith("@")]
        option, equals, value = word.partition("=")
        if before in _OPTIONS_FILES or (equals and option in _OPTIONS_FILES):
            names += (value if equals else word).split(",")
        for path in (Path(folder, name) for name in names if depth < _DEPTH for folder in folders):
            if path.is_file():
                yield from with_response_files(_words_of(path), folders, depth + 1)
        before = word


def _words_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return shlex.split(text)
    except ValueError:  # an open quote: the compiler will say so
        return text.split()


def named_paths(words: Sequence[str], folders: Sequence[str]) -> tuple[set[str], set[str], str | None]:
    """(files that are there, paths that are not, the first option with a folder that is read in no known way).

    Args:
        words: options, response files opened.
        folders: where a relative path may begin.
    """
    files: set[str] = set()
    absent: set[str] = set()
    unknown = None
    before = ""
    for word in words:
        for text in _candidates(word):
            paths = [os.path.join(folder, text) for folder in folders]  # noqa: PTH118 (a Path would drop `..`)
            there = [path for path in paths if os.path.lexists(path)]
            files.update(path for path in there if os.path.isfile(path))  # noqa: PTH113
            # A bare word is a file only if it is there: else every option would be a path that is not.
            if os.sep not in text:
                continue
            if any(map(os.path.isdir, there)) and unknown is None and not _is_known(word, before):
                unknown = f"{before} {word}" if before.startswith("-") else word
            if not there and not text.startswith(("//", "@")) and _SPLIT.search(text) is None:
                absent.update(paths)
        before = word
    return files, absent, unknown


def folders_in(words: Sequence[str], cwd: str) -> list[str]:
    """The folders that options have compilers and linkers search, whether they are there or not."""
    found: dict[str, None] = {}
    before = ""
    for word in words:
        for part in (
            word.split(",") if word.startswith(("-Wl,", "-Wa,", "-Wp,", "-Xcompiler=", "-Xlinker=")) else [word]
        ):
            text = part.removeprefix("-Xcompiler=").removeprefix("-Xlinker=")
            option = next((one for one in sorted(_SEARCHED, key=len, reverse=True) if text.startswith(one)), None)
            if before in _SEARCHED and not text.startswith("-"):
                found[os.path.join(cwd, text)] = None  # noqa: PTH118
            elif option is not None and len(text) > len(option):
                found[os.path.join(cwd, text[len(option) :].removeprefix("="))] = None  # noqa: PTH118
            before = text
    return list(found)


def _candidates(word: str) -> set[str]:
    """What in an option may be a path."""
    parts = {word, *_SPLIT.split(word)}
    parts |= {_JOINED.sub("", part, count=1) for part in parts}
    parts |= {part[1:] for part in parts if part.startswith("@")}
    return {part for part in parts if part and not part.startswith("-") and "\0" not in part}


def _is_known(word: str, before: str) -> bool:
    options = (*_SEARCHED, *_HARMLESS)
    parts = word.split(",")
    if any(part.startswith(options) for part in parts):
        return True
    bare = before.removeprefix("-Wl,").removeprefix("-Xlinker=")
    return (before.startswith(options) and before in options) or bare in options
