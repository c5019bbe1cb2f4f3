"""What `gpuwheel doctor` has to say about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.errors import GpuwheelError

__all__ = ["Check", "State"]


class State(Enum):
    """How it stands with it."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing and no problem: most building machines have no driver."""
    WARNING = "warning"
    """A build succeeds, but perhaps not with what was meant."""
    ERROR = "error"
    """A build would stop here."""


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    id: str
    """Stable and unique in a report: "host-compiler", "device-0"."""
    section: str
    """"machine", "tools", "cache", "index" or "project"."""
    subject: str
    state: State
    found: str
    where: str | None = None
    """A path, or the way it was found."""
    fix: str | None = None
    """What to do about a problem, in one line."""

    @classmethod
    def of_error(cls, name: str, section: str, subject: str, error: GpuwheelError) -> Check:
        """The error that a build would end with."""
        return cls(name, section, subject, State.ERROR, error.message, fix=error.hint)
