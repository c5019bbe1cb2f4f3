"""The files of an extension as the preprocessor goes through them: what is included, and which lines count."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel.config.survey.code import without_words
from gpuwheel.config.survey.conditions import Macros, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Include", "Reader", "SourceFile", "Visit"]

_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(?P<word>\w+)(?P<rest>(?:\\\n|[^\n])*)", re.MULTILINE)
_HEADER = re.compile(r"\s*(?:<(?P<angled>[^>\n]+)>|\"(?P<quoted>[^\"\n]+)\")")
_DEFINED = re.compile(r"\s*([A-Za-z_]\w*)")
_LARGEST = 4 * 1024 * 1024
"""Bytes of a file that are read: none that people write is larger."""
_DEVICE = (".cu", ".cuh")
_NVCC = ("__CUDACC__", "__NVCC__")


class Include(NamedTuple):
    """A directive."""

    line: int
    name: str
    quoted: bool


class _Directive(NamedTuple):
    line: int
    word: str
    rest: str


@dataclass(frozen=True)
class SourceFile:
    """One file, without what its comments and texts say."""

    path: Path
    text: str

    @cached_property
    def directives(self) -> tuple[_Directive, ...]:
        """Of the preprocessor, in their order."""
        return tuple(
            _Directive(self.line_of(match.start()), match["word"], match["rest"].replace("\\\n", " ").strip())
            for match in _DIRECTIVE.finditer(self.text)
        )

    @cached_property
    def code(self) -> str:
        """What is compiled: the text without directives, but for bodies of macros."""
        return _DIRECTIVE.sub(lambda match: match[0] if match["word"] == "define" else _blanks(match[0]), self.text)

    @cached_property
    def bodies(self) -> frozenset[int]:
        """The lines of definitions of macros."""
        found = (match for match in _DIRECTIVE.finditer(self.text) if match["word"] == "define")
        return frozenset(
            line for each in found for line in range(self.line_of(each.start()), self.line_of(each.end()) + 1)
        )

    @cached_property
    def defined(self) -> frozenset[str]:
        """Macros that it defines somewhere, but for its guard."""
        named = (_DEFINED.match(each.rest) for each in self.directives if each.word == "define")
        return frozenset(match[1] for match in named if match) - {self._guard}

    def line_of(self, position: int) -> int:
        """The number of the line, from 1, that a character of the text is in."""
        return bisect_right(self._starts, position)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @cached_property
    def _guard(self) -> str:
        """The macro that keeps a header from being read twice."""
        first = self.directives[:2]
        if [each.word for each in first] != ["ifndef", "define"]:
            return ""
        name = _DEFINED.match(first[1].rest)
        return name[1] if name and first[0].rest.split()[:1] == [name[1]] else ""

    def states(self, macros: Macros) -> tuple[list[int], list[int | None]]:
        """(lines, from each of them on: 1 where it is compiled, 0 where it is not, `None` where nobody knows)."""
        lines, states = [0], [_YES]
        stack = [_Level(_YES, _YES, _YES)]
        for directive in self.directives:
            top, word = stack[-1], directive.word
            if word in {"if", "ifdef", "ifndef"}:
                holds = self._holds(directive, macros)
                stack.append(_Level(top.state, _and(top.state, holds), _not(holds)))
            elif word in {"elif", "else"} and len(stack) > 1:
                holds = _YES if word == "else" else value_of(directive.rest, macros)
                here = _and(top.left, _truth(holds))
                stack[-1] = _Level(top.outer, _and(top.outer, here), _and(top.left, _not(_truth(holds))))
            elif word == "endif" and len(stack) > 1:
                stack.pop()
            else:
                continue
            lines.append(directive.line)
            states.append(stack[-1].state)
        return lines, states

    def _holds(self, directive: _Directive, macros: Macros) -> int | None:
        if directive.word == "if":
            return _truth(value_of(directive.rest, macros))
        name = _DEFINED.match(directive.rest)
        if name is None:
            return None
        if directive.word == "ifndef" and name[1] == self._guard:
            return _YES
        is_defined = macros.is_defined(name[1])
        return is_defined if directive.word == "ifdef" else _not(is_defined)


class _Level(NamedTuple):
    """One `#if`."""

    outer: int | None
    state: int | None
    left: int | None
    """Whether no branch before held, so that an `#else` would."""


_YES: int | None = 1


def _truth(value: int | None) -> int | None:
    return None if value is None else int(value != 0)


def _not(value: int | None) -> int | None:
    return None if value is None else int(not value)


def _and(one: int | None, other: int | None) -> int | None:
    return 0 if 0 in (one, other) else None if one is None or other is None else 1


def _blanks(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


@dataclass(frozen=True)
class Visit:
    """A file, as it is reached from a source by the shortest way."""

    file: SourceFile
    chain: tuple[str, ...]
    """The line that includes it, then the one that includes that file, and so on to the source's."""
    conditional: bool
    """Whether a line on the way stands below a condition that only the compiler knows."""
    _lines: Sequence[int]
    _states: Sequence[int | None]

    def state(self, line: int) -> int | None:
        """1 where it is compiled, 0 where it is not, `None` where only the compiler knows."""
        found = self._states[bisect_right(self._lines, line) - 1]
        return None if found == 1 and self.conditional else found


@dataclass
class Reader:
    """Reads each file once."""

    root: Path
    _files: dict[Path, SourceFile | None] = field(default_factory=dict)

    def visits(
        self,
        sources: Sequence[Path],
        folders: Sequence[Path],
        values: Mapping[str, int | None],
        undefined: frozenset[str],
    ) -> Iterator[tuple[Visit, list[tuple[Include, bool]]]]:
        """Each file with what it includes that is none of the project's, and whether a condition decides about that.

        Args:
            sources: what is compiled.
            folders: those of the project that `#include` searches.
            values: of macros that the build defines.
            undefined: macros that it does not define.
        """
        uncertain = self._defined(sources, folders)
        seen = set(sources)
        waiting: list[tuple[Path, tuple[str, ...], bool]] = [(path, (), False) for path in sources]
        while waiting:
            following: list[tuple[Path, tuple[str, ...], bool]] = []
            for path, chain, conditional in waiting:
                file = self.file(path)
                if file is None:
                    continue
                nvcc, none = _compiler(path, is_source=not chain)
                macros = Macros({**values, **nvcc}, undefined | none, uncertain)
                visit = Visit(file, chain, conditional, *file.states(macros))
                outside: list[tuple[Include, bool]] = []
                for include in _includes(file):
                    state = visit.state(include.line)
                    if state == 0:
                        continue
                    found = self._find(include, path, folders)
                    if found is None:
                        outside.append((include, state is None))
                    elif found not in seen:
                        seen.add(found)
                        place = f"{self.shown(path)}:{include.line}"
                        following.append((found, (place, *chain), state is None))
                yield visit, outside
            waiting = following

    def file(self, path: Path) -> SourceFile | None:
        """What is there; `None` where nothing can be read."""
        if path not in self._files:
            self._files[path] = None
            try:
                if path.is_file():
                    with path.open("rb") as stream:
                        text = stream.read(_LARGEST).decode(errors="replace").replace("\r\n", "\n")
                    self._files[path] = SourceFile(path, without_words(text))
            except (OSError, ValueError):  # as if it were not there: the compiler will say what is wrong with it
                pass
        return self._files[path]

    def shown(self, path: Path) -> str:
        """A path as messages name it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _defined(self, sources: Sequence[Path], folders: Sequence[Path]) -> frozenset[str]:
        """Macros that any file of the extension defines, whatever conditions hold."""
        found: set[str] = set()
        seen, waiting = set(sources), list(sources)
        while waiting:
            path = waiting.pop()
            file = self.file(path)
            if file is None:
                continue
            found |= file.defined
            paths = (self._find(include, path, folders) for include in _includes(file))
            new = {each for each in paths if each is not None} - seen
            seen |= new
            waiting += new
        return frozenset(found)

    def _find(self, include: Include, path: Path, folders: Sequence[Path]) -> Path | None:
        # The folder of the including file first for quotes alone (GCC manual, "Search Path").
        for folder in (path.parent, *folders) if include.quoted else folders:
            candidate = folder / include.name
            if self.file(candidate) is not None:
                return candidate
        return None


def _includes(file: SourceFile) -> Iterator[Include]:
    for each in file.directives:
        match = _HEADER.match(each.rest) if each.word in {"include", "include_next"} else None
        if match:
            yield Include(each.line, match["quoted"] or match["angled"], match["quoted"] is not None)


def _compiler(path: Path, *, is_source: bool) -> tuple[dict[str, int | None], frozenset[str]]:
    """Macros that nvcc defines, and those that are not defined: nobody knows which compiler reads a header."""
    if not is_source:
        return {}, frozenset()
    return (dict.fromkeys(_NVCC, 1), frozenset()) if path.suffix in _DEVICE else ({}, frozenset(_NVCC))
