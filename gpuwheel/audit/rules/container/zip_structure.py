"""The ZIP archive: what its readers take differently, or not at all. Names of members have a module of their own.

Each sentence about an installer was tried: pip 26.3, uv 0.13, installer 1.1 (which poetry and pdm use). What PyPI
refuses is written in its `warehouse/utils/zipfiles.py`.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.wheel.zip_survey import SurveyedMember, ZipSurvey

__all__ = ["ARCHIVE_RULES", "members"]

_APPNOTE = "PKWARE APPNOTE 6.3.10"
_PYPI = "PyPI, Wheel archive confusion attacks (2025-08-07)"
_REWRITE = "write the archive anew: unpack it, then `wheel pack`, or build it again"
_ENCRYPTED, _STREAMED, _STRONG = 0x1, 0x8, 0x40
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 20: "zstd", 93: "zstd", 95: "xz", 98: "ppmd"}
"""4.4.5; 0 and 8 are what the format of wheels has."""
_READ_BY_ALL = (0, 8)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def _survey(case: WheelCase) -> ZipSurvey:
    survey = case.wheel.survey
    if survey is None:  # rules that ask for Part.ARCHIVE are not asked without one
        msg = "no survey"
        raise LookupError(msg)
    return survey


def members(case: WheelCase) -> tuple[SurveyedMember, ...]:
    """Every entry of the archive's directory but folders."""
    return _survey(case).files


@rule(
    "archive-duplicate",
    needs={Part.ARCHIVE},
    why="readers differ in which of the two they take, so that what was checked may not be what is installed; PyPI "
    "refuses the file",
    fix=_REWRITE,
    source=f"{_PYPI}; tried: pip takes the last, installer stops",
)
def _duplicate(case: WheelCase) -> Iterator[Found]:
    """A name occurs twice in the archive."""
    counts: dict[bytes, int] = {}
    for member in members(case):
        counts[member.raw_name] = counts.get(member.raw_name, 0) + 1
        if counts[member.raw_name] == 2:  # noqa: PLR2004 (told once, however often)
            yield Found(cut(member.name), "is in the archive more than once (expected once)")


@rule(
    "archive-encrypted",
    needs={Part.ARCHIVE},
    why="no installer asks for a password: pip and uv stop",
    fix="write it without encryption",
    source=f"{_APPNOTE}, 4.4.4, bits 0 and 6; tried with pip, uv and installer",
)
def _encrypted(case: WheelCase) -> Iterator[Found]:
    """A member is encrypted."""
    for member in members(case):
        if member.flags & (_ENCRYPTED | _STRONG):
            yield Found(cut(member.name), "is encrypted (expected stored or deflated, without a password)")


@rule(
    "archive-method",
    needs={Part.ARCHIVE},
    why="not every installer can unpack it",
    fix="compress it with deflate, or store it",
    source="PEP 427: wheels are stored or deflated; tried with pip, uv and installer",
)
def _method(case: WheelCase) -> Iterator[Found]:
    """A member is compressed by another method than deflate."""
    for member in members(case):
        if member.method in _READ_BY_ALL:
            continue
        name = _METHODS.get(member.method, "an unknown method")
        why = {
            "zstd": "pip cannot unpack it before Python 3.14",
            "bzip2": "uv refuses the whole wheel",
            "lzma": "uv refuses the whole wheel",
        }.get(name, "pip and uv cannot unpack it")
        problem = f"is compressed with {name} (ZIP method {member.method}, expected 0 or 8: stored or deflate)"
        yield Found(cut(member.name), problem, why, facts={"method": member.method})


@rule(
    "archive-special",
    needs={Part.ARCHIVE},
    why="installers write an ordinary file",
    fix="put the file itself there",
    source="binary distribution format: no links; tried with pip, uv and installer",
)
def _special(case: WheelCase) -> Iterator[Found]:
    """A member is a link or another special file."""
    for member in members(case):
        kind = _KINDS.get(stat.S_IFMT(member.mode))
        if kind == "a symbolic link":
            why = "no installer makes links: a file is written that holds the path to which it points"
            yield Found(cut(member.name), f"is {kind} (expected a file)", why)
        elif kind is not None:
            why = "installers write an ordinary file with its content"
            yield Found(cut(member.name), f"says that it is {kind} (expected a file)", why, severity=Severity.WARNING)


@rule(
    "archive-header",
    needs={Part.ARCHIVE},
    why="installers that read the archive as a stream, and those that read its directory, would see different files",
    fix=_REWRITE,
    source=f"{_APPNOTE}, 4.3.7 and 4.3.12; {_PYPI}",
)
def _header(case: WheelCase) -> Iterator[Found]:
    """The header in front of a member says something else than the archive's directory."""
    shared = {name for pair in _survey(case).overlaps for name in pair}
    for member in members(case):
        if member.name in shared:
            continue  # told as what it is
        said = [f"{what}: {mine} in the directory, {theirs} before it" for what, mine, theirs in member.differences]
        names = {name for name in (member.unicode_name, member.local and member.local.unicode_name) if name}
        said += [f"another name in an extra field: {cut(ascii(name.decode(errors='replace')))}" for name in names]
        if said:
            what = sorted({what for what, _, _ in member.differences} | ({"name"} if names else set()))
            yield Found(
                cut(member.name),
                f"is described twice and differently ({'; '.join(said)})",
                _why_header(what),
                cause="\0".join(what),
                facts={"differs": what},
            )


def _why_header(what: list[str]) -> str | None:
    if "name" in what:
        return "pip and uv refuse it, or install it under one name or the other; PyPI refuses the file"
    if {"size", "compressed size"} & set(what):
        return "uv and PyPI refuse it"
    return None


@rule(
    "archive-overlap",
    needs={Part.ARCHIVE},
    why="a small archive that unpacks without end is made so; Python refuses to read such members",
    fix=_REWRITE,
    source="CPython, zipfile: overlapped entries are refused (CVE-2024-0450)",
)
def _overlap(case: WheelCase) -> Iterator[Found]:
    """Members share bytes of the archive."""
    for first, second in _survey(case).overlaps:
        yield Found(cut(second), f"shares bytes with {cut(first)} (expected to lie behind it)", cause="overlap")


@rule(
    "archive-hidden",
    needs={Part.ARCHIVE},
    why="they are in the digest of the file and in no list of what it holds; PyPI refuses such files",
    fix=_REWRITE,
    source=f"{_PYPI}; `_handle_central_directory_header` and `validate_zipfile` of its zipfiles.py",
)
def _hidden(case: WheelCase) -> Iterator[Found]:
    """The archive holds bytes that belong to no member."""
    survey = _survey(case)
    # Where members share bytes, some others are left over.
    for gap in () if survey.overlaps else survey.gaps:
        facts = {"offset": gap.offset, "bytes": gap.size}
        problem = f"holds {gap.size:,} bytes that belong to no member ({cut(gap.place)}, expected none)"
        yield Found(case.wheel.name, problem, facts=facts)
    if survey.comment:
        problem = f"has a comment behind its directory ({cut(ascii(survey.comment))}, expected none)"
        why = "no installer shows it; tools that look for the end of the archive may take a part of it for the end"
        yield Found(case.wheel.name, problem, why, severity=Severity.WARNING)
    for member in members(case):
        if member.comment:
            yield Found(cut(member.name), "has a comment in the directory (expected none)", "PyPI refuses the file")


@rule(
    "archive-descriptor",
    needs={Part.ARCHIVE},
    why="who reads the archive as a stream cannot know where the member ends; PyPI refuses the file",
    fix="write the archive to a file, not to a pipe, so that sizes stand in front",
    source=f"{_APPNOTE}, 4.3.9; {_PYPI}",
    severity=Severity.WARNING,
)
def _descriptor(case: WheelCase) -> Iterator[Found]:
    """The size of a member is written behind it only."""
    for member in members(case):
        if member.flags & _STREAMED and member.local is not None and member.local.flags & _STREAMED:
            yield Found(cut(member.name), "has its size behind its data (a data descriptor, expected none)")


@rule(
    "archive-end",
    needs={Part.ARCHIVE},
    why="readers differ in which of two statements they believe; uv and PyPI refuse such files",
    fix=_REWRITE,
    source=f"{_APPNOTE}, 4.3.14 to 4.3.16; {_PYPI}",
)
def _end(case: WheelCase) -> Iterator[Found]:
    """What the end of the archive says of its directory is not so."""
    for problem in _survey(case).problems:
        yield Found(case.wheel.name, f"{problem} (expected one answer)")


@rule(
    "archive-time",
    needs={Part.ARCHIVE},
    why="tools that unpack or repack the wheel with its times may fail",
    fix="set SOURCE_DATE_EPOCH to 315532800 (1980-01-01) or later",
    source=f"{_APPNOTE}, 4.4.6: dates are those of MS-DOS, from 1980-01-01 on",
    severity=Severity.NOTE,
)
def _time(case: WheelCase) -> Iterator[Found]:
    """A member has a date that is none."""
    for member in members(case):
        month, day = member.date >> 5 & 0xF, member.date & 0x1F
        if not (1 <= month <= 12 and day >= 1):  # noqa: PLR2004 (of a year)
            yield Found(cut(member.name), "has a date that is none (month or day 0, expected one from 1980 on)")


@rule(
    "archive-mode",
    needs={Part.ARCHIVE},
    why="who unpacks the wheel with unzip cannot read the file; pip and uv set modes of their own",
    fix="write it with mode 0644, or 0755 for programs",
    source="binary distribution format: a wheel may be installed by unzip; tried with pip, uv and installer",
    severity=Severity.NOTE,
)
def _mode(case: WheelCase) -> Iterator[Found]:
    """A member has permissions that keep its owner from reading it, or that give the rights of its owner away."""
    for member in members(case):
        mode = stat.S_IMODE(member.mode)
        if mode & (stat.S_ISUID | stat.S_ISGID):
            why = "pip and uv drop the bits; who unpacks it as root gets a program that runs as root"
            yield Found(cut(member.name), f"is set-user-ID or set-group-ID ({mode:04o}, expected 0644 or 0755)", why)
        elif member.mode and not mode & stat.S_IRUSR:
            yield Found(cut(member.name), f"has a mode without reading ({mode:04o}, expected 0644 or 0755)")


PACKED_ANEW = frozenset({"archive-hidden", "archive-descriptor", "archive-end", "archive-time", "archive-mode"})
"""Rules whose findings are about no file of the wheel: an archive that is written anew has none of it."""
ARCHIVE_RULES = (
    _duplicate,
    _encrypted,
    _method,
    _special,
    _header,
    _overlap,
    _hidden,
    _descriptor,
    _end,
    _time,
    _mode,
)
