"""The name of the file, of the folders in it and in METADATA: whether they are valid, normal and the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Part, Profile, Severity
from gpuwheel.wheel.metadata import field_values
from gpuwheel.wheel.naming import WheelName, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["AGREEMENT_RULES", "dist_info_file", "wheel_name"]

_FORMAT = "binary distribution format, File name convention and Escaping"
_SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")
_CU_SEGMENT = re.compile(r"(cu|cuda)([2-9]\d*)")
_PLACEHOLDER = re.compile(r"0+(\.0+)*")


def wheel_name(case: WheelCase) -> WheelName | None:
    """The parts of the file's name; `None` where it is not that of a wheel, which is a finding of its own."""
    try:
        return parse_wheel_name(case.wheel.name)
    except AuditError:
        return None


def dist_info_file(case: WheelCase, name: str) -> bytes | None:
    """A file of `.dist-info`; `None` where it or the folder is missing."""
    return case.wheel.document(name)


def _one(case: WheelCase, field: str) -> str | None:
    """The value of a field of METADATA that is there once."""
    values = field_values(dist_info_file(case, "METADATA") or b"", field)
    return values[0] if len(values) == 1 else None


@rule(
    "file-name",
    needs=(),
    why="pip, uv and every index refuse a wheel by its name, before they open it",
    fix="build the wheel again; do not rename wheels by hand",
    source=f"{_FORMAT}, as `packaging.utils.parse_wheel_filename` reads it",
)
def _file_name(case: WheelCase) -> Iterator[Found]:
    """The file's name is not that of a wheel."""
    try:
        parse_wheel_name(case.wheel.name)
    except AuditError as error:
        yield Found(cut(case.wheel.name), f"is not a wheel's name{str(error).partition('name')[2]}")


@rule(
    "file-name-spelling",
    needs={Part.NAME},
    why="tools that look for the normal name do not find the file",
    fix="build the wheel again with a current build backend, or rename file, .dist-info and METADATA together",
    source=f"{_FORMAT}; PEP 503, PEP 440 and PEP 425: how names, versions and tags are spelled",
    severity=Severity.WARNING,
)
def _spelling(case: WheelCase) -> Iterator[Found]:
    """The file's name is valid, and not spelled as the standard spells it."""
    name = wheel_name(case)
    if name is None:
        return
    normal = canonicalize_name(name.distribution).replace("-", "_")
    if name.distribution != normal:
        problem = f"spells its project otherwise than normal (found {cut(name.distribution)}, expected {cut(normal)})"
        yield Found(case.wheel.name, problem)
    version = str(Version(name.version)).replace("-", "_")
    if name.version != version:
        problem = f"spells its version otherwise than normal (found {cut(name.version)}, expected {cut(version)})"
        yield Found(case.wheel.name, problem)
    if str(name.tag) != str(name.tag).lower():
        why = "uv compares tags letter by letter, and finds that the wheel fits no Python; PyPI refuses it"
        problem = f"has capitals in its tag (found {cut(str(name.tag))}, expected lower case)"
        yield Found(case.wheel.name, problem, why, severity=Severity.ERROR)
    for part in (name.tag.python, name.tag.abi, name.tag.platform):
        tags = part.split(".")
        if len(set(tags)) != len(tags):
            yield Found(case.wheel.name, f"has a tag twice ({cut(part)}, expected each once)")


@rule(
    "dist-info",
    needs={Part.MEMBERS},
    why="pip and uv refuse to install the wheel",
    fix="build the wheel again; do not put a second project's files into it",
    source="binary distribution format, The .dist-info directory; tried with pip, uv and installer",
)
def _dist_info(case: WheelCase) -> Iterator[Found]:
    """There is no `.dist-info` folder, there are several, or it is another project's."""
    folders, name = case.wheel.dist_infos, wheel_name(case)
    surveyed = case.wheel.survey.members if case.wheel.survey else ()
    if not folders and any(".dist-info/" in member.name for member in surveyed):
        return  # it is there, and compressed in a way that is told by a rule of its own
    if len(folders) != 1:
        listed = cut(", ".join(folders)) or "none"
        yield Found(case.wheel.name, f"has not exactly one .dist-info folder (found {listed}, expected one)")
        return
    if name is None:
        return
    distribution, _, version = folders[0].removesuffix(".dist-info").partition("-")
    expected = f"{name.distribution}-{name.version}.dist-info"
    told = f"(found {cut(folders[0])}, expected {cut(expected)})"
    if canonicalize_name(distribution) != canonicalize_name(name.distribution):
        yield Found(folders[0], f"is the folder of another project {told}")
    elif _version(version) != _version(name.version):
        why = "PyPI refuses the wheel, and the folder on disk names a version that is not installed"
        yield Found(folders[0], f"is the folder of another version {told}", why)
    elif folders[0] != expected:
        why = "tools that look for the folder by the file's name do not find it; PyPI refuses some such wheels"
        yield Found(folders[0], f"is spelled otherwise than the file's name {told}", why, severity=Severity.WARNING)


def _told(name: WheelName) -> Version:
    """The version of a file's name, which was valid when that was read."""
    return Version(name.version.replace("_", "-"))


def _version(text: str) -> Version | str:
    try:
        return Version(text.replace("_", "-"))
    except ValueError:  # InvalidVersion, and numbers of thousands of digits
        return text


@rule(
    "data-folder",
    needs={Part.MEMBERS},
    why="pip and uv refuse to install the wheel",
    fix="put the files under a folder that installers know: purelib, platlib, scripts, headers or data",
    source="binary distribution format, The .data directory; tried with pip, uv and installer",
)
def _data_folder(case: WheelCase) -> Iterator[Found]:
    """A `.data` folder is another project's, holds what no installer knows, or installs over another file."""
    expected = case.wheel.dist_info and f"{case.wheel.dist_info.removesuffix('.dist-info')}.data"
    roots = {name for name in case.wheel.members if ".data/" not in name}
    for name in case.wheel.members:
        top, _, rest = name.partition("/")
        if not top.endswith(".data") or not rest:
            continue
        scheme, _, path = rest.partition("/")
        if expected is not None and top != expected:
            why = "pip takes it for a .data folder, uv and installer for an ordinary one"
            problem = f"is in a .data folder of another name (found {cut(top)}, expected {cut(expected)})"
            yield Found(cut(name), problem, why)
        elif not path or scheme not in _SCHEMES:
            listed = ", ".join(_SCHEMES)
            yield Found(cut(name), f"is where no installer knows what to do with it (expected one of {listed})")
        elif scheme in {"purelib", "platlib"} and path in roots:
            why = "installers differ in which of the two they keep, and installer stops"
            yield Found(cut(name), f"is installed over {cut(path)}, which is in the wheel too (expected one)", why)


@rule(
    "metadata-name",
    needs={Part.METADATA},
    why="pip and uv refuse to install the wheel, for it is not what they asked for",
    fix="build the wheel again; do not rename wheels by hand",
    source="core metadata, Name; tried with pip and uv",
)
def _metadata_name(case: WheelCase) -> Iterator[Found]:
    """METADATA names another project than the file's name."""
    name, said = wheel_name(case), _one(case, "Name")
    if name is not None and said is not None and canonicalize_name(said) != canonicalize_name(name.distribution):
        yield Found(
            case.wheel.name, f"is another project by METADATA (found {cut(said)}, expected {name.distribution})"
        )


@rule(
    "metadata-version",
    needs={Part.METADATA},
    why="uv refuses to install the wheel, and pip installs what it did not look for",
    fix="build the wheel again; `wheel` and auditwheel change no versions",
    source="core metadata, Version; PEP 440; tried with pip and uv",
)
def _metadata_version(case: WheelCase) -> Iterator[Found]:
    """METADATA gives another version than the file's name, or one that is not in normal form."""
    name, said = wheel_name(case), _one(case, "Version")
    if name is None or said is None:
        return
    version = _version(said)
    if isinstance(version, str):
        return  # an invalid field, told there
    if version != _version(name.version):
        yield Found(case.wheel.name, f"is another version by METADATA (found {cut(said)}, expected {name.version})")
    elif said != str(version):
        problem = f"spells its version otherwise than normal in METADATA (found {cut(said)}, expected {version})"
        why = "tools that compare texts take it for another version"
        yield Found(case.wheel.name, problem, why, severity=Severity.WARNING)


@rule(
    "version-local",
    needs={Part.NAME},
    why="PyPI takes no local versions; an index of your own does, and pip prefers them to the same version without",
    fix="leave it as it is for an index of your own; for PyPI, tell variants apart by the project's name",
    source="PEP 440, Local version identifiers; PyPI, Uploading: local versions are refused",
    severity=Severity.WARNING,
)
def _local(case: WheelCase) -> Iterator[Found]:
    """The version has a local part, which PyPI refuses, or one that sorts wrong."""
    name = wheel_name(case)
    local = name and _told(name).local
    if not local:
        return
    problem = f"has a local version (found +{cut(local)})"  # gpuwheel gives one where a project asks for it
    yield Found(case.wheel.name, problem, severity=Severity.NOTE, profile=Profile.ANY)
    for segment in local.split("."):
        if match := _CU_SEGMENT.fullmatch(segment):
            word, digits = match.groups()
            why = "segments with letters compare as texts: the older CUDA is installed where both fit"
            problem = f"has a local version that sorts behind that of newer CUDA ({word}{digits} > {word}12)"
            fix = f"write it with a dot: +{word}.{digits}"
            yield Found(case.wheel.name, problem, why, fix, cause="sorts wrong")


@rule(
    "version-unknown",
    needs={Part.NAME},
    why="every build gets the same version, so that no installer upgrades it and caches mix builds up",
    fix="build where the version can be found out: with the tags of git, or SETUPTOOLS_SCM_PRETEND_VERSION",
    source="setuptools-scm and versioneer: what they write where they find no tag",
    severity=Severity.WARNING,
)
def _unknown(case: WheelCase) -> Iterator[Found]:
    """The version is what tools write when they do not know it, or that of a work tree with changes."""
    name = wheel_name(case)
    if name is None:
        return
    version = _told(name)
    local = version.local or ""
    if _PLACEHOLDER.fullmatch(version.base_version):
        yield Found(case.wheel.name, f"has a version that says nothing ({version}, expected one above 0)")
    elif re.search(r"(^|\.)(dirty|d20\d{6}|unknown)(\.|$)", local):
        why = "nobody can tell from which sources it was built"
        fix = "commit, tag, and build again"
        yield Found(case.wheel.name, f"was built from sources with changes that no commit has ({version})", why, fix)


@rule(
    "version-epoch",
    needs={Part.NAME},
    why="versions with an epoch are newer than all without one: there is no way back to plain ones",
    fix="leave the epoch out, unless earlier releases of the project have one",
    source="PEP 440, Version epochs",
    severity=Severity.NOTE,
)
def _epoch(case: WheelCase) -> Iterator[Found]:
    """The version has an epoch."""
    name = wheel_name(case)
    version = name and _told(name)
    if version and version.epoch:
        yield Found(case.wheel.name, f"has a version with an epoch ({version}, usual without)")


AGREEMENT_RULES = (
    _file_name,
    _spelling,
    _dist_info,
    _data_folder,
    _metadata_name,
    _metadata_version,
    _local,
    _unknown,
    _epoch,
)
