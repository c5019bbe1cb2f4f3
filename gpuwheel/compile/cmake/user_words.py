"""The user's words on their way to compilers and the linker.

CMake drops an option that comes a second time, splits at `;`, evaluates `$<...>`, and leaves out macros with `#` or
parameters. So words go through it only where all of them are plain and each comes once. Otherwise they stand in a file
that the tool itself reads: `@FILE` of gcc, clang and ld (libiberty, `expandargv`), `--options-file` of nvcc. Such a
file is called by its content, so that a change of it is one of the command.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._files import write_if_changed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "OPENMP_OPTIONS",
    "HostWords",
    "LinkWords",
    "Words",
    "host_words",
    "link_words",
    "nvcc_words",
    "source_words",
    "write_link_words",
    "write_words",
]

OPENMP_OPTIONS = ("-fopenmp", "-lgomp")
_OPENMP_LIBRARY, _NO_LIBRARY = "libgomp.so", "/* GNU ld script: torch's own libraries have the OpenMP runtime. */\n"
"""Found by `-lgomp` in place of the machine's: the library then asks for nothing, and torch's runtime serves it."""

_PLAIN = re.compile(r"[A-Za-z0-9_./=+:,@-]+")
_PLAIN_MACRO = re.compile(r"[A-Za-z_]\w*(=[A-Za-z0-9_./+:-]*)?", re.ASCII)
_COMMA = re.compile(r"(?<!\\),")
"""Where nvcc splits macros and what it hands on."""
_BACKSLASHED = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = re.compile(r"(?![A-Za-z0-9_./=+:,@-])[\x00-\x7f]")
_KEYWORDS = frozenset(
    "FILE DESTINATION STD RUNTIME VERSION_SCRIPT RDC SEPARATE SOURCES OBJECTS IMAGES IMAGE_FILES CUDA_SOURCES "  # noqa: SIM905
    "CXX_SOURCES INCLUDES SYSTEM_INCLUDES DEFINITIONS FLAGS NVCC_FLAGS NVCC_HOST LINK_FLAGS LINK_WORDS LINK_INPUTS "
    "FURTHER WRAPPED LINK_ARCHS NEEDED RUNTIME_LIBRARIES RPATH PREFIX_MAP TORCH_STUB TORCH_TARGET".split()
)
"""What the functions of `gpuwheel/cmake` call their arguments: a macro of such a name would end the list before it."""

# Options whose value is a folder, or a file that is looked for elsewhere too, in a word of its own or in the same one
# (GCC manual, "Directory Options" and "Preprocessor Options"; nvcc manual, "File and Path Specifications").
_FOLDER_OPTIONS = ("-I", "-isystem", "-iquote", "-idirafter", "-B", "-L")
_FILE_OPTIONS = ("-include", "-imacros", "-specs=", "-fplugin=", "@")
_NVCC_FOLDER_OPTIONS = ("--include-path=", "--system-include=", "-isystem=", "--include-path", "--system-include")
_NVCC_FILE_OPTIONS = (
    "--pre-include=",
    "-include=",
    "--options-file=",
    "-optf=",
    "--pre-include",
    "--options-file",
    "-optf",
)

_NVCC_MACROS = ("--define-macro", "-define-macro", "-D")
_HOST_OPTIONS = frozenset({"-Xcompiler", "--compiler-options", "-compiler-options"})
_HANDED_ON = re.compile(r"-X[a-z]+|--?[a-z]+-options")
"""Options of nvcc with words of another tool, in the next word or behind `=`."""

_LINKER_OPTIONS = ("-l", "-L", "-z", "-u", "-T")
"""Of the driver's options, those that it hands to the linker in their place among the inputs."""
_DRIVER_VALUES = frozenset(
    "-Xassembler -Xclang -Xpreprocessor -mllvm --param -target -x -specs --sysroot -B "  # noqa: SIM905
    "-D -I -U -e -idirafter -imacros -include -iquote -isystem".split()
)
"""Of its other options, those whose value is a word of its own; compilers take those of the preprocessor here too."""
_NOT_FILES = frozenset({"-soname", "-h", "-u", "-e", "-z", "-m", "-rpath", "--undefined", "--defsym", "--entry"})


@dataclass(frozen=True)
class Words:
    """Options of one tool."""

    given: tuple[str, ...] = ()
    """As CMake is given them."""
    option: str = ""
    """Where they are in a file: what names it to the tool, for example "@"."""
    name: str = ""
    text: str = ""

    def arguments(self, folder: Path) -> list[str]:
        """What CMake is given, where the file with the options, if there is one, stands in `folder`."""
        return [f"{self.option}{folder / self.name}"] if self.name else list(self.given)


@dataclass(frozen=True)
class HostWords:
    """What the C++ compiler is told of a library, and what nvcc tells it."""

    includes: tuple[Path, ...]
    """Folders that CMake is given as such; system ones."""
    system: tuple[Path, ...]
    defines: tuple[str, ...]
    flags: Words
    for_nvcc: Words = Words()
    """Words for the host compiler behind nvcc."""


@dataclass(frozen=True)
class LinkWords:
    """Options of the link, by where they have to stand."""

    driver: Words
    """Options of the C++ compiler, before the objects."""
    linker: Words
    """Inputs and options of the linker, after the objects: an archive gives what was asked for before it."""
    files: tuple[Path, ...]
    """Those of the inputs that are files."""
    openmp: bool
    """Whether GCC's OpenMP runtime is asked for, which torch brings."""


def host_words(
    folders: tuple[Sequence[Path], Sequence[Path]],
    defines: Sequence[str],
    flags: Sequence[str],
    root: Path,
    *,
    beside: Sequence[str] = (),
    nvcc: bool = False,
) -> HostWords:
    """Sort what the C++ compiler is told.

    Args:
        folders: to be searched by `#include`, and those of them that are the system's.
        defines: macros, the user's.
        flags: options, the user's.
        root: the project, to which paths in options are relative.
        beside: options that CMake is given with these.
        nvcc: whether nvcc is told the same, which splits folders and macros at commas.
    """
    includes, system = folders
    own = placed(flags, root)
    moved: list[str] = []
    # nvcc cannot be told a folder with a comma; its host compiler can.
    if nvcc and any("," in str(folder) for folder in (*includes, *system)):
        moved += [f"-I{folder}" for folder in includes]
        moved += [word for folder in system for word in ("-isystem", str(folder))]
        includes, system = (), ()
    names = [re.split(r"[=(]", define, maxsplit=1)[0] for define in defines]
    plain = all(_PLAIN_MACRO.fullmatch(define) and define not in _KEYWORDS for define in defines)
    if not plain or len(set(names)) < len(names):
        moved += [f"-D{define}" for define in defines]
        defines = ()
    return HostWords(
        includes=tuple(includes),
        system=tuple(system),
        defines=tuple(defines),
        flags=_words((*moved, *own), "@", root, beside=beside),
        for_nvcc=_filed(moved, "-Xcompiler=@", root) if nvcc and moved else Words(),
    )


def nvcc_words(flags: Sequence[str], root: Path, *, beside: Sequence[str] = ()) -> tuple[Words, Words]:
    """Options of nvcc, and those of its host compiler; arguments as for `host_words`.

    nvcc gives macros to a shell: those that are not plain go past it.
    """
    read = list(_read_for_nvcc(flags))
    handed = [part for one in read if one.for_host and not one.is_macro for part in one.parts]
    stays = placed(handed, root) == handed and all(map(_PLAIN.fullmatch, handed))
    past = [one.for_host and (one.is_macro or not stays) for one in read]
    host = placed([part for one, goes in zip(read, past, strict=True) if goes for part in one.parts], root)
    own = _placed_for_nvcc([word for one, goes in zip(read, past, strict=True) if not goes for word in one.words], root)
    return _words(own, "--options-file=", root, beside=beside), _filed(host, "-Xcompiler=@", root) if host else Words()


@dataclass(frozen=True)
class _NvccOption:
    words: tuple[str, ...]
    parts: tuple[str, ...] = ()
    """What its value says to the host compiler."""
    is_macro: bool = False

    @property
    def for_host(self) -> bool:
        return bool(self.parts)


def _read_for_nvcc(flags: Sequence[str]) -> Iterator[_NvccOption]:
    """Options of nvcc with their values, as far as those are macros or another tool's words."""
    waiting = iter(flags)
    for word in waiting:
        name, equals, value = word.partition("=")
        macro = next((option for option in _NVCC_MACROS if word == option or word.startswith(option)), None)
        if macro is not None:
            words = (word, next(waiting, "")) if word == macro else (word,)
            value = "".join(words).removeprefix(macro).removeprefix("=")
            is_plain = _PLAIN_MACRO.fullmatch(value) is not None
            parts = () if is_plain else tuple(f"-D{part}" for part in _split_for_nvcc(value))
            yield _NvccOption((f"-D{value}",), parts, is_macro=True)
        elif _HANDED_ON.fullmatch(name):
            words = (word,) if equals else (word, next(waiting, ""))
            parts = tuple(_split_for_nvcc(value if equals else words[-1])) if name in _HOST_OPTIONS else ()
            yield _NvccOption(words, parts)
        else:
            yield _NvccOption((word,))


def _split_for_nvcc(value: str) -> list[str]:
    """At its commas; nvcc takes a backslash away from what follows it."""
    return [_BACKSLASHED.sub(lambda match: match[1], part) for part in _COMMA.split(value)]


def _placed_for_nvcc(words: Sequence[str], root: Path) -> list[str]:
    return placed(words, root, (*_FOLDER_OPTIONS, *_NVCC_FOLDER_OPTIONS), (*_FILE_OPTIONS, *_NVCC_FILE_OPTIONS))


def source_words(flags: Sequence[str], root: Path, *, cuda: bool) -> tuple[Words, ...]:
    """Options of one source; arguments as for `host_words`."""
    return nvcc_words(flags, root) if cuda else (_words(placed(flags, root), "@", root),)


def link_words(flags: Sequence[str], root: Path) -> LinkWords:
    """Sort options of the link; `flags` as the C++ compiler takes them, with paths relative to `root`."""
    driver: list[str] = []
    linker: list[str] = []
    waiting = iter(flags)
    for word in waiting:
        if word in _LINKER_OPTIONS:
            linker.append(word + next(waiting, ""))
        elif word.startswith("-Wl,"):
            linker += [part for part in word[4:].split(",") if part]
        elif word in {"-Xlinker", "--for-linker"}:
            linker.append(next(waiting, ""))
        elif word in _DRIVER_VALUES:
            driver += [word, next(waiting, "")]
        elif word.startswith(_LINKER_OPTIONS) or not word.startswith(("-", "@")):
            linker.append(word)
        else:
            driver.append(word)
    linker, files = _inputs(linker, root)
    return LinkWords(
        driver=_words(placed(driver, root), "@", root),
        linker=_filed(linker, "-Wl,@", root) if linker else Words(),
        files=tuple(files),
        openmp=any(word.partition("=")[0] in OPENMP_OPTIONS for word in flags),
    )


def write_link_words(link: LinkWords, folder: Path) -> None:
    """Write the files that `link` needs."""
    write_words((link.driver, link.linker), folder)
    if link.openmp:
        write_if_changed(folder / _OPENMP_LIBRARY, _NO_LIBRARY.encode())


def write_words(words: Iterable[Words], folder: Path) -> None:
    """Write the files that `words` stand in."""
    for one in words:
        if one.name:
            write_if_changed(folder / one.name, one.text.encode())


def placed(
    words: Sequence[str],
    root: Path,
    folders: Sequence[str] = _FOLDER_OPTIONS,
    files: Sequence[str] = _FILE_OPTIONS,
) -> list[str]:
    """`words` with paths relative to the project made absolute: compilers run elsewhere.

    A file is looked for in the project first, as compilers look in the current folder, and then as they do.
    """
    options = sorted((*folders, *files), key=len, reverse=True)
    found: list[str] = []
    waiting = ""
    for word in words:
        if not waiting and word in options:
            waiting = word
            found.append(word)
            continue
        prefix = "" if waiting else next((option for option in options if word.startswith(option)), "")
        option, value, waiting = waiting or prefix, word.removeprefix(prefix), ""
        place = _normal(root / value)
        belongs = _is_file(place) if option in files else option not in {"", "-B"} or place.is_dir()
        found.append(f"{prefix}{place}" if option and belongs and not value.startswith(("=", "$SYSROOT")) else word)
    return found


def _inputs(words: Sequence[str], root: Path) -> tuple[list[str], list[Path]]:
    """Words of the linker with paths made absolute, and the files among them."""
    found: list[str] = []
    files: list[Path] = []
    before = ""
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        named = not {before, option} & _NOT_FILES
        place = _normal(root / value)
        glued = word[:2] if word[:2] in {"-L", "-T"} and len(word) > 2 else ""  # noqa: PLR2004 (a dash and a letter)
        if glued == "-L" or (glued and _is_file(root / word[2:])):
            path = _normal(root / word[2:])
            found.append(f"{glued}{path}")
            files += [path] if glued == "-T" else []
        elif before == "-L" and value:
            found.append(str(place))
        elif named and value and _is_file(place):
            found.append(f"{option}{equals}{place}")
            files.append(place)
        else:
            found.append(word)
        before = word if word.startswith("-") else ""
    return found, files


def _words(words: Sequence[str], option: str, root: Path, *, beside: Sequence[str] = ()) -> Words:
    together = [*beside, *words]
    if all(_PLAIN.fullmatch(word) for word in words) and len(set(together)) == len(together):
        return Words(tuple(words))
    return _filed(words, option, root)


def _filed(words: Sequence[str], option: str, root: Path) -> Words:
    quote = _quoted_for_nvcc if option == "--options-file=" else _quoted
    # The same project elsewhere is the same build: the name has no folder of this machine in it.
    digest = hashlib.sha256("\n".join((option, *words)).replace(str(root), ".").encode()).hexdigest()[:16]
    return Words(option=option, name=f"words-{digest}.txt", text="".join(f"{quote(word)}\n" for word in words))


def _quoted(word: str) -> str:
    return _ESCAPED.sub(lambda match: "\\" + match[0], word)


def _quoted_for_nvcc(word: str) -> str:
    """A word as nvcc takes it on the command line, where a quote is the same with and without a backslash."""
    return _quoted(re.sub(r'\\?"', '\\\\"', word))


def _is_file(path: Path) -> bool:
    """Whether a word names a file; unlike for `Path.is_file()`, it may be longer than any name."""
    return os.path.isfile(path)  # noqa: PTH113


def _normal(path: Path) -> Path:
    return path.resolve() if ".." in path.parts else path
