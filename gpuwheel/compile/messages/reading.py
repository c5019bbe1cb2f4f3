"""The output of a build, taken apart into the messages of the tools that ran.

Formats: GCC and clang (`FILE:LINE:COLUMN: error: TEXT`, GCC manual, "Diagnostic Message Formatting Options"), the front
end of nvcc and NVRTC (`FILE(LINE): error: TEXT`), ptxas and nvlink, drivers of compilers, GNU ld, gold and lld, CMake
and Ninja. Colours and links (escape sequences) are taken out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Message", "Position", "Tool", "plain", "read_messages"]

Tool: TypeAlias = str
"""A compiler of C++ ("host") or device code ("device"), "assembler" (ptxas), "driver", "link", "cmake" or "ninja"."""

# ECMA-48: control sequences (colours), operating system commands (links of GCC), and single control characters but
# tab and newline.
_ESCAPES = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_KIND = r"(?P<kind>(?:fatal |catastrophic |internal )?(?:[Ee]rror|[Ww]arning|fatal)|note|remark)"
_PLACE = r"(?P<file>[^:]+?)(?::(?P<line>\d+))?(?: \(\w+\))?"
_DRIVER = r"(?:\S*/)?(?:\S+-)?(?:g\+\+|gcc|c\+\+|cc|clang(?:\+\+)?|cc1plus|cc1|as|collect2)(?:-[\d.]+)?"
_MESSAGES: tuple[tuple[Tool, re.Pattern[str]], ...] = tuple(
    (tool, re.compile(pattern))
    for tool, pattern in (
        ("cmake", r"CMake (?P<kind>Error|Warning)[^:]*?(?: (?:at|in) " + _PLACE + r")?:(?P<text>.*)"),
        ("ninja", r"ninja: (?P<kind>error|fatal): (?P<text>.*)"),
        ("assembler", r"\s*(?:ptxas|nvlink)\s(?:[^;]*; )?\s*(?P<kind>error|fatal|warning)\s*: (?P<text>.*)"),
        ("link", r"(?:\S*/)?(?:\S*-)?(?:ld|ld\.\w+|mold): (?:(?P<kind>fatal error|error|warning): )?(?P<text>.*)"),
        ("link", r"(?P<text>\S.*?:\(\.[^)]*\): (?:undefined reference|multiple definition).*)"),
        ("driver", r"(?:nvcc|nvrtc:) (?P<kind>error|fatal|warning)\s*: (?P<text>.*)"),
        ("driver", _DRIVER + ": " + _KIND + r": (?P<text>.*)"),
        ("device", r"(?P<file>\S[^\n]*?)\((?P<line>\d+)\): " + _KIND + r"(?: #\d+(?:-\w)?)?: (?P<text>.*)"),
        ("host", r"(?P<file>[^\s:][^:]*):(?P<line>\d+):(?:(?P<column>\d+):)? " + _KIND + r": (?P<text>.*)"),
    )
)
# Lines that GCC and ld print ahead of the message that they belong to.
_AHEAD = re.compile(
    r"In file included from |\s+from \S|\S[^:]*: (?:In |At |Assembler )"
    r"|\S[^:]*:\d+:(?:\d+:)?\s+(?:recursively )?required |\S*ld\S*: .*: in function "
)
_INCLUDED = re.compile(r"(?:In file included from|\s+from) (?P<file>[^:\n]+):(?P<line>\d+)")
_REQUIRED = re.compile(r"(?P<file>\S[^:\n]*):(?P<line>\d+):(?:(?P<column>\d+):)?\s+(?:recursively )?required ")
_REQUESTED = re.compile(r"(?P<file>\S[^:\n]*):(?P<line>\d+):(?:(?P<column>\d+):)? note: (?:in instantiation|while )")
_INSTANTIATED = re.compile(r'at line (?P<line>\d+)(?: of "?(?P<file>[^"\n]+?)"?)?$')
_CONSEQUENCES = re.compile(
    r"(?:ld|linker command) (?:returned|failed)|all warnings being treated|compilation terminated|subcommand failed"
    r"|(?:\S+ )?errors? (?:generated|detected)|Ptx assembly aborted|build stopped|\d+ exit status"
)
_PROGRESS = re.compile(r"\[\d+/\d+\] |FAILED: |\*\*\* |-- ")
_MOST_LINES = 200  # of one message that are looked at
_MOST_MESSAGES = 2000
_MOST_START = 1000  # characters of a line, in which a message has begun


@dataclass(frozen=True)
class Position:
    """A place in a file as a tool names it; column 0: not known."""

    file: str
    line: int
    column: int = 0


@dataclass
class Message:
    """One thing that a tool said."""

    tool: Tool
    kind: str
    """"error", "warning", "note" ..., in lower case."""
    text: str
    position: Position | None
    ahead: list[str] = field(default_factory=list)
    """Lines before it that say where it comes from."""
    rest: list[str] = field(default_factory=list)
    """Lines after it: the source, notes."""
    command: str = ""
    """What Ninja ran."""

    @property
    def is_error(self) -> bool:
        """Whether it stops the build by itself; not what only says that something did."""
        return "error" in self.kind or self.kind == "fatal"

    @property
    def whole(self) -> str:
        """The whole text of the message."""
        return "\n".join((*self.ahead, self.text, *self.rest))

    def trail(self) -> Iterator[Position]:
        """Where it comes from: instantiations first, then includes, the nearest ones first."""
        yield from _positions(_REQUIRED, self.ahead, "")
        yield from _positions(_REQUESTED, self.rest, "")
        yield from _positions(_INSTANTIATED, self.rest, self.position.file if self.position else "")
        yield from _positions(_INCLUDED, self.ahead, "")


def _positions(pattern: re.Pattern[str], lines: list[str], here: str) -> Iterator[Position]:
    for line in lines:
        if match := pattern.search(line):
            found = match.groupdict()
            yield Position(found["file"] or here, int(found["line"]), int(found.get("column") or 0))


def plain(output: str) -> str:
    """`output` without colours, links and other control characters; a line that was written over counts as several."""
    return _ESCAPES.sub("", output.replace("\r\n", "\n").replace("\r", "\n"))


def read_messages(output: str) -> list[Message]:
    """Errors and warnings in the order in which they were said; what follows from others is left out."""
    found: list[Message] = []
    ahead: list[str] = []
    command, failed = "", False
    for line in plain(output).splitlines():
        start = line[:_MOST_START]
        if failed:  # Ninja shows the command after it
            command, failed = line, False
        elif _PROGRESS.match(start):
            failed, ahead = start.startswith("FAILED: "), []
        elif _AHEAD.match(start):
            ahead.append(line)
        elif (message := _read(start)) is None or message.kind in {"note", "remark"}:
            if found and len(found[-1].rest) < _MOST_LINES:
                found[-1].rest += [*ahead, line]  # what comes before a note belongs to it
            ahead = []
        elif not _CONSEQUENCES.search(message.text) and len(found) < _MOST_MESSAGES:
            message.ahead, message.command, ahead = ahead, command, []
            found.append(message)
    return found


def _read(line: str) -> Message | None:
    # In the order of the table: what a linker or driver says would fit the patterns of compilers, too.
    for tool, pattern in _MESSAGES:
        match = pattern.match(line)
        if match is None:
            continue
        groups = match.groupdict()
        file = groups.get("file")
        numbers = (int(groups.get(name) or 0) for name in ("line", "column"))
        kind = (groups.get("kind") or "error").lower()
        return Message(tool, kind, groups["text"].strip(), Position(file, *numbers) if file else None)
    return None
