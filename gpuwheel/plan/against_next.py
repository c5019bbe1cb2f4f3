"""What a new torch, Python or CUDA changes for a project: planned again with one release more in the tables. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.compatibility.next_rows import next_releases
from gpuwheel.compatibility.questions import known_versions
from gpuwheel.model.choices import Mode
from gpuwheel.model.versions import VersionPolicy
from gpuwheel.plan.axes import pythons_of_torch, widest_abis
from gpuwheel.plan.cells import plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.next_rows import NextRelease
    from gpuwheel.config.model import LoadedConfig, Settings

__all__ = ["NextChange", "against_next"]

_NEWEST = VersionPolicy.parse("last 1 minors")
_AXES = {"torch": "torch", "pythons": "python", "cuda": "cuda"}


@dataclass(frozen=True)
class NextChange:
    """What one release would change."""

    name: str
    """"torch 2.16"."""
    assumption: str
    """What is taken for granted about it."""
    added: tuple[str, ...]
    """Cells that are then planned, as the project stands."""
    stale: tuple[str, ...]
    """Cells that are no longer planned, for a policy moved on."""
    kept: tuple[str, ...]
    """Cells whose wheels need no rebuild."""
    setting: str | None
    """What the project would have to name for more: `torch = [..., "==2.16.*"]`; `None`: nothing."""
    on_request: tuple[str, ...]
    """Cells that this adds."""
    reason: str | None
    """Why nothing is to be built, where nothing is."""


def against_next(config: LoadedConfig, tables: Tables, *, machine: str) -> tuple[NextChange, ...]:
    """The next minor of torch, of Python and of CUDA, each alone.

    Args:
        config: what the project asks for.
        tables: what the world allows today.
        machine: the CPU architecture to build for where the project names none.
    """
    return tuple(_change(release, config, tables, machine) for release in next_releases(tables))


def _change(release: NextRelease, config: LoadedConfig, tables: Tables, machine: str) -> NextChange:
    before = _accepted(config, tables, machine)
    moved = _moved_on(config, release.tables)
    after = _accepted(moved, release.tables, machine)
    # Named by hand, where no policy and no default does: as that policy would for one version.
    named = _naming(release, moved)
    more = [cell for cell in _accepted(named, release.tables, machine) if cell not in after]
    added = [cell for cell in after if cell not in before]
    value = getattr(named.settings, release.key)
    setting = f'{release.key} = [..., "{value[-1]}"]' if more and value else None
    return NextChange(
        release.name,
        release.assumption,
        added=tuple(added),
        stale=tuple(cell for cell in before if cell not in after),
        kept=tuple(cell for cell in before if cell in after),
        setting=setting,
        on_request=tuple(more),
        reason=None if added or more else _why_nothing(release, before, config),
    )


def _accepted(config: LoadedConfig, tables: Tables, machine: str) -> dict[str, Mapping[str, str]]:
    """Identifier of each accepted cell -> why its axes collapse, by axis; in the order of the plan."""
    return {
        one.cell.identifier: {axis.axis: axis.reason for axis in one.collapsed}
        for one in plan(config, tables, machine=machine)
        if one.accepted
    }


def _why_nothing(release: NextRelease, before: Mapping[str, Mapping[str, str]], config: LoadedConfig) -> str:
    reasons = [axes[_AXES[release.key]] for axes in before.values() if _AXES[release.key] in axes]
    if reasons:
        return reasons[0]
    if release.key == "pythons":
        if not release.version.is_admitted_by(_admitted(config)):
            return f"requires-python does not admit {release.name}"
        served = {python for one in config.settings.torch for python in pythons_of_torch(one, release.tables)}
        if release.version not in served:
            return f"no torch that this project is for has wheels for {release.name}"
    return f"no cell of this project is for {release.name}"


def _moved_on(config: LoadedConfig, tables: Tables) -> LoadedConfig:
    """What policies choose once the tables have more."""
    settings, admitted, known = config.settings, _admitted(config), known_versions(tables)
    for key, policy in config.policies.items():
        if key == "torch":
            settings = replace(settings, torch=policy.torchs(known, widest_abis(settings)[0]))
        elif key == "cuda":
            settings = replace(settings, cuda=policy.toolkits(known, _mode(settings)))
        else:
            settings = replace(settings, pythons=policy.interpreters(known, settings.torch, admitted))
    return replace(config, settings=settings)


def _naming(release: NextRelease, config: LoadedConfig) -> LoadedConfig:
    settings, known = config.settings, known_versions(release.tables)
    if release.key == "torch":
        further = _NEWEST.torchs(known, widest_abis(settings)[0])
        torch = tuple(dict.fromkeys((*settings.torch, *further)))
        return replace(config, settings=replace(settings, torch=torch))
    if release.key == "cuda":
        toolkits = _NEWEST.toolkits(known, _mode(settings))
        return replace(config, settings=replace(settings, cuda=tuple(dict.fromkeys((*settings.cuda, *toolkits)))))
    if settings.pythons is None:  # every Python that there is, already
        return config
    # This one alone: where the chosen torch has no wheels for it, an older Python would be no answer.
    named = tuple(dict.fromkeys((*settings.pythons, release.version)))
    return replace(config, settings=replace(settings, pythons=named))


def _admitted(config: LoadedConfig) -> SpecifierSet:
    return SpecifierSet(config.project.requires_python or f">={config.oldest_python}")


def _mode(settings: Settings) -> Mode:
    return next((one.mode for one in settings.extensions.values()), Mode.PYTHON)
