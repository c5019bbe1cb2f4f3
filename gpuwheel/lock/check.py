"""Whether a build uses what its lock file names, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

from gpuwheel import __version__
from gpuwheel.errors import LockError
from gpuwheel.lock.file import LOCK_FILE, Lock, LockedCompiler
from gpuwheel.toolchain.probes.programs import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from packaging.pylock import Package, PackageWheel, Pylock

    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.model.toolchain import HostCompiler

__all__ = [
    "BuildInputs",
    "check_inputs",
    "check_installed",
    "check_requirements",
    "locked_requirements",
    "make_lock",
    "pin_digests",
    "selected",
]


@dataclass(frozen=True)
class BuildInputs:
    """Everything that the build of a cell takes from outside the project and gpuwheel's own files."""

    pins: tuple[Pin, ...]
    """Distributions that the build environment holds, or else the cache."""
    headers: tuple[HeadersPin, ...]
    host: HostCompiler | None
    """`None`: no host code is compiled."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """What else goes into the build, by its name -> sha256; for files that only the cache holds, `pin_digests`."""


def pin_digests(pins: Iterable[Pin]) -> dict[str, str]:
    """File name -> sha256 of every file of distributions that no build environment holds."""
    return {file.filename: file.sha256 for pin in pins for file in pin.files}


def make_lock(packages: Pylock, inputs: BuildInputs) -> Lock:
    """The lock of a build that uses `inputs`, in an environment of `packages`.

    Raises:
        LockError: the index has another file under the name of a pin.
    """
    lock = Lock(
        digest="",
        packages=packages,
        version=__version__,
        headers={pin.requirement: pin.digest for pin in inputs.headers},
        digests=inputs.digests,
        host=_locked(inputs.host),
    )
    wrong = list(_pin_differences(lock, inputs.pins))
    if wrong:
        msg = f"the package index does not have what gpuwheel pins: {wrong[0]}"
        raise LockError(msg, hint="set GPUWHEEL_INDEX_URL to an index with the original files", detail="\n".join(wrong))
    return lock


def check_inputs(lock: Lock, inputs: BuildInputs) -> None:
    """Refuse a build that would use anything but what the lock names.

    Raises:
        LockError: a pin, headers, a table, the C++ compiler or gpuwheel itself differ; all of them are named.
    """
    _refuse(_input_differences(lock, inputs), "run gpuwheel lock to accept it, or build with what the lock names")


def check_installed(
    lock: Lock, *, without: Sequence[Pin], version: Callable[[str], str | None] = installed_version
) -> None:
    """Refuse an environment whose packages differ from the lock.

    Args:
        lock: what is allowed.
        without: pins that need not be installed, for gpuwheel finds or fetches them.
        version: the installed version of a distribution.

    Raises:
        LockError: a package is missing or of another version; all of them are named.
    """
    names = {pin.name for pin in without}

    def installed(name: str) -> str | None:
        found = version(name)
        # In the environments of `gpuwheel build` its version says which code it is; that of the lock is the same.
        return found.partition("+src")[0] if found is not None and name == "gpuwheel" else found

    differences = (
        f"{package.name} is {found or 'not installed'} (the lock says {package.version})"
        for package, _ in selected(lock)
        if package.name not in names and (found := installed(package.name)) != str(package.version)
    )
    _refuse(differences, f"pip install -r {LOCK_FILE} (pip 26 or newer), or uv pip sync {LOCK_FILE}")


def check_requirements(lock: Lock, requirements: Sequence[str]) -> None:
    """Refuse a lock that was written for other build requirements.

    Raises:
        LockError: the lock has no version that a requirement allows, all of which are named; or it was not made for
            this Python and machine.
    """
    versions = {package.name: package.version for package, _ in selected(lock)}

    def differences() -> Iterator[str]:
        for requirement in map(Requirement, requirements):
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            version = versions.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                yield f"{requirement} is required (the lock says {version or 'nothing'})"

    _refuse(differences(), "write it anew: gpuwheel lock")


def locked_requirements(lock: Lock) -> list[str]:
    """`name==version` of every package that this environment needs: nothing is left for a resolver to choose.

    Raises:
        LockError: the lock was not made for this Python and machine.
    """
    return [f"{package.name}=={package.version}" for package, _ in selected(lock)]


def selected(lock: Lock) -> list[tuple[Package, PackageWheel]]:
    """What an installer takes for this Python and machine.

    Raises:
        LockError: the lock was not made for them.
    """
    from packaging.pylock import PylockSelectError  # noqa: PLC0415 (as in lock_file)

    try:
        return [(package, file) for package, file in lock.packages.select()]  # type: ignore[misc]  # wheels alone
    except PylockSelectError as error:
        msg = f"{LOCK_FILE} was not made for this Python and machine ({error})"
        raise LockError(msg, hint="write it here: gpuwheel lock, with uv installed for all Pythons at once") from error


def _input_differences(lock: Lock, inputs: BuildInputs) -> Iterator[str]:
    # gpuwheel's own code and headers go into the wheel: another version makes another one.
    if lock.version != __version__:
        yield f"gpuwheel is {__version__} (the lock says {lock.version})"
    yield from _pin_differences(lock, inputs.pins)
    headers = {pin.requirement: pin.digest for pin in inputs.headers}
    for subject, used, locked in (("the headers of ", headers, lock.headers), ("", inputs.digests, lock.digests)):
        for name, digest in used.items():
            if locked.get(name) != digest:
                yield f"the digest of {subject}{name} is {digest} (the lock says {locked.get(name, 'nothing')})"
    host = _locked(inputs.host)
    # A lock that names a compiler also serves a build that needs none.
    if host not in {None, lock.host}:
        yield f"the C++ compiler is {host} (the lock says {lock.host or 'nothing'})"


def _locked(host: HostCompiler | None) -> LockedCompiler | None:
    return None if host is None else LockedCompiler(host.identity, host.target)


def _pin_differences(lock: Lock, pins: Sequence[Pin]) -> Iterator[str]:
    """Each pin whose file for this machine is not in the lock, with the same digest."""
    locked = {package.name: package for package in lock.packages.packages}
    tags = list(sys_tags())
    for pin in pins:
        package, file = locked.get(canonicalize_name(pin.name)), pin.file_for(tags)
        if package is None or str(package.version) != pin.version:
            yield f"{pin.requirement} is used (the lock says {package.version if package else 'nothing'})"
        elif file is not None:
            digests = {wheel.filename: wheel.hashes.get("sha256") for wheel in package.wheels or ()}
            found = digests.get(file.filename)
            if found != file.sha256:
                yield f"{file.filename} has sha256 {file.sha256} (the lock says {found or 'no such file'})"


def _refuse(differences: Iterator[str], hint: str) -> None:
    found = list(differences)
    if found:
        more = f", and {len(found) - 1} more, listed above" if len(found) > 1 else ""
        msg = f"{LOCK_FILE} does not allow this build: {found[0]}{more}"
        raise LockError(msg, hint=hint, detail="\n".join(found) if more else None)
