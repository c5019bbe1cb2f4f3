"""Publishing a release: every check, then file by file, so that what is there already is not sent twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from gpuwheel._endings import as_ours
from gpuwheel.audit import UNREADABLE, WheelCase, judge, opened
from gpuwheel.audit.cases import rule
from gpuwheel.errors import BugError, PublishError
from gpuwheel.model.findings import Found, Profile, Severity
from gpuwheel.publish.upload.already_there import already_there
from gpuwheel.publish.upload.destinations import Kind
from gpuwheel.publish.upload.index_folder import add_to_index, listed_in
from gpuwheel.publish.upload.kernel_folder import KernelPlan, add_kernels, plan_kernels
from gpuwheel.publish.upload.known_classifiers import knows_classifiers
from gpuwheel.publish.upload.release_checks import Release, findings_of
from gpuwheel.publish.upload.release_files import digest_of, read_release_file
from gpuwheel.publish.upload.uploaders import check_pypirc, description_findings, find_uploader
from gpuwheel.publish.wheel_facts import split_variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding, Part
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.upload.destinations import Destination
    from gpuwheel.publish.upload.release_files import ReleaseFile

__all__ = ["OTHER_BYTES", "FileState", "PublishRequest", "Published", "check_release", "send_release"]


class FileState(Enum):
    """What becomes of a file."""

    NEW = "to send"
    SENT = "sent"
    THERE = "is there"
    """With the same digest."""
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class PublishRequest:
    """What is asked for."""

    files: Sequence[Path]
    to: Destination
    environ: Mapping[str, str]
    tags: tuple[str, ...] = ()
    uploader: str | None = None
    """"twine" or "uv"; `None`: whichever is there."""


@dataclass
class Published:
    """What was found and done."""

    release: Release
    findings: tuple[Finding, ...]
    """Errors first."""
    states: dict[str, FileState] = field(default_factory=dict)
    """By file name."""
    notes: tuple[str, ...] = ()
    """What could not be looked at."""
    kernels: KernelPlan = field(default_factory=dict)
    """Folders that wheels become, where the place is one of kernels."""

    @property
    def is_refused(self) -> bool:
        """Whether an error stands against it."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(frozen=True)
class _Clash:
    file: str
    found: str
    expected: str
    parts: frozenset[Part] = frozenset()
    profile: Profile = Profile.OWN


@rule(
    "other-bytes",
    needs=(),
    why="who has installed the one there, or locked it by its digest, would not get these bytes",
    fix="raise the version: a file that was published is never replaced",
    source="PEP 503; PyPI refuses a name that was ever used",
)
def _other_bytes(clash: _Clash) -> Iterator[Found]:
    """Another file of this name is there already."""
    problem = f"is there with other bytes (found sha256 {clash.found}, expected {clash.expected})"
    yield Found(clash.file, problem)


OTHER_BYTES = _other_bytes


def check_release(request: PublishRequest, tables: Tables, reporter: Reporter) -> Published:
    """Look at everything that may stand against a release, and at what is there already. Nothing is sent.

    Raises:
        NetworkError: the place cannot be asked what it has.
        PublishError: it is not what it should be: ~/.pypirc, or pages on disk, name another one.
    """
    files, findings = _read(request.files, tables, reporter)
    notes: list[str] = []
    release = Release(tuple(files), request.to, request.tags)
    kernels: KernelPlan = {}
    if files:
        findings += findings_of(release)
    if files and request.to.kind is Kind.KERNELS:
        kernels, against = plan_kernels(files, tables)
        findings += against
    if request.to.kind is Kind.INDEX:
        rendered = description_findings(files, request.environ)
        findings += rendered or ()
        if rendered is None:
            notes.append("descriptions were not rendered: twine is not here (pip install 'gpuwheel[publish]')")
    if request.to.is_pypi and not knows_classifiers():
        notes.append("classifiers were not compared: trove-classifiers is not here (pip install 'gpuwheel[publish]')")
    if not request.tags:
        notes.append("the version was compared with no tag: the commit has none, and --tag names none")
    states = {file.path.name: FileState.NEW for file in files}
    if request.to.kind is Kind.KERNELS:
        states.update((file.path.name, FileState.LEFT_OUT) for file in files if not file.is_wheel)
    published = Published(release, (), states, tuple(notes), kernels)
    findings += _there(published, request)
    order = list(Severity)
    published.findings = tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))
    return published


def _read(paths: Sequence[Path], tables: Tables, reporter: Reporter) -> tuple[list[ReleaseFile], list[Finding]]:
    """Files, and what the audit finds in them; of one that cannot be read the finding that says so."""
    files: list[ReleaseFile] = []
    findings: list[Finding] = []
    for path in paths:
        reporter.step(f"checking {path.name}")
        try:
            files.append(read_release_file(path))
            if path.name.endswith(".whl"):
                findings += _audited(path, tables)
        except Exception as error:
            ours = as_ours(error)
            if isinstance(ours, BugError):
                raise
            findings.append(UNREADABLE.finding(Found(path.name, f"cannot be read: {ours.message}", fix=ours.hint)))
    return files, findings


def _audited(path: Path, tables: Tables) -> tuple[Finding, ...]:
    """What the audit finds; a variant is the wheel that it was made of."""
    with opened(path) as wheel:
        return judge(WheelCase(replace(wheel, name=split_variant(path.name)[0]), tables))


def _there(published: Published, request: PublishRequest) -> Iterator[Finding]:
    """Mark what is there already; a finding for a file of the same name and other bytes."""
    files, to = published.release.files, request.to
    listed: dict[str, str] = {}
    names = {file.path.name for file in files}
    if files and to.index is not None:
        check_pypirc(to, request.environ)
        listed = already_there(to.index, files[0].project, request.environ, names)
    named = names
    if files and to.folder is not None and to.kind is Kind.FOLDER:
        listed, named = listed_in(to.folder, names)
    for file in published.release.files:
        name = file.path.name
        if name not in listed:
            continue
        if listed[name] == file.sha256:
            published.states[name] = FileState.THERE if name in named else FileState.NEW
        else:
            yield from OTHER_BYTES.findings(_Clash(name, listed[name], file.sha256))


def send_release(published: Published, request: PublishRequest, tables: Tables, reporter: Reporter) -> None:
    """Send what is not there yet; `published.states` says after each file how far it came.

    Raises:
        PublishError: a file was not taken, or has changed since it was checked; those before it are there.
    """
    waiting = [file for file in published.release.files if published.states[file.path.name] is FileState.NEW]
    if not waiting:
        return
    if request.to.kind is Kind.FOLDER and request.to.folder is not None:
        add_to_index(request.to.folder, waiting, tables, reporter)
        published.states.update((file.path.name, FileState.SENT) for file in waiting)
        return
    if request.to.kind is Kind.KERNELS and request.to.folder is not None:
        for file in waiting:
            check_unchanged(file)
        for name, is_new in add_kernels(request.to.folder, published.kernels).items():
            published.states[name] = FileState.SENT if is_new else FileState.THERE
        return
    uploader = find_uploader(request.uploader, request.environ)
    total = sum(file.size for file in waiting)
    with reporter.progress(f"uploading {len(waiting)} files to {request.to.text}", total) as progress:
        for file in waiting:
            check_unchanged(file)
            reporter.step(f"uploading {file.path.name}")
            uploader.send(file.path, request.to, request.environ)
            published.states[file.path.name] = FileState.SENT
            progress.advance(file.size)


def check_unchanged(file: ReleaseFile) -> None:
    """A file is still the one that was checked.

    Raises:
        PublishError: it is not.
    """
    digest = digest_of(file.path)
    if digest != file.sha256:
        msg = f"{file.path.name} changed after it was checked (sha256 {digest}, expected {file.sha256})"
        raise PublishError(msg, hint="let whatever writes it finish, and run the same command again")
