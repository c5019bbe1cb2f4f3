"""What everything that may download gets from its caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel._cache import Cache
    from gpuwheel.model.reporter import Reporter

__all__ = ["Context", "Traffic"]


@dataclass
class Traffic:
    """Bytes of HTTP bodies received, as they came over the wire (compressed where the server compressed them)."""

    received: int = 0
    requests: int = 0


@dataclass(frozen=True)
class Context:
    """Where to keep things, whom to tell, and what the environment says."""

    cache: Cache
    environ: Mapping[str, str]
    reporter: Reporter
    traffic: Traffic = field(default_factory=Traffic)
    """Counts what was downloaded under this context."""
