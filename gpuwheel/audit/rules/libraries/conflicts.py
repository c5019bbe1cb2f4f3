"""Requirements that cannot be met together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.closure.worlds import names
from gpuwheel.compatibility.distributions.releases import load_releases
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Part, Severity
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.compatibility.distributions.releases import Place

__all__ = ["CONFLICT_RULES"]


@rule(
    "requirement-conflict",
    needs={Part.METADATA, Part.NAME},
    why="pip refuses to install the wheel: 'ResolutionImpossible'",
    fix="widen one of them to releases that go with the other",
    source="`gpuwheel/data/releases.toml`: Requires-Dist of each release; Dependency specifiers",
)
def _requirement_conflict(case: WheelCase) -> Iterator[Found]:
    """Some requirements of the wheel ask for releases that exclude each other."""
    yield from _itself(case)
    for place, clash in case.closure.clashes:
        if _excluding(clash.requirements):
            continue  # whatever is released: a rule of its own
        told = " and ".join(f"'{requirement}'" for requirement in clash.requirements)
        over = "" if len(clash.requirements) == 1 else f" over {clash.over}"
        problem = f"requires {told}, which no releases known on {load_releases().read} meet together{over}"
        facts = {
            "requirements": [str(requirement) for requirement in clash.requirements],
            "over": clash.over,
            "python": f"3.{place.python}",
            "machine": place.machine,
        }
        yield Found(case.wheel.name, problem, facts=facts)


def _itself(case: WheelCase) -> Iterator[Found]:
    """A requirement of the wheel's own project, which the wheel does not meet."""
    try:
        own = parse_wheel_name(case.wheel.name)
        name, version = canonicalize_name(own.distribution), Version(own.version)
    except (AuditError, ValueError):
        return  # findings of their own
    for requirement in case.wheel.requirements:
        if canonicalize_name(requirement.name) != name or requirement.specifier.contains(version, prereleases=True):
            continue
        if any(names([requirement], place) for place in case.closure.places) and not requirement.url:
            problem = f"requires '{cut(str(requirement))}', and is {name} {version} itself"
            facts = {"requirements": [str(requirement)], "over": name}
            yield Found(case.wheel.name, problem, fix="leave it out, or correct its bounds", facts=facts)


@rule(
    "requirement-empty",
    needs={Part.METADATA, Part.NAME},
    why="pip and uv refuse to install the wheel: no matching distribution found",
    fix="correct the bounds in the project's dependencies, and build again",
    source="PEP 440, Version specifiers, as `packaging.specifiers` reads them (SpecifierSet.is_unsatisfiable)",
)
def _requirement_empty(case: WheelCase) -> Iterator[Found]:
    """Requirements of one distribution exclude every version that there can be (a warning where an extra asks)."""
    by_name: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in case.wheel.every_requirement:
        by_name[canonicalize_name(requirement.name)].append(requirement)
    for name, requirements in by_name.items():
        # Markers are asked of the few that all together exclude each other: they take their time.
        if not _excluding(requirements):
            continue
        for extra in ("", *case.wheel.extras):
            found = _where_excluding(requirements, extra, case.closure.places)
            if found is not None:
                place, clash = found
                yield _empty(case, name, clash, extra, place)
                break  # what is so without an extra is so with each


def _empty(case: WheelCase, name: str, clash: Sequence[Requirement], extra: str, place: Place) -> Found:
    told = " and ".join(f"'{cut(str(requirement))}'" for requirement in clash)
    of_extra = f" with the extra {cut(extra)}" if extra else ""
    return Found(
        f"{case.wheel.dist_info}/METADATA",
        f"requires {told}{of_extra}, which no version meets (expected bounds that leave one)",
        why="installing that extra ends with: no matching distribution found" if extra else None,
        severity=Severity.WARNING if extra else None,
        facts={
            "requirements": [str(requirement) for requirement in clash],
            "distribution": name,
            "extra": extra or None,
            "python": f"3.{place.python}",
            "machine": place.machine,
        },
    )


def _where_excluding(
    requirements: Sequence[Requirement], extra: str, places: Sequence[Place]
) -> tuple[Place, list[Requirement]] | None:
    """The first place where requirements exclude every version, and as few of them as do it."""
    for place in places:
        asked = [one for one in requirements if place.holds(one.marker, extra)]
        if _excluding(asked):
            for one in tuple(asked):
                fewer = [other for other in asked if other is not one]
                asked = fewer if _excluding(fewer) else asked
            return place, asked
    return None


def _excluding(requirements: Sequence[Requirement]) -> bool:
    """Whether no version meets all of them; of different distributions, whatever they ask."""
    if len({canonicalize_name(requirement.name) for requirement in requirements}) != 1:
        return False
    asked = SpecifierSet()
    for requirement in requirements:
        asked &= requirement.specifier
    try:
        return asked.is_unsatisfiable()
    except ValueError:  # numbers of thousands of digits: a finding of its own
        return False


CONFLICT_RULES = (_requirement_conflict, _requirement_empty)
"""About a whole wheel (`WheelCase`)."""
