"""Names of members: those that installers refuse, and those that other systems cannot have."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel._archives import clashing_names
from gpuwheel._endings import cut
from gpuwheel._limits import FILE_NAME, PATH_NAME
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.zip_structure import members
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.wheel.zip_survey import SurveyedMember

__all__ = ["NAME_RULES", "misnamed"]

_UTF8 = 0x800
_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_ORDINARY = re.compile(r"[\w+@=,~-][\w.+@=,~-]*(?:/[\w+@=,~-][\w.+@=,~-]*)*", re.ASCII)
"""A plain path of characters that every system has in names."""
_LONG = 200
"""Characters of a path that leave 60 of the 260 of Windows for the folder of an environment."""
_TOO_LONG = "no file system of Linux takes it: pip and uv stop"
_FIX = "rename the file, or leave it out"


@rule(
    "archive-name",
    needs={Part.ARCHIVE},
    why="installers refuse the wheel, or write the file where nobody looks for it",
    fix=_FIX,
    source="binary distribution format; PEP 706 names the same dangers of sdists; tried with pip, uv and installer",
)
def _name(case: WheelCase) -> Iterator[Found]:
    """A member's name is not a plain path inside the wheel."""
    for member in members(case):
        if wrong := _wrong(member):
            problem, why, severity = wrong
            yield Found(cut(ascii(member.name)[1:-1]), problem, why, severity=severity)


def _wrong(member: SurveyedMember) -> tuple[str, str, Severity] | None:
    """What is wrong with a name: problem, why, severity."""
    name, error, warning = member.name, Severity.ERROR, Severity.WARNING
    if len(name) <= _LONG and _ORDINARY.fullmatch(name):
        return None  # as nearly all are, of which there may be 10^5
    parts = name.split("/")
    plain = {"", ".", ".."}.isdisjoint(parts)
    lost = "pip refuses the wheel, and uv drops the file"
    garbled = "uv and PyPI refuse the wheel, and pip ends a name at a NUL"
    strange = "on Linux the backslash or colon becomes a part of the file's name, on Windows it leads elsewhere"
    moved = "it is installed under another path than RECORD says: uninstalling leaves it behind"
    # A name in code page 437 is a finding of its own.
    text = bool(member.flags & _UTF8) or member.raw_name.isascii()
    long = any(len(part.encode("utf-8", "replace")) > FILE_NAME.value for part in parts)
    checks = (
        (_leads_out(parts), "leads out of the wheel (.., expected a path inside)", lost, error),
        (not name, "has no name (expected a path)", "installers stop", error),
        (name.startswith("/"), "is an absolute path (expected one inside the wheel)", lost, error),
        (text and not name.isprintable(), "has a name that does not print (expected a path)", garbled, error),
        ("\\" in name, "is a path of Windows (a backslash, expected /)", strange, error),
        (_DRIVE.match(name), "is a path of Windows (a drive, expected a path inside the wheel)", strange, error),
        (long, f"has a name that is too long (a part of more than {FILE_NAME.value} bytes)", _TOO_LONG, error),
        (len(name) > PATH_NAME.value, f"has a path that is too long (expected at most {PATH_NAME})", _TOO_LONG, error),
        (
            not plain and str(PurePosixPath(name)) != name,
            "is not the plain path of a file (. or // in it)",
            moved,
            warning,
        ),
        (".." in parts, "is not the plain path of a file (.. in it)", moved, warning),
    )
    return next(((problem, why, severity) for wrong, problem, why, severity in checks if wrong), None)


def misnamed(case: WheelCase) -> frozenset[str]:
    """Names with which something is wrong, however they may be read: rules of other lists need not say it again."""
    found: set[str] = set()
    for member in members(case) if case.wheel.survey else ():
        if _wrong(member) or not (member.raw_name.isascii() or member.flags & _UTF8):
            raw = member.raw_name
            found |= {
                member.name,
                member.name.partition("\0")[0],
                raw.decode("latin-1"),
                raw.decode("utf-8", "replace"),
            }
    return frozenset(found)


def _leads_out(parts: list[str]) -> bool:
    depth = 0
    for part in parts:
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


@rule(
    "archive-name-encoding",
    needs={Part.ARCHIVE},
    why="uv refuses the wheel, and pip installs the file under a garbled name",
    fix="write names in UTF-8 with bit 11 of the flags set, as Python's zipfile does",
    source="PKWARE APPNOTE 6.3.10, 4.4.4, bit 11, and appendix D; tried with pip and uv",
)
def _encoding(case: WheelCase) -> Iterator[Found]:
    """A member's name is not marked as UTF-8, or is marked so and is not."""
    for member in members(case):
        if member.raw_name.isascii():
            continue
        subject = cut(ascii(member.name)[1:-1])
        if not member.flags & _UTF8:
            yield Found(subject, "has a name that is not ASCII and not marked as UTF-8 (expected the mark)")
            continue
        try:
            member.raw_name.decode()
        except UnicodeDecodeError:
            yield Found(subject, "has a name marked as UTF-8 that is not (expected UTF-8)", "pip and uv cannot read it")


@rule(
    "archive-clash",
    needs={Part.ARCHIVE},
    why="no file system has both: pip and uv stop",
    fix="rename one of the two",
    source="tried with pip, uv and installer",
)
def _clash(case: WheelCase) -> Iterator[Found]:
    """A name is a file and, in another name, a folder."""
    names = {member.name for member in members(case)}
    if clash := clashing_names(names):
        yield Found(cut(clash), "is a file and a folder (expected one of them)")


@rule(
    "archive-case",
    needs={Part.ARCHIVE, Part.NAME},
    why="on a file system that ignores case one of them is lost (Windows, macOS, folders of either in a container)",
    fix=_FIX,
    source="Microsoft, Naming Files; Apple, APFS",
    severity=Severity.WARNING,
)
def _case(case: WheelCase) -> Iterator[Found]:
    """Names differ in upper and lower case alone, or in how an accent is written."""
    severity = Severity.WARNING if _elsewhere(case, ("any", "win", "macosx")) else Severity.NOTE
    first: dict[str, str] = {}
    told: set[str] = set()
    for member in members(case):
        path = ""
        # Folders as well: Ops/a.py and ops/b.py.
        for part in member.name.split("/"):
            path = f"{path}/{part}" if path else part
            key = unicodedata.normalize("NFC", path).casefold() if not path.isascii() else path.lower()
            other = first.setdefault(key, path)
            if other != path and key not in told:
                told.add(key)
                yield Found(cut(path), f"differs from {cut(other)} in case or accents alone", severity=severity)


@rule(
    "archive-name-portable",
    needs={Part.ARCHIVE, Part.NAME},
    why="Windows cannot write the file, and the tag says that the wheel installs there",
    fix=f"{_FIX}, or tag the wheel for Linux",
    source="Microsoft, Naming Files, Paths, and Namespaces",
    severity=Severity.WARNING,
)
def _portable(case: WheelCase) -> Iterator[Found]:
    """A member's name is one that Windows does not take, in a wheel that is for Windows too."""
    if not _elsewhere(case, ("any", "win")):
        return
    for member in members(case):
        parts = member.name.split("/")
        if any(_RESERVED.match(part) for part in parts):
            yield Found(cut(member.name), "has a name that Windows reserves for a device")
        elif any(part.endswith((".", " ")) and part not in {".", ".."} for part in parts):
            yield Found(cut(member.name), "has a name that ends with a dot or a space, which Windows drops")
        elif _FORBIDDEN.search(member.name) and not _DRIVE.match(member.name):
            yield Found(cut(member.name), 'has a name with one of <>:"|?*, which Windows does not take')
        elif len(member.name) > _LONG:
            why = (
                "Windows takes paths of 260 characters unless it is told otherwise, with the folder of the environment"
            )
            problem = f"has a path of more than {_LONG} characters"
            yield Found(cut(member.name), problem, why, severity=Severity.NOTE)


def _elsewhere(case: WheelCase, platforms: tuple[str, ...]) -> bool:
    return any(platform.startswith(platforms) for platform in case.wheel.tag.platform.split("."))


NAME_RULES = (_name, _encoding, _clash, _case, _portable)
