"""What becomes of each source while cells are built: for live progress, and for the timeline of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Happened", "SourceEvent"]

Happened: TypeAlias = Literal["started", "ended", "kept"]


@dataclass(frozen=True)
class SourceEvent:
    """A source, an image or a link began or ended; plain data, that JSON can hold."""

    what: Happened
    """`kept`: it was taken from gpuwheel's cache, and nothing ran."""
    cell: str
    source: str
    """Below the project, with slashes; of a link the library."""
    variant: str
    """For what it is compiled, as recorded costs have it: "cuda sm_80", "c++", "link"."""
    tool: str
    """The program: "nvcc", "g++", "nvrtc"."""
    launcher: str
    """A cache or distributor of compilers ahead of it ("ccache"), or nothing."""
    at: float
    """Seconds since 1970."""
    waited: float = 0.0
    """Seconds from the question to the start."""
    cores: int = 1
    wall: float = 0.0
    """Seconds."""
    cpu: float = 0.0
    """Seconds of processors, where no server did the work."""
    peak: int | None = None
    """Bytes of the largest program; `None`: not known."""
    code: int | None = None
    """Exit code; negative: a signal; `None`: it has not ended, or nobody saw how."""
    killed: bool = False
    """The kernel seems to have ended it for want of memory."""
    again: bool = False
    """It is the second try, by itself."""
