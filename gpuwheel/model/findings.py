"""What an audit finds, and the rules by which it does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Finding", "Found", "Judged", "Part", "Rule", "Severity"]


class Severity(Enum):
    """How bad a finding is: an error refuses the wheel."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Part(Enum):
    """What a rule looks at; the text under a value is its documentation."""

    NAME = "name"
    """The tags in the file's name."""
    SIZE = "size"
    """How large the file is, in bytes: not known of a wheel that is not yet written."""
    MEMBERS = "members"
    """The files in it: their names, sizes and digests."""
    METADATA = "metadata"
    """METADATA and WHEEL."""
    LIBRARIES = "libraries"
    """The dynamic facts of every ELF file."""
    IMAGES = "images"
    """Device code, in libraries and in files of its own."""
    MANIFESTS = "manifests"
    """What `_kernels.json` declares of the device code."""
    BUILD = "build"
    """What a build set out to make: known while it lasts, not of a wheel that is audited later."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit has to say about a file."""

    rule: str
    """The rule's identifier, for example "torch-floor"."""
    severity: Severity
    subject: str
    """What it is about: a member of the wheel, a library."""
    problem: str
    """What is wrong, with the found and the expected value."""
    why: str
    """Why it matters to the person who installs the wheel."""
    fix: str
    """How to mend it."""


@dataclass(frozen=True)
class Found:
    """What a check noticed. What is `None` is as its rule says; what is not, says it of this case."""

    subject: str
    problem: str
    why: str | None = None
    fix: str | None = None
    severity: Severity | None = None


class Judged(Protocol):
    """What checks are handed: a wheel, or one library or one set of images of it."""

    @property
    def parts(self) -> frozenset[Part]:
        """What is known."""


Subject = TypeVar("Subject", bound=Judged)


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """One thing that a wheel must not be."""

    id: str
    """Stable, in kebab case: people and tools name rules by it."""
    summary: str
    """What it finds, as one sentence."""
    why: str
    """Why it matters to the person who installs the wheel: one line."""
    fix: str
    source: str
    """Where that is written: a specification, a manual, a table of `gpuwheel/data`."""
    needs: frozenset[Part]
    """It is left out where one of them is not known."""
    check: Callable[[Subject], Iterable[Found]]
    severity: Severity = Severity.ERROR
    """The worst that it finds."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """What is wrong with `subject`; nothing where the rule cannot tell."""
        # A rule that cannot see what it asks about stays silent: a guess would be a false finding, or a false "all is
        # well".
        if self.needs <= subject.parts:
            yield from map(self.finding, self.check(subject))

    def finding(self, found: Found) -> Finding:
        """What the rule says of what was noticed."""
        severity, why, fix = found.severity or self.severity, found.why or self.why, found.fix or self.fix
        return Finding(self.id, severity, found.subject, found.problem, why, fix)
