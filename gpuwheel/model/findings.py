"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Severity"]


class Severity(Enum):
    """How bad a finding is: an error refuses the wheel."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that an audit has to say about a file."""

    rule: str
    """Stable identifier, for example "torch-floor"."""
    severity: Severity
    subject: str
    """What it is about: a member of the wheel, a library."""
    problem: str
    """What is wrong, with the found and the expected value."""
    why: str
    """Why it matters to the person who installs the wheel."""
    fix: str
    """How to mend it."""
