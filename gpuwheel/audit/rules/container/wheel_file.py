"""WHEEL: how the wheel says that it is to be installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.names_agree import dist_info_file, wheel_name
from gpuwheel.model.findings import Found, Part, Severity
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["WHEEL_RULES"]

_FORMAT = "binary distribution format, File contents: WHEEL; tried with pip, uv and installer"
_AGAIN = "build the wheel again; do not edit WHEEL by hand"
_VERSION = re.compile(r"(\d+)\.(\d+)")
_BUILD = re.compile(r"\d+\w*")


def _values(case: WheelCase, field: str) -> tuple[str, ...]:
    return field_values(dist_info_file(case, "WHEEL") or b"", field)


@rule(
    "wheel-file",
    needs={Part.MEMBERS},
    why="pip and uv refuse to install the wheel",
    fix=_AGAIN,
    source=_FORMAT,
)
def _wheel_file(case: WheelCase) -> Iterator[Found]:
    """WHEEL is missing, cannot be read, or is of a version that installers do not know."""
    if case.wheel.dist_info is None:
        return
    subject, document = f"{case.wheel.dist_info}/WHEEL", dist_info_file(case, "WHEEL")
    if document is None:
        yield Found(subject, "is missing (expected Wheel-Version, Root-Is-Purelib and tags)")
        return
    try:
        document.decode()
    except UnicodeDecodeError as error:
        yield Found(subject, f"is not UTF-8 (at byte {error.start:,}, expected UTF-8)")
        return
    versions = _values(case, "Wheel-Version")
    if len(versions) != 1:
        found = ", ".join(map(cut, versions)) or "none"
        yield Found(subject, f"has not exactly one Wheel-Version (found {found}, expected 1.0)")
    elif not (match := _VERSION.fullmatch(versions[0])):
        yield Found(subject, f"has no valid Wheel-Version (found {cut(versions[0])}, expected 1.0)")
    elif match[1] != "1":
        yield Found(subject, f"has a Wheel-Version that no installer knows (found {cut(versions[0])}, expected 1.0)")
    elif match[2] != "0":
        why = "pip warns that it may not install such a wheel rightly"
        problem = f"has a newer Wheel-Version (found {cut(versions[0])}, expected 1.0)"
        yield Found(subject, problem, why, severity=Severity.WARNING)


@rule(
    "purelib",
    needs={Part.METADATA, Part.LIBRARIES},
    why="where pure Python lies apart from libraries (lib and lib64 of Fedora and RHEL), files go to the wrong folder",
    fix="let the build backend know that the wheel has libraries (setuptools: has_ext_modules), and build again",
    source="binary distribution format, Root-Is-Purelib",
    severity=Severity.WARNING,
)
def _purelib(case: WheelCase) -> Iterator[Found]:
    """Root-Is-Purelib is no truth value, or is true of a wheel with libraries."""
    if dist_info_file(case, "WHEEL") is None:
        return
    subject, values = f"{case.wheel.dist_info}/WHEEL", _values(case, "Root-Is-Purelib")
    if not values:
        return  # installers take it for false
    if len(values) != 1 or values[0].lower() not in {"true", "false"}:
        found = ", ".join(map(cut, values)) or "none"
        why = "installers take what they cannot read for false"
        yield Found(subject, f"has no valid Root-Is-Purelib (found {found}, expected true or false)", why)
        return
    platforms = set(case.wheel.tag.platform.split("."))
    if values[0].lower() == "true" and case.wheel.libraries and "any" not in platforms:  # which is told of the tag
        problem = "says that it is pure Python and holds libraries (Root-Is-Purelib: true, expected false)"
        yield Found(subject, problem, facts={"libraries": len(case.wheel.libraries)})
    for library in case.wheel.libraries:
        if ".data/purelib/" in library.name:
            yield Found(library.name, "is a library in the folder of pure Python (.data/purelib, expected platlib)")


@rule(
    "build-number",
    needs={Part.METADATA, Part.NAME},
    why="installers sort wheels of one version by the number in the name; other tools read WHEEL",
    fix="set both by `wheel tags --build`",
    source="binary distribution format, File name convention: the build tag; WHEEL: Build",
    severity=Severity.WARNING,
)
def _build_number(case: WheelCase) -> Iterator[Found]:
    """The build number in WHEEL is not that of the file's name."""
    name, values = wheel_name(case), _values(case, "Build")
    if name is None or dist_info_file(case, "WHEEL") is None:
        return
    found = ", ".join(map(cut, values)) or "none"
    if values != ((name.build,) if name.build else ()):
        problem = f"has another build number in WHEEL than in its name (found {found}, expected {name.build or 'none'})"
        yield Found(case.wheel.name, problem)


WHEEL_RULES = (_wheel_file, _purelib, _build_number)
