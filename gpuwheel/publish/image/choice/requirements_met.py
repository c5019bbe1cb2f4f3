"""Whether what is installed has all that it requires: nothing resolves in an image, and nothing is downloaded there."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel._endings import cut, reading
from gpuwheel.errors import AuditError, ImageError
from gpuwheel.wheel.metadata import field_values, parsed_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.requirements import Requirement

    from gpuwheel.publish.image.choice.fitting import Target
    from gpuwheel.publish.image.image_plan import ImageWheel

__all__ = ["check_requirements", "marker_environment", "required_names"]


def marker_environment(target: Target) -> dict[str, str]:
    """What environment markers see in the image (PEP 508)."""
    version = f"{target.python.version[0]}.{target.python.version[1]}"
    full = _full_version(target, version)
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": version,
        "sys_platform": "linux",
    }


def _full_version(target: Target, version: str) -> str:
    # Docker's official images of Python say it; of others nothing is known, and the latest is taken.
    stated = "" if target.base is None else target.base.env.get("PYTHON_VERSION", "")
    return stated if stated.startswith(f"{version}.") else f"{version}.99"


def _wanted(wheel: ImageWheel, extras: set[str], environment: Mapping[str, str]) -> list[Requirement]:
    found = []
    try:
        stated = parsed_requirements(wheel.metadata)
    except AuditError as error:
        msg = f"{wheel.filename}: {error.message}"
        raise AuditError(msg, hint="download or build the wheel again") from error
    for requirement in stated:
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)):
            found.append(requirement)
    return found


def required_names(wheels: Sequence[ImageWheel], target: Target) -> dict[str, set[str]]:
    """Distribution -> what it requires of the others, with the extras that any of them asks for."""
    return {name: {need for need, _ in needs} for name, needs in _needs(wheels, target).items()}


def _needs(wheels: Sequence[ImageWheel], target: Target) -> dict[str, list[tuple[str, Requirement]]]:
    environment = marker_environment(target)
    by_name = {wheel.name: wheel for wheel in wheels}
    extras: dict[str, set[str]] = {name: set() for name in by_name}
    needs: dict[str, list[tuple[str, Requirement]]] = {}
    waiting = deque(by_name)
    while waiting:
        name = waiting.popleft()
        wanted = _wanted(by_name[name], extras[name], environment)
        needs[name] = [(canonicalize_name(one.name), one) for one in wanted]
        for need, one in needs[name]:
            asked = {canonicalize_name(extra) for extra in one.extras}
            if need in extras and not asked <= extras[need]:
                extras[need] |= asked
                waiting.append(need)
    return needs


def check_requirements(wheels: Sequence[ImageWheel], target: Target) -> None:
    """Make sure that each wheel finds what it requires, in the version it wants.

    Raises:
        ImageError: something is missing, of another version, or wants another Python; all of it is named.
        AuditError: a requirement cannot be read.
    """
    versions = {wheel.name: wheel.version for wheel in wheels}
    problems = []
    for name, needs in sorted(_needs(wheels, target).items()):
        for need, one in needs:
            if need not in versions:
                problems.append(f"{name} requires {cut(one)}, which is not there")
            elif not one.specifier.contains(versions[need], prereleases=True):
                problems.append(f"{name} requires {cut(one)}, and {versions[need]} is there")
    python = marker_environment(target)["python_full_version"]
    for wheel in wheels:
        stated = next(iter(field_values(wheel.metadata, "Requires-Python")), "")
        with reading(f"{wheel.filename} has a Requires-Python that is none", "for example '>=3.10'"):
            if not SpecifierSet(stated).contains(python, prereleases=True):
                problems.append(f"{wheel.name} requires Python {cut(stated)}, and the image has {target.python}")
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")  # noqa: PLR2004
        msg = f"the image would lack what its wheels require ({shown})"
        raise ImageError(msg, hint="add the wheels, or a lock file that has them; --no-deps-check leaves this out")
