"""Requirements in core metadata (METADATA, PKG-INFO), edited as bytes so that nothing else changes.

Core metadata is made of header fields, one per line with indented continuation lines, then a blank line and the
description (https://packaging.python.org/specifications/core-metadata). An email parser would refold and re-encode it.
"""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel._endings import cut, reading
from gpuwheel._limits import REQUIREMENT_TEXT, REQUIREMENTS, REQUIREMENTS_TEXT
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "add_requirements",
    "field_values",
    "leave_requirements",
    "parsed_requirements",
    "requirements",
    "set_field",
    "valid_requirement",
    "valid_requirements",
]

_END_OF_HEADERS = re.compile(rb"\r?\n(?=\r?\n)")
# Printable ASCII but for the colon: RFC 5322, section 2.2, which core metadata follows.
_FIELD = re.compile(rb"(?P<name>[!-9;-~]+):[ \t]*(?P<value>.*)", re.DOTALL)
_REQUIRES = b"requires-dist"
_PROVIDES = b"provides-extra"
_AGAIN = "download or build the file again"
# `packaging` has no public way into a marker; its text is in one spelling, with extras normalised.
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")


def _split(document: bytes) -> tuple[list[bytes], bytes, bytes]:
    """`(fields, line ending, rest)`: fields keep their continuation lines; the rest starts with the blank line."""
    end = _END_OF_HEADERS.search(document)
    head, rest = (document[: end.start()], document[end.end() :]) if end else (document.rstrip(b"\r\n"), b"")
    # Whichever the file has: both are read, and a mixture would be a change.
    newline = b"\r\n" if b"\r\n" in head else b"\n"
    fields: list[list[bytes]] = []  # pieces, joined once: a field may have a million continuation lines
    for line in head.split(newline):
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1].append(line)
        else:
            fields.append([line])
    return [newline.join(pieces) for pieces in fields], newline, rest


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _value(field: bytes) -> str:
    match = _FIELD.fullmatch(field)
    return " ".join(match["value"].decode(errors="replace").split()) if match else ""


def _parse(requirement: str) -> Requirement:
    hint = "correct it in `dependencies`"
    if len(requirement) > REQUIREMENT_TEXT.value:
        found = REQUIREMENT_TEXT.passed(f"{len(requirement):,}")
        msg = f"{cut(requirement)} is not a requirement ({found})"
        raise AuditError(msg, hint=hint)
    with reading(f"{cut(repr(requirement))} is not a requirement", "for example 'torch>=2.10'", hint=hint):
        return Requirement(requirement)


def _key(requirement: str) -> str:
    """One spelling per requirement: two texts with the same key ask for the same."""
    parsed = _parse(requirement)
    # str() keeps the name as it is written, and two spellings are one project (PEP 503).
    parsed.name = canonicalize_name(parsed.name)
    return str(parsed)


def field_values(document: bytes, name: str) -> tuple[str, ...]:
    """Values of a header field, in order; names do not distinguish upper and lower case."""
    wanted = name.lower().encode()
    return tuple(_value(field) for field in _split(document)[0] if _name(field) == wanted)


def requirements(document: bytes) -> tuple[str, ...]:
    """The Requires-Dist values as they are written."""
    return field_values(document, "Requires-Dist")


def parsed_requirements(document: bytes) -> tuple[Requirement, ...]:
    """The Requires-Dist values.

    Raises:
        AuditError: one of them is not valid (PEP 508), or there are too many.
    """
    return tuple(_parse(text) for text in _bounded(document))


def _bounded(document: bytes) -> tuple[str, ...]:
    texts = requirements(document)
    if len(texts) > REQUIREMENTS.value:
        msg = f"METADATA has too many Requires-Dist entries ({REQUIREMENTS.passed(f'{len(texts):,}')})"
        raise AuditError(msg, hint=_AGAIN)
    if (total := sum(map(len, texts))) > REQUIREMENTS_TEXT.value:
        msg = f"METADATA has too long Requires-Dist entries ({REQUIREMENTS_TEXT.passed(f'{total:,}')})"
        raise AuditError(msg, hint=_AGAIN)
    return texts


def valid_requirements(document: bytes) -> tuple[Requirement, ...]:
    """The Requires-Dist values that are valid (PEP 508): for who tells of the others apart.

    Raises:
        AuditError: there are too many.
    """
    return tuple(found for text in _bounded(document) if (found := valid_requirement(text)) is not None)


@lru_cache(maxsize=1 << 12)  # of a marker of fifty words, a quarter of a millisecond, and several rules ask
def valid_requirement(text: str) -> Requirement | None:
    """A Requires-Dist value, not to be changed; `None` where it is not valid (PEP 508)."""
    with contextlib.suppress(AuditError):
        return _parse(text)
    return None


def set_field(document: bytes, name: str, values: Sequence[str]) -> bytes:
    """Headers in which `name` has exactly `values`, where its first value was, else at the end; the rest is kept."""
    fields, newline, rest = _split(document)
    wanted = name.lower().encode()
    place = next((index for index, field in enumerate(fields) if _name(field) == wanted), len(fields))
    others = [field for field in fields[place:] if _name(field) != wanted]
    lines = [*fields[:place], *(f"{name}: {value}".encode() for value in values), *others]
    return newline.join(lines) + newline + rest


def add_requirements(metadata: bytes, requirements: Sequence[str]) -> bytes:
    """Core metadata that also requires `requirements`, and provides the extras that their markers name.

    Present requirements keep their place and spelling, new ones follow in the order given, each requirement occurs
    once. `Dynamic: Requires-Dist` and `Dynamic: Provides-Extra` go away: what is written now is final (PEP 643).
    Everything else, the description above all, is kept byte for byte. Doing it twice changes nothing.

    Raises:
        AuditError: a requirement, given or present, is not valid (PEP 508).
    """
    fields, newline, rest = _split(metadata)
    provided = {_value(field) for field in fields if _name(field) == _PROVIDES}
    seen: set[str] = set()
    kept: list[bytes] = []
    place = None
    for field in fields:
        # An sdist that still says Dynamic would make installers build it to learn what it requires (PEP 643).
        if _name(field) == b"dynamic" and _value(field).lower().encode() in {_REQUIRES, _PROVIDES}:
            continue
        if _name(field) == _REQUIRES:
            key = _key(_value(field))
            if key in seen:
                continue
            seen.add(key)
            kept.append(field)
            place = len(kept)
        else:
            kept.append(field)
    # Behind the last requirement that is there, and else at the end of the headers.
    place = len(kept) if place is None else place
    new: list[bytes] = []
    for requirement in requirements:
        if (key := _key(requirement)) in seen:
            continue
        seen.add(key)
        for extra in _extras(requirement):
            if extra not in provided:
                provided.add(extra)
                new.append(f"Provides-Extra: {extra}".encode())
        new.append(f"Requires-Dist: {requirement}".encode())
    return newline.join([*kept[:place], *new, *kept[place:]]) + newline + rest


def leave_requirements(metadata: bytes) -> bytes:
    """Core metadata of an sdist that leaves Requires-Dist to its wheels, which differ in it (`Dynamic`, PEP 643)."""
    others = [name for name in field_values(metadata, "Dynamic") if name.lower() != "requires-dist"]
    return set_field(metadata, "Dynamic", [*others, "Requires-Dist"])


def _extras(requirement: str) -> list[str]:
    """The extras in the marker of a requirement."""
    return _EXTRA.findall(str(_parse(requirement).marker))
