"""What an audit finds, and the rules by which it does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Finding", "Found", "Judged", "Others", "Part", "Profile", "Rule", "Severity", "together"]


class Severity(Enum):
    """How bad a finding is: an error refuses the wheel."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Profile(Enum):
    """What a wheel is held to; the text under a value is its documentation."""

    OWN = "own"
    """What gpuwheel promises of the wheels that it builds: one file for every torch and Python of its range."""
    ANY = "any"
    """What breaks for those who install it, whoever built it; promises of gpuwheel's alone are notes."""


class Part(Enum):
    """What a rule looks at; the text under a value is its documentation."""

    NAME = "name"
    """The tags in the file's name."""
    SIZE = "size"
    """How large the file is, in bytes: not known of a wheel that is not yet written."""
    ARCHIVE = "archive"
    """The ZIP archive: its headers, and what lies between members: not known of a wheel that is not yet written."""
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
    """What it is about: a member of the wheel, a library; the first of them, where one cause is in several."""
    problem: str
    """What is wrong, with the found and the expected value."""
    why: str
    """Why it matters to the person who installs the wheel."""
    fix: str
    """How to mend it."""
    where: tuple[str, ...]
    """Every file that shows it, `subject` first."""
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)
    """What the problem says, for machines: "soname" -> "libcuda.so.1"; values are those of JSON."""
    command: str | None = None
    """A command line of gpuwheel's that mends it, with WHEEL in place of the file."""

    @property
    def document(self) -> dict[str, object]:
        """For machines: the same fields in every schema of `gpuwheel/data` that has findings."""
        return asdict(self) | {"severity": self.severity.value, "where": list(self.where)}

    @property
    def place(self) -> str:
        """What it is about, for people: the first file, and how many more."""
        more = len(self.where) - 1
        return f"{self.subject} (and {more} more)" if more else self.subject


@dataclass(frozen=True)
class Others:
    """What is said otherwise of wheels that gpuwheel did not make; `None`: the same."""

    severity: Severity | None = None
    fix: str | None = None


_ALIKE = Others()


@dataclass(frozen=True)
class Found:
    """What a check noticed. What is `None` is as its rule says; what is not, says it of this case."""

    subject: str
    problem: str
    why: str | None = None
    fix: str | None = None
    severity: Severity | None = None
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)
    command: str | None = None
    cause: str | None = None
    """Findings of one rule with one cause are one finding; `None`: what the problem, the why and the fix say."""
    others: Others = _ALIKE
    """Of the wheels of others, before what is said above."""
    profile: Profile | None = None
    """The one profile in which it is told; `None`: in each."""


class Judged(Protocol):
    """What checks are handed: a wheel, or one library or one set of images of it."""

    @property
    def parts(self) -> frozenset[Part]:
        """What is known."""

    @property
    def profile(self) -> Profile:
        """What it is held to."""


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
    others: Others = _ALIKE
    """Of the wheels of others, where a case says nothing of its own. A promise of gpuwheel's, which is no fault of a
    wheel that does not make it, is a note there."""
    profile: Profile | None = None
    """The one profile in which it is asked; `None`: in each."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """What is wrong with `subject`, one finding for each cause; nothing where the rule cannot tell."""
        yield from together(self.noticed(subject))

    def noticed(self, subject: Subject) -> Iterator[tuple[str, Finding]]:
        """`(cause, finding)` of all that is wrong with `subject`."""
        # A rule that cannot see what it asks about stays silent: a guess would be a false finding, or a false "all is
        # well".
        if self.needs <= subject.parts and self.profile in {None, subject.profile}:
            for found in self.check(subject):
                if found.profile in {None, subject.profile}:
                    yield self._cause(found), self.finding(found, subject.profile)

    @property
    def doctrine(self) -> bool:
        """Whether it is a promise of gpuwheel's, and a note elsewhere."""
        return self.others.severity is Severity.NOTE

    def finding(self, found: Found, profile: Profile = Profile.OWN) -> Finding:
        """What the rule says of what was noticed."""
        # What the case says goes before what the rule says; of each, what is so for others goes first.
        elsewhere = (found.others, self.others) if profile is Profile.ANY else (_ALIKE, _ALIKE)
        severity = elsewhere[0].severity or found.severity or elsewhere[1].severity or self.severity
        fix = elsewhere[0].fix or found.fix or elsewhere[1].fix or self.fix
        why = found.why or self.why
        where = (found.subject,)
        return Finding(self.id, severity, found.subject, found.problem, why, fix, where, found.facts, found.command)

    def _cause(self, found: Found) -> str:
        words = (found.problem, found.why or "", found.fix or "", found.others.fix or "")
        said = found.cause if found.cause is not None else "\0".join(words)
        return f"{self.id}\0{said}"


def together(noticed: Iterable[tuple[str, Finding]]) -> list[Finding]:
    """One finding for each cause, in the order of the first: however many files show it."""
    found: dict[tuple[str, Severity], Finding] = {}
    where: dict[tuple[str, Severity], dict[str, None]] = {}
    for cause, finding in noticed:
        key = cause, finding.severity
        found.setdefault(key, finding)
        where.setdefault(key, {}).update(dict.fromkeys(finding.where))
    return [replace(finding, where=tuple(where[key])) for key, finding in found.items()]
