"""What rejects a wheel without host code beyond what rejects any: the further toolkits that its kernels ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.plan.checks import Problem, arch_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import Settings
    from gpuwheel.model.versions import MinorVersion

__all__ = ["kernels_problems"]


def kernels_problems(settings: Settings, tables: Tables) -> tuple[Problem, ...]:
    """Further toolkits that gpuwheel cannot compile with, or that do not know an architecture."""
    further = {version for extension in settings.extensions.values() for version in extension.toolkits}
    return tuple(problem for version in sorted(further) for problem in _toolkit(version, settings, tables))


def _toolkit(version: MinorVersion, settings: Settings, tables: Tables) -> Iterator[Problem]:
    pinned = [str(known) for known, toolkit in tables.cuda.items() if toolkit.components]
    toolkit = tables.cuda.get(version)
    if toolkit is None or not toolkit.components:
        yield Problem(
            f"toolkits names cuda {version}, which has no device compiler that gpuwheel pins "
            f"(expected {', '.join(pinned)})",
            f'toolkits = ["{pinned[-1]}"]',
        )
        return
    for key, targets in arch_lists(settings).items():
        strange = ", ".join(str(target.arch) for target in targets if target.arch not in toolkit.archs)
        if strange:
            yield Problem(
                f"{key} names {strange}, which cuda {version} of toolkits does not compile for",
                f"take {strange} out of {key}, or {version} out of toolkits",
            )
