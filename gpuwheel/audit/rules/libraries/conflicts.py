"""Requirements that cannot be met together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.compatibility.distributions.releases import load_releases
from gpuwheel.model.findings import Found, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

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
    for place, clash in case.closure.clashes:
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


CONFLICT_RULES = (_requirement_conflict,)
"""About a whole wheel (`WheelCase`)."""
