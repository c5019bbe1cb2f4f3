"""What a wheel says of its own build: the sdist and the lock file that it was made from, the compiler, the time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut, reading
from gpuwheel._environment.table import find_variable
from gpuwheel._files import sha256_of
from gpuwheel.errors import LockError
from gpuwheel.lock.file import LOCK_FILE
from gpuwheel.wheel.archive import stored_members
from gpuwheel.wheel.metadata import field_values
from gpuwheel.wheel.sbom import SBOM_FILE
from gpuwheel.wheel.sdist_tree import archive_digest

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["Recorded", "check_files", "check_given", "recorded"]

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Recorded:
    """What a build wrote down of itself."""

    sdist: str | None
    """Digest of the sdist's files (`wheel.sdist_tree`); `None`: it was not built from one."""
    lock: str | None
    """SHA-256 of the lock file; `None`: the build was not held to one."""
    epoch: int | None
    """SOURCE_DATE_EPOCH, if it was set."""
    compiler: str | None
    """The C++ compiler, as it names itself."""
    generators: tuple[str, ...]
    """What made the wheel, for example "gpuwheel 0.1.0"."""
    toolchain: tuple[str, ...] = ()
    """Package URLs of what went in."""
    cell: str | None = None
    """Which wheel of the project it is."""
    told: tuple[str, ...] = ()
    """`-C` that shaped it: "gpuwheel.cuda=12.9"."""
    environment: tuple[str, ...] = ()
    """Variables that did: "CXXFLAGS=-O3"."""
    withheld: tuple[str, ...] = ()
    """What did too, and is named without its value: "-C NAME", "NAME"."""

    @property
    def settings(self) -> dict[str, str | list[str]]:
        """`-C` of the build, as a frontend hands it over."""
        found: dict[str, str | list[str]] = {} if self.cell is None else {"gpuwheel.only": self.cell}
        for each in self.told:
            name, _, value = each.partition("=")
            before = found.get(name)
            found[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
        return found


def recorded(wheel: Path) -> Recorded:
    """What a wheel says of its build.

    Raises:
        AuditError: it is not a wheel.
        LockError: it holds no bill of materials of gpuwheel's.
    """
    with stored_members(wheel) as members:
        bills = [name for name in members if name.endswith(f".dist-info/{SBOM_FILE}")]
        if not bills:
            msg = f"{wheel.name} does not say what it was built from (expected {SBOM_FILE} in .dist-info)"
            raise LockError(msg, hint="only wheels that gpuwheel built can be rebuilt")
        texts = [
            members[bills[0]].data,
            *(one.data for name, one in members.items() if name.endswith("dist-info/WHEEL")),
        ]
    with reading(f"{bills[0]} is not readable", "CycloneDX"):
        document: dict[str, Any] = json.loads(texts[0])
        metadata = document["metadata"]
        pairs = [(str(one["name"]), str(one["value"])) for one in metadata.get("properties", [])]
        properties = dict(pairs)
        tools = metadata.get("tools", {}).get("components", [])
        stamp = metadata.get("timestamp")
        moment = None if stamp is None else datetime.strptime(stamp, _TIME).replace(tzinfo=timezone.utc)

        def every(what: str) -> tuple[str, ...]:
            return tuple(value for name, value in pairs if name == f"gpuwheel:{what}")

        return Recorded(
            sdist=properties.get("gpuwheel:sdist-tree-sha256"),
            lock=properties.get("gpuwheel:lock-sha256"),
            epoch=None if moment is None else int(moment.timestamp()),
            compiler=next((str(one["description"]) for one in tools), None),
            generators=field_values(texts[1], "Generator") if len(texts) > 1 else (),
            toolchain=tuple(str(one["bom-ref"]) for one in document["components"]),
            cell=properties.get("gpuwheel:cell"),
            told=every("config-setting"),
            environment=every("environment"),
            withheld=every("withheld"),
        )


def check_files(wheel: str, facts: Recorded, sdist: Path, lock: Path) -> None:
    """See that these are the files from which the wheel was built.

    Raises:
        LockError: one of them is another, or the build recorded none.
    """
    if facts.sdist is None:
        msg = f"{wheel} does not say from which sdist it was built (expected its digest in {SBOM_FILE})"
        raise LockError(msg, hint="build wheels from sdists: gpuwheel build does, and pip wheel NAME-VERSION.tar.gz")
    if facts.lock is None:
        msg = f"{wheel} was not held to a lock file when it was built (expected its digest in {SBOM_FILE})"
        raise LockError(msg, hint="gpuwheel lock writes one, and `locked = true` in [tool.gpuwheel] holds builds to it")
    found = archive_digest(sdist, without={LOCK_FILE})
    if found != facts.sdist:
        msg = f"{sdist.name} is not what {wheel} was built from (its files: {found}, expected {facts.sdist})"
        raise LockError(msg, hint="take the sdist of the same release, from the same index")
    with lock.open("rb") as file:
        found = sha256_of(file)
    if found != facts.lock:
        msg = f"{lock.name} is not what held the build of {wheel} (sha256 {found}, expected {facts.lock})"
        raise LockError(msg, hint=f"take {LOCK_FILE} of the same commit")


def check_given(wheel: str, facts: Recorded, settings: Collection[str], variables: Collection[str]) -> None:
    """See that everything that shaped the build is known: what the wheel records, and what is given for the rest.

    Args:
        wheel: Its name.
        facts: What it says.
        settings: Names of the `-C` that are given.
        variables: Names of those that are set.

    Raises:
        LockError: something is missing, or is recorded that no build of gpuwheel records.
    """
    named = [*(each.partition("=")[0] for each in facts.environment), *facts.withheld]
    # A wheel must not get at a variable of whoever rebuilds it that is no word for compilers.
    strange = [name for name in named if not (name.startswith("-C ") or _is_recorded(name))]
    if strange:
        msg = f"{wheel} says that its build had a variable that no build records (found {cut(strange[0])})"
        raise LockError(msg, hint="the wheel was edited: take it from where it was published")
    missing = [
        each
        for each in facts.withheld
        if (each.removeprefix("-C ") not in settings if each.startswith("-C ") else each not in variables)
    ]
    if missing:
        msg = (
            f"{wheel} was built with {', '.join(missing)}, of which it has no value (a path of that machine, or secret)"
        )
        raise LockError(msg, hint="give what fits this machine: " + " ".join(f"{each}=VALUE" for each in missing))


def _is_recorded(variable: str) -> bool:
    rule = find_variable(variable)
    return rule is not None and rule.travels
