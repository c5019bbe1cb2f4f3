"""Names of wheels and sdists (binary distribution format, PEP 625, PEP 440), parsed by `packaging`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from gpuwheel._endings import cut, reading
from gpuwheel.model.wheels import WheelTag

if TYPE_CHECKING:
    from packaging.version import Version

__all__ = ["WheelName", "expand_tag", "parse_sdist_name", "parse_wheel_name", "sdist_name"]

_WHEEL_FORM = "NAME-VERSION-PYTHON-ABI-PLATFORM.whl"


@dataclass(frozen=True)
class WheelName:
    """A wheel's file name in its parts, spelled as they are in the name."""

    distribution: str
    version: str
    tag: WheelTag
    """May be compressed: `py2.py3-none-any`."""
    build: str = ""

    @classmethod
    def compose(cls, distribution: str, version: Version, tag: WheelTag) -> WheelName:
        """From a project's name in any spelling."""
        # Binary distribution format, "Escaping and Unicode": a dash only ever divides the parts of the name.
        return cls(_escape(distribution), str(version).replace("-", "_"), tag)

    def with_platform(self, platform: str) -> WheelName:
        """The name of a wheel for another platform tag, and else as this one."""
        return replace(self, tag=replace(self.tag, platform=platform))

    def __str__(self) -> str:
        return "-".join(filter(None, (self.distribution, self.version, self.build, str(self.tag)))) + ".whl"


def _escape(name: str) -> str:
    return canonicalize_name(name).replace("-", "_")


def parse_wheel_name(filename: str) -> WheelName:
    """The parts of a wheel's file name.

    Raises:
        AuditError: `filename` breaks the standard's rules.
    """
    with reading(f"{cut(repr(filename))} is not a wheel's name", _WHEEL_FORM, hint="do not rename wheels by hand"):
        parse_wheel_filename(filename)
        # Which packaging lets pass in the number of a build; a name that others send must not lead to another folder.
        if "/" in filename or "\\" in filename or not filename.isprintable():
            msg = "a path, or not even that"
            raise ValueError(msg)
    # packaging validates but normalises the spelling away; the standard allows no other dash.
    distribution, version, *build, python, abi, platform = filename.removesuffix(".whl").split("-")
    return WheelName(distribution, version, WheelTag(python, abi, platform), "".join(build))


def expand_tag(tag: WheelTag) -> tuple[WheelTag, ...]:
    """Every single tag that a compressed tag stands for, in the order of its parts (PEP 425)."""
    return tuple(
        WheelTag(python, abi, platform)
        for python in tag.python.split(".")
        for abi in tag.abi.split(".")
        for platform in tag.platform.split(".")
    )


def sdist_name(distribution: str, version: Version) -> str:
    """`name-version.tar.gz` (PEP 625)."""
    return f"{_escape(distribution)}-{version}.tar.gz"


def parse_sdist_name(filename: str) -> tuple[str, Version]:
    """`(normalised name, version)` of an sdist.

    Raises:
        AuditError: `filename` is not `NAME-VERSION.tar.gz`.
    """
    subject = f"{cut(repr(filename))} is not an sdist's name"
    with reading(subject, "NAME-VERSION.tar.gz", hint="do not rename sdists by hand"):
        name, version = parse_sdist_filename(filename)
    return str(name), version
