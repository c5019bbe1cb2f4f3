"""Known causes of failing builds, from `data/diagnostics.toml`."""

from __future__ import annotations

import functools
import re
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._toml import own_table
from gpuwheel.binary.mangled import demangle, parse_signature
from gpuwheel.errors import CompileError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compile.messages.reading import Message

__all__ = ["Cause", "read_causes", "uncovered_causes"]

GIVEN = frozenset({"source", "groups"})
"""Fields that every text of the table may have: the user's file, and the kernel groups that are compiled."""
_NUMBER = re.compile(r"0x[0-9a-f]+")
# A template error may have megabytes, and some patterns look far.
_MOST = 20_000  # characters of a message that are searched


@dataclass(frozen=True)
class Cause:
    """One row of the table."""

    match: re.Pattern[str]
    says: str
    hint: str | None = None
    line: re.Pattern[str] | None = None
    requires: re.Pattern[str] | None = None
    """Has to be in the error's text too."""
    whole: re.Pattern[str] | None = None
    """Has to be in what surrounds it."""
    tools: frozenset[str] = frozenset()
    builds: frozenset[str] = frozenset()
    leads: bool = False

    @functools.cached_property
    def needs(self) -> frozenset[str]:
        """The fields of its words that the patterns have to find; not every text that they fit has each."""
        return frozenset(field_names(self.says) | field_names(self.hint or "")) - GIVEN

    def explain(self, message: Message, line: str, build: str) -> dict[str, str] | None:
        """The fields of `says` and `hint` for a message that this is the cause of.

        Args:
            message: an error.
            line: the user's own line that it comes from, if there is one.
            build: "group", "embed", "nvcc", "compat" or "cmake".
        """
        builds = {build, "nvcc"} if build == "compat" else {build}
        if (self.tools and message.tool not in self.tools) or (self.builds and not self.builds & builds):
            return None
        # CMake breaks its sentences into lines.
        text = message.text
        if message.tool == "cmake":
            text = " ".join(" ".join((text, *message.rest)).split())
        searched = ((self.match, text), (self.line, line), (self.requires, text), (self.whole, message.whole))
        fields: dict[str, str] = {}
        for pattern, where in searched:
            found = pattern.search(where[:_MOST]) if pattern is not None else None
            if pattern is not None and found is None:
                return None
            for name, value in (found.groupdict() if found else {}).items():
                if value is not None:
                    # Alternatives of one pattern cannot share the name of a group: the second is called NAME2.
                    fields.setdefault(name.rstrip("2"), _readable(name, value))
        return fields if self.needs <= fields.keys() else None

    def worded(self, fields: Mapping[str, str]) -> tuple[str, str | None]:
        """What is wrong, and what to do."""
        return self.says.format_map(fields), self.hint.format_map(fields) if self.hint else None


def _readable(name: str, value: str) -> str:
    if name.startswith("symbol"):
        return kernel_name(value)
    return str(int(value, 16)) if _NUMBER.fullmatch(value) else value.strip()


def kernel_name(symbol: str) -> str:
    """A function's name as its author writes it, without parameters where it is a kernel's; else the symbol."""
    try:
        return parse_signature(symbol).name
    except (CompileError, ToolchainError):
        pass
    try:
        return demangle(symbol)
    except ToolchainError:
        return symbol


@functools.cache
def read_causes() -> tuple[Cause, ...]:
    """The table, in its order."""
    return tuple(map(_cause, own_table("diagnostics.toml")["causes"]))


@functools.cache
def uncovered_causes() -> tuple[Cause, ...]:
    """What no header of `abi = "compat"` stands in for, by the user's line: `data/compat.toml`."""
    return tuple(
        Cause(
            match=re.compile(""),
            line=re.compile(api["match"]),
            says=_plain(f'{api["name"]} is not covered by abi = "compat": {api["why"]}'),
            hint=_plain(api.get("edit", 'abi = "exact" for the extension')),
            builds=frozenset({"compat"}),
            leads=True,
        )
        for api in own_table("compat.toml")["apis"]
        if "match" in api
    )


def _plain(text: str) -> str:
    """A text of the table of causes that has no fields."""
    return text.replace("{", "{{").replace("}", "}}")


def _cause(row: dict[str, Any]) -> Cause:
    patterns = {"match", "line", "requires", "whole"}
    values: dict[str, Any] = {key: re.compile(value) if key in patterns else value for key, value in row.items()}
    for key in ("tools", "builds"):
        values[key] = frozenset(row.get(key, ()))
    return Cause(**values)


def field_names(text: str) -> set[str]:
    """The fields that a text of the table has."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
