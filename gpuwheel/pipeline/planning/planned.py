"""A plan with the names and metadata that its wheels will have: what `gpuwheel plan` shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.config import project_files
from gpuwheel.config.laws.narrow import ties_of
from gpuwheel.config.survey import survey_extensions
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.wheels import WheelTag
from gpuwheel.plan import local_labels
from gpuwheel.plan.against_next import against_next
from gpuwheel.plan.collapse import gains
from gpuwheel.plan.views.deciding import deciding_rows
from gpuwheel.plan.views.forecast import forecast
from gpuwheel.plan.views.overview import CellFacts, Overview, Policy, free_threaded
from gpuwheel.wheel import WheelName
from gpuwheel.wheel.local_version import labelled_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Cell, Decision
    from gpuwheel.plan.views.forecast import Recorded

__all__ = ["overview", "with_forecast", "with_next"]

_UNKNOWN = "*"


def overview(
    config: LoadedConfig, decisions: Sequence[Decision], requires: Callable[[Cell], tuple[str, ...]], *, machine: str
) -> Overview:
    """Everything about a plan.

    Args:
        config: what the project asks for.
        decisions: the whole plan: labels of some cells depend on the others.
        requires: what gpuwheel adds to Requires-Dist of a cell that is accepted.
        machine: the CPU architecture that it was made for.

    Raises:
        PlanError: two cells would write one file.
    """
    tables, labels, project = load_tables(), local_labels(decisions), config.project
    surveys = survey_extensions(config.settings, project.root, TorchAbi.EXACT)
    return Overview(
        name=project.name,
        version=project.version,
        requires_python=project.requires_python,
        cells=tuple(
            _facts(
                decision,
                config,
                labels.get(decision.cell.identifier),
                requires(decision.cell) if decision.accepted else (),
            )
            for decision in decisions
        ),
        gains=gains(config, tables, surveys, machine=machine),
        surveys=surveys,
        free_threaded=free_threaded((one.cell for one in decisions if one.accepted), tables),
        policies=tuple(
            Policy(key, str(policy), tuple(map(str, getattr(config.settings, key))))
            for key, policy in config.policies.items()
        ),
    )


def with_forecast(shown: Overview, config: LoadedConfig, recorded: Recorded, *, cores: int) -> Overview:
    """With what building all of it takes."""
    cells = [facts.cell for facts in shown.accepted]
    return replace(shown, forecast=forecast(cells, _reads(config), recorded, cores=cores))


def _reads(config: LoadedConfig) -> dict[str, tuple[bool, bool]]:
    """Source below the project -> whether it, or a header of the project that it reads, includes torch and Python."""
    # The project's own CMake names its sources: there is nothing to look up then.
    if config.settings.cmake is not None:
        return {}
    files, root = project_files(config), config.project.root
    found: dict[str, tuple[bool, bool]] = {}
    for one in (*files.kernels.values(), *files.extensions.values()):
        scanner = IncludeScanner(one.include_dirs)
        for source in one.sources:
            ties = [ties_of(header) for header in scanner.unresolved(source)]
            reads = any(torch for torch, _ in ties), any(python for _, python in ties)
            found[source.relative_to(root).as_posix()] = reads
    return found


def with_next(shown: Overview, config: LoadedConfig, *, machine: str) -> Overview:
    """With what the next torch, Python and CUDA would change."""
    return replace(shown, next_changes=against_next(config, load_tables(), machine=machine))


def _facts(decision: Decision, config: LoadedConfig, local: str | None, added: tuple[str, ...]) -> CellFacts:
    cell = decision.cell
    platform = config.settings.wheel.platform
    tag = cell.platform if cell.machine is None else None if platform == "system" else f"{platform}_{cell.machine}"
    exact, module = cell.torch is TorchAbi.EXACT, cell.python is not None
    lines = [line for line in config.narrow if (line.torch and exact) or (line.python and module)]
    return CellFacts(
        decision,
        file=_file(cell, config, local, tag) if decision.accepted else None,
        local=local,
        torch=_torch(cell, config),
        requires=(*(config.project.dependencies or ()), *added),
        platform_tag=tag,
        rows=deciding_rows(cell, config, tables=load_tables()),
        narrow=tuple(f"{line.place} includes {line.header}" for line in lines),
    )


def _file(cell: Cell, config: LoadedConfig, local: str | None, platform: str | None) -> str:
    version = _UNKNOWN if config.project.version is None else str(Version(config.project.version))
    if local is not None:
        version = f"{version}+{local}" if version == _UNKNOWN else labelled_version(version, local)
    python, abi = cell.python_tag.split("-")
    tag = WheelTag(python, abi, platform or _UNKNOWN)
    return str(WheelName(canonicalize_name(config.project.name).replace("-", "_"), version, tag))


def _torch(cell: Cell, config: LoadedConfig) -> str | None:
    stated = [Requirement(text) for text in config.project.dependencies or ()]
    found = [one for one in stated if canonicalize_name(one.name) == "torch"]
    if found:
        return str(found[0].specifier)
    return None if cell.torch_range is None else str(cell.torch_range)
