"""Which files a device source depends on, found without a compiler (NVRTC writes no depfile).

A safe superset: every include directive counts, whatever conditional it stands under, and so does every
`__has_include`. Only the user's folders are searched; the toolkit and gpuwheel's own headers are covered by digests.
What cannot be followed is named: nothing that depends on it may be kept.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._cache.file_state import state_of
from gpuwheel._endings import because, cut
from gpuwheel._limits import SOURCE_FILE
from gpuwheel.compile.reuse.comments import is_once_only, without_comments
from gpuwheel.compile.reuse.tokens import clock, unseen
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gpuwheel._cache.file_state import State
    from gpuwheel.model.kernels import KernelGroup

__all__ = [
    "IncludeName",
    "IncludeScanner",
    "ScannedFile",
    "has_includes",
    "included_names",
    "joined_lines",
    "toolkit_includes",
    "without_remarks",
]

# A comment may be matched in one way only: else a file full of them takes exponential time.
_BLANK = rb"(?:[ \t\r\f\v]|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*"
_NAMES = rb'(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>|(?P<macro>\w+)(?:[ \t]*\((?P<argument>[^()\n]*)\))?)'
_DIRECTIVE = rb"[#%]:?" + _BLANK  # `#`, or the digraph `%:`
_BEFORE_DIRECTIVE = re.compile(rb"(?:.*\*/)?" + _BLANK)
_INCLUDE = re.compile(_DIRECTIVE + rb"(?P<directive>include|include_next|import)\b" + _BLANK + _NAMES)
_IMPORT = re.compile(
    rb'^[ \t]*(?:export[ \t]+)?import[ \t]*(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>)', re.MULTILINE
)
# A macro may stand for __has_include, also one of the toolkit: `#if HAS(<a.h>)`.
_CONDITION = re.compile(rb"^[ \t]*[#%]:?[ \t]*(?:if|elif|define)\b([^\n]*)", re.MULTILINE)
_CALL = re.compile(rb'\w[ \t]*\([ \t]*(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>)[ \t]*\)')
_PARAMETERS = re.compile(rb"[ \t]*[#%]:?[ \t]*define[ \t]+(?P<name>\w+)\((?P<parameters>[^)\n]*)\)")
_HAS_INCLUDE = re.compile(rb"__has_include(?:_next)?" + _BLANK + rb"\(" + _BLANK + _NAMES)
_DEFINITION = rb"\b(?:\([ \t]*(?P<parameter>\w*)[ \t]*\))?(?P<value>[^\n]*)"
_HEADER_NAME = re.compile(rb'(?:"(?P<quoted>[^"]+)"|<(?P<angled>[^>]+)>)(?:[ \t]*//.*)?')
_CONTINUATION = re.compile(rb"\\[ \t]*\r?\n")
_TRIGRAPHS = ((b"??=", b"#"), (b"??/", b"\\"))
_HINT = "correct the #include"
# Answers that say nothing of whether a file is there: an absent one is looked for elsewhere, these are not.
_NEVER_THERE = {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES}


def toolkit_includes(groups: Iterable[KernelGroup]) -> frozenset[str]:
    """Names of headers that device sources may include and that no folder of theirs has."""
    names: set[str] = set()
    for group in groups:
        scanner = IncludeScanner(group.include_dirs)
        names.update(name for source in group.sources for name in scanner.unresolved(source))
    return frozenset(names)


@dataclass(frozen=True)
class IncludeName:
    """A header as a directive names it."""

    name: str
    quoted: bool
    next: bool


@dataclass(frozen=True)
class _Macro:
    """A macro that is included, as in `#include HEADER(name)`."""

    name: bytes
    argument: bytes


@dataclass(frozen=True)
class ScannedFile:
    """One file and what it asks for."""

    path: Path
    sha256: str
    tokens: str
    """The sha256 of its text with the comments emptied."""
    is_once_only: bool
    """Whether it is left out where a file of the same bytes was included, as GCC understands `#pragma once`."""
    includes: tuple[IncludeName, ...]
    macros: tuple[_Macro, ...]
    state: State | None = None
    """Before it was read."""
    unseen: str | None = None
    """What it reads that is not followed."""


@dataclass
class IncludeScanner:
    """Source closures over one set of include folders; each file is read once."""

    include_dirs: tuple[Path, ...]
    """The user's folders, in search order."""
    foreign_dirs: tuple[Path, ...] = ()
    """Folders searched after them that are not scanned: gpuwheel's and the toolkit's headers."""
    command_line: str = ""
    """Options that may define macros."""
    first: tuple[tuple[Path, str], ...] = ()
    """(where it is looked for first, name) of each header that an option includes before any source."""
    _files: dict[Path, ScannedFile | None] = field(default_factory=dict)
    _definitions: dict[tuple[Path, bytes], list[tuple[bytes, bytes]]] = field(default_factory=dict)
    _everything: tuple[Path, ...] | None = None
    _shadowing: tuple[Path, ...] | None = None
    _unknown: set[tuple[Path, bytes]] = field(default_factory=set)

    def closure(self, source: Path) -> tuple[ScannedFile, ...]:
        """`source` and every file of the user's that it may include, directly or not, in order of path."""
        search = (source.parent, *self.include_dirs)
        found: dict[Path, ScannedFile] = {}
        expanded: set[tuple[_Macro, Path]] = set()
        # A header of the toolkit may include a name that the user's folders have too, and those come first.
        waiting = [source, *self._shadowing_files()]
        for here, name in self.first:
            waiting.extend(self._resolve(IncludeName(name, quoted=True, next=False), here, search))
        while waiting:
            self._follow(waiting, search, found)
            # A macro may be defined in any file, so those come when all other files are known.
            macros = {(macro, path.parent) for path, file in found.items() for macro in file.macros} - expanded
            expanded |= macros
            waiting = [path for macro, here in macros for path in self._resolve_macro(macro, here, search, found)]
        return tuple(found[path] for path in sorted(found))

    def refusal(self, source: Path) -> str | None:
        """What `source`, or a file that it may include, depends on in a way that cannot be followed."""
        for file in self.closure(source):
            if file.unseen is not None:
                return f"{file.path} has {file.unseen}"
        unknown = sorted(macro for start, macro in self._unknown if start == source.parent)
        return f"what {unknown[0].decode(errors='replace')} includes cannot be told" if unknown else None

    def unresolved(self, source: Path) -> Iterator[str]:
        """Names that the closure of `source` includes, directly or by a macro, and that lie in no user's folder."""
        search = (source.parent, *self.include_dirs)
        closure = self.closure(source)
        paths = [file.path for file in closure]
        for file in closure:
            macros = (include for macro in file.macros for include in self._expansions(macro, paths))
            for include in (*file.includes, *macros):
                if include is not None and not any(self._resolve(include, file.path.parent, search)):
                    yield include.name

    def _follow(self, waiting: list[Path], search: Sequence[Path], found: dict[Path, ScannedFile]) -> None:
        while waiting:
            path = waiting.pop()
            file = self._scan(path)
            if file is not None and path not in found:
                found[path] = file
                for include in file.includes:
                    waiting.extend(self._resolve(include, path.parent, search))

    def _resolve_macro(
        self, macro: _Macro, here: Path, search: Sequence[Path], found: Iterable[Path]
    ) -> Iterator[Path]:
        """The files a macro may name: by its definitions, if all are plain header names, else any."""
        includes = self._expansions(macro, found)
        known = [include for include in includes if include is not None]
        # -D may define it as well, with a value that only a preprocessor would expand.
        if known and len(known) == len(includes) and macro.name.decode() not in self.command_line:
            for include in known:
                yield from self._resolve(include, here, search)
        else:
            self._unknown.add((search[0], macro.name))
            yield from self._every_file(search[0])

    def _expansions(self, macro: _Macro, found: Iterable[Path]) -> list[IncludeName | None]:
        """What each definition of `macro` makes of it; `None` where that is no plain header name."""
        definitions = (definition for path in found for definition in self._definitions_of(path, macro.name))
        return [_expanded(macro, *definition) for definition in definitions]

    def _definitions_of(self, path: Path, name: bytes) -> list[tuple[bytes, bytes]]:
        """(parameter, value) of each definition of a macro in a file."""
        if (path, name) not in self._definitions:
            content = path.read_bytes()
            text = joined_lines(content) if name in content else b""
            matches = re.finditer(_DIRECTIVE + rb"define[ \t]+" + name + _DEFINITION, text)
            found = [(match["parameter"] or b"", match["value"].strip()) for match in matches]
            self._definitions[path, name] = found
        return self._definitions[path, name]

    def _scan(self, path: Path) -> ScannedFile | None:
        if path not in self._files:
            state = state_of(os.fspath(path))
            content = _source_bytes(path)
            self._files[path] = None if content is None else _scanned(path, content, state)
        return self._files[path]

    def _resolve(self, include: IncludeName, here: Path, search: Sequence[Path]) -> Iterator[Path]:
        folders = (here, *search) if include.quoted else search
        for folder in folders:
            path = _normal(folder / include.name)
            if self._scan(path) is not None:
                yield path
                # #include_next goes on behind the folder that has the file: any of those further on may be the one.
                if not include.next:
                    return

    def _every_file(self, source_dir: Path) -> tuple[Path, ...]:
        if self._everything is None:
            self._everything = tuple(_files_below(self.include_dirs))
        return (*self._everything, *_files_below([source_dir]))

    def _shadowing_files(self) -> tuple[Path, ...]:
        """The user's files that toolkit headers would find instead of their own, being searched later."""
        if self._shadowing is None:
            shadows: list[Path] = []
            for folder in self.include_dirs:
                for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if any((foreign / entry.name).exists() for foreign in self.foreign_dirs):
                        shadows.extend(_files_below([entry]) if entry.is_dir() else [entry])
            self._shadowing = tuple(shadows)
        return self._shadowing


def without_remarks(files: Sequence[ScannedFile]) -> Iterator[tuple[Path, str]]:
    """(path, sha256 with the comments emptied) of each file; of the whole file where comments alone tell it apart."""
    alike = Counter(file.tokens for file in files)
    for file in files:
        yield file.path, file.sha256 if file.is_once_only and alike[file.tokens] > 1 else file.tokens


def joined_lines(content: bytes) -> bytes:
    """`content` with continued lines in one; where it has trigraphs, which old dialects read, both readings of it."""
    text = _CONTINUATION.sub(b"", content)
    if b"??" in content:
        for trigraph, character in _TRIGRAPHS:
            content = content.replace(trigraph, character)
        text += b"\n" + _CONTINUATION.sub(b"", content)
    return text


def included_names(text: bytes) -> Iterator[IncludeName | None]:
    """What the directives of a text include; `None` for what a macro names."""
    for match in _directives(text):
        yield None if match["macro"] is not None else _named(match)


def has_includes(text: bytes) -> Iterator[tuple[IncludeName | None, bytes, bytes]]:
    """(header, or `None` and a macro, the line up to there) of every `__has_include` in a text."""
    for match in _HAS_INCLUDE.finditer(text):
        line = text[text.rfind(b"\n", 0, match.start()) + 1 : match.start()]
        yield (None if match["macro"] is not None else _named(match)), match["macro"] or b"", line


def _source_bytes(path: Path) -> bytes | None:
    """What a source file holds; `None` where there is no file.

    Raises:
        CompileError: it is a device or a pipe, is larger than the limit, or has no name that a disk takes.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NEVER_THERE:
            return None
        msg = f"{cut(ascii(str(path)))} is included and cannot be read ({because(error)}, expected a source file)"
        raise CompileError(msg, hint=_HINT) from error
    if stat.S_ISDIR(status.st_mode):
        return None
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file or status.st_size > SOURCE_FILE.value:
        found = SOURCE_FILE.passed(f"{status.st_size:,}") if is_file else "found a device or a pipe, expected a file"
        msg = f"{cut(path)} is not a source file ({found})"
        raise CompileError(msg, hint=_HINT)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # gone meanwhile
        return None


def _scanned(path: Path, content: bytes, state: State | None) -> ScannedFile:
    text = joined_lines(content)
    whole, tokens = (hashlib.sha256(one).hexdigest() for one in (content, without_comments(content)))
    once = is_once_only(text)
    return ScannedFile(path, whole, tokens, once, *_includes(text), state, clock(text) or unseen(text))


def _directives(text: bytes) -> Iterator[re.Match[bytes]]:
    return (match for match in _INCLUDE.finditer(text) if _starts_a_line(text, match.start()))


def _includes(text: bytes) -> tuple[tuple[IncludeName, ...], tuple[_Macro, ...]]:
    includes: dict[IncludeName, None] = {}
    macros: dict[_Macro, None] = {}
    for match in _directives(text):
        if match["macro"] is None:
            includes[_named(match, every=match["directive"] == b"include_next")] = None
        else:
            macros[_Macro(match["macro"], (match["argument"] or b"").strip())] = None
    for include, macro, line in has_includes(text):
        if include is not None:
            includes[include] = None
        elif not _is_parameter(macro, line):  # else the macro's calls count
            macros[_Macro(macro, b"")] = None
    calls = [call for condition in _CONDITION.finditer(text) for call in _CALL.finditer(condition[1])]
    includes |= dict.fromkeys(map(_named, (*calls, *_IMPORT.finditer(text))))
    return tuple(includes), tuple(macros)


def _is_parameter(macro: bytes, line: bytes) -> bool:
    """Whether `line` begins the definition of a macro that has `macro` as a parameter."""
    head = _PARAMETERS.match(line)
    return head is not None and macro in {one.strip() for one in head["parameters"].split(b",")}


def _starts_a_line(text: bytes, position: int) -> bool:
    """Whether only blanks and comments stand between the start of the line and `position`."""
    return _BEFORE_DIRECTIVE.fullmatch(text, text.rfind(b"\n", 0, position) + 1, position) is not None


def _named(match: re.Match[bytes], *, every: bool = False) -> IncludeName:
    name = match["quoted"] or match["angled"]
    return IncludeName(name.decode(errors="surrogateescape"), match["quoted"] is not None, every)


def _expanded(macro: _Macro, parameter: bytes, value: bytes) -> IncludeName | None:
    """The include that a definition makes of `macro`, if it is a plain header name."""
    if parameter:
        value = re.sub(rb"\b" + parameter + rb"\b", lambda _: macro.argument, value)
    header = _HEADER_NAME.fullmatch(value)
    return _named(header) if header else None


def _normal(path: Path) -> Path:
    """Without `.` and `..`; by resolving, because a folder before `..` may be a link."""
    # Only then: resolving asks the disk for each part, and would turn names that tools show into others.
    return path.resolve() if ".." in path.parts else path


def _files_below(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path
