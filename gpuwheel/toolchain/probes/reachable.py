"""Whether the package index answers, asked with little patience."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.index.context import Traffic
from gpuwheel.index.pinned import Answer, PackageIndex
from gpuwheel.index.transport import Transport

if TYPE_CHECKING:
    from gpuwheel.index.settings import IndexSettings

__all__ = ["probe_index"]

_PATIENCE = 3.0  # seconds for an index to begin to answer


def probe_index(settings: IndexSettings, project: str) -> tuple[Answer, ...]:
    """Ask every index and folder of the user's for one project, in their order, once.

    Raises:
        ConfigError: the certificate bundle that is named does not exist.
    """
    hasty = replace(settings, timeout=min(settings.timeout, _PATIENCE), retries=0)
    with closing(Transport(hasty, Traffic())) as transport:
        return tuple(PackageIndex(hasty, transport).answers(project))
