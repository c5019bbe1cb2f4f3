"""What all wheels of a run are made from, as far as it is known before: `--resume` takes those that are of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuwheel._environment.table import Does, document, find_variable
from gpuwheel.errors import ConfigError, ToolchainError
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.toolchain import find_host_compiler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.trials import Level
    from gpuwheel.toolchain import Context

__all__ = ["made_from"]

_OTHERS = ("CIBW_", "SETUPTOOLS_SCM_")
"""What containers and providers of versions read, which the table of variables does not know."""


def made_from(snapshot: Snapshot, context: Context, test: Level, place: str | None) -> dict[str, Any]:
    """JSON of which any other value may mean another wheel.

    Args:
        snapshot: the sources.
        context: of the run.
        test: how wheels are tried: one that was not is none that may be taken for one that was.
        place: the platform or image to build in; `None`: this machine.
    """
    return {
        "sdist": snapshot.sha256,
        "gpuwheel": own_wheel(context.cache).version,
        "environment": _told(context.environ),
        "compiler": _compiler(context.environ),
        "test": test.value,
        "in": place,
    }


def _told(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a wheel may become another one: those that gpuwheel or a tool reads."""
    names = [name for name, value in environ.items() if value and _tells(name)]
    return {name: environ[name] for name in sorted(names)}


def _tells(name: str) -> bool:
    if name.startswith("GPUWHEEL_"):
        return name not in document()["own"]
    rule = find_variable(name)
    if rule is None:
        return name.startswith(_OTHERS)
    # Secrets are hidden and of no machine: those of a cloud are new in every job of CI.
    return rule.does in {Does.HONOUR, Does.TAKE} and (rule.machine or not rule.hidden)


def _compiler(environ: Mapping[str, str]) -> str:
    try:
        return find_host_compiler(environ).identity
    except (ConfigError, ToolchainError):
        return ""  # wheels without host code do without; others say so themselves
