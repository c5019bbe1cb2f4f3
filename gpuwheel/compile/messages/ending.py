"""How a failing build ends: the user's file and line, the first error, and a hint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.compile.messages.causes import read_causes, uncovered_causes
from gpuwheel.compile.messages.launches import explain_launch, short
from gpuwheel.compile.messages.reading import Position, read_messages
from gpuwheel.compile.messages.where import Place, kernel_line, position_of
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.compile.messages.causes import Cause
    from gpuwheel.compile.messages.reading import Message

__all__ = ["Place", "build_failure", "explain", "known_cause"]

_MOST_TEXT, _MOST_LINE = 400, 160  # characters
_MOST_ERRORS = 50  # that are looked at: the first one is the cause, or one of its first consequences tells
_KERNEL = re.compile(r"kernel (?P<kernel>\S+(?:<[^>]*>)?)")
_SHOW_ALL = "-C logging.level=INFO shows every command"


def build_failure(output: str, place: Place, doing: str) -> CompileError:
    """The error for a build that failed, from all that it printed (which the user has seen)."""
    errors = [message for message in read_messages(output) if message.is_error]
    if not errors:
        return CompileError(f"{doing}: the messages above say why", hint=_SHOW_ALL)
    message, hint = explain(errors, place)
    return CompileError(message, hint=hint or _SHOW_ALL)


def explain(errors: Sequence[Message], place: Place) -> tuple[str, str | None]:
    """What is wrong, in one to three lines, and what to do if that is known."""
    launch = explain_launch(errors, place)
    if launch is not None:
        return "\n".join(
            filter(None, (f"{_shown(launch.position)} {launch.says}", _indented(launch.declaration)))
        ), launch.hint
    error, cause, fields = known_cause(errors, place)
    position = position_of(error, place)
    says, hint = _own_words(error, place), None
    if cause is not None:
        says, hint = cause.worded(
            {"source": position.file if position else "", "groups": ", ".join(place.groups) or "none", **fields}
        )
        kernel = _KERNEL.match(says)
        if position is not None and position.line == 0 and kernel is not None:
            position = Position(position.file, kernel_line(position.file, kernel["kernel"], place))
    lines = [f"{_shown(position)} {says}" if position else says]
    if position is not None and (line := place.line(position).strip()):
        lines.append(_indented(line))
    return "\n".join(lines), hint


def known_cause(errors: Sequence[Message], place: Place) -> tuple[Message, Cause | None, dict[str, str]]:
    """The error to show, and its cause with the fields of its words, if it is known."""
    positions = [(error, position_of(error, place)) for error in errors[:_MOST_ERRORS]]
    lines = [(error, place.line(position) if position else "") for error, position in positions]
    for cause in (*(uncovered_causes() if place.build == "compat" else ()), *read_causes()):
        # Most causes explain the first error alone: later ones are often its consequences. Those that lead are worth
        # looking for in all.
        for error, line in lines if cause.leads else lines[:1]:
            fields = cause.explain(error, line, place.build)
            if fields is not None:
                return error, cause, fields
    return errors[0], None, {}


def _own_words(error: Message, place: Place) -> str:
    """What the tool said; where it is in a file that is not the user's, with its place."""
    text = error.text
    if error.tool == "cmake" or not text:
        text = " ".join(" ".join((text, *error.rest[:8])).split())
    text = short(text)
    if len(text) > _MOST_TEXT:
        text = f"{text[:_MOST_TEXT]} ..."
    if error.position is None or place.own(error.position.file):
        return text
    name = "/".join(error.position.file.rsplit("/", 3)[-2:])
    return f"{text} (in {name}:{error.position.line})"


def _shown(position: Position) -> str:
    """`csrc/ops.cpp:31:`."""
    return f"{position.file}:{position.line}:" if position.line else f"{position.file}:"


def _indented(line: str) -> str:
    return f"  {line[:_MOST_LINE]}" if line else ""
