"""What must hold of the files of a release before any of them leaves: each check a rule, as those of the audit are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.metadata import Metadata
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel.audit.cases import rule
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Profile, Severity
from gpuwheel.model.versions import MinorVersion
from gpuwheel.publish.upload.destinations import Kind
from gpuwheel.publish.upload.known_classifiers import CLASSIFIERS, PRIVATE
from gpuwheel.publish.upload.release_files import same_project, stated_version
from gpuwheel.wheel.metadata import parsed_requirements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.model.findings import Finding, Part
    from gpuwheel.publish.upload.destinations import Destination
    from gpuwheel.publish.upload.release_files import ReleaseFile

__all__ = ["CHECKS", "Release", "findings_of"]

_FORKLIFT = "warehouse/forklift/legacy.py"
_CORE = "Core metadata specification"
_LICENSES = MinorVersion(2, 4)
"""Core metadata that has License-File (PEP 639)."""
_PARTS = re.compile(r"[-_/@]", re.ASCII)
"""What divides a tag: ops-v1.0, release/1.0."""
_EARLY = "introduced in metadata version"
"""What packaging says of a field that is younger than the version that METADATA states."""


@dataclass(frozen=True)
class Release:
    """What is to be published, and where."""

    files: tuple[ReleaseFile, ...]
    to: Destination
    tags: tuple[str, ...] = ()
    """Names of the revision that is published, any of which may be that of the version; empty: there is none."""

    @property
    def parts(self) -> frozenset[Part]:
        """Nothing of an audit."""
        return frozenset()

    @property
    def profile(self) -> Profile:
        """What gpuwheel promises of what it publishes."""
        return Profile.OWN

    @property
    def wheels(self) -> tuple[ReleaseFile, ...]:
        """The wheels."""
        return tuple(file for file in self.files if file.is_wheel)


@rule(
    "project-name",
    needs=(),
    why="installers find files by the normalised name, and indexes refuse others",
    fix="publish one project at a time, from files as the build named them",
    source="Binary distribution format, Escaping and Unicode; PEP 625; PEP 503",
)
def _project_name(release: Release) -> Iterator[Found]:
    """A file is named otherwise than its metadata, not normalised, or of another project than the first."""
    for file in release.files:
        stated = file.value("Name")
        expected = canonicalize_name(stated).replace("-", "_")
        written = file.path.name.partition("-")[0] if file.is_wheel else file.path.name.rpartition("-")[0]
        if not same_project(stated, file.project):
            yield Found(file.path.name, f"is named for another project than its metadata (expected {cut(stated)})")
        elif written != expected:
            problem = f"has a name that is not normalised (found {cut(written)}, expected {expected})"
            # Of wheels PyPI takes it still, and says so by mail.
            yield Found(file.path.name, problem, severity=Severity.WARNING if file.is_wheel else None)
        if file.project != release.files[0].project:
            problem = f"is of another project (found {file.project}, expected {release.files[0].project})"
            yield Found(file.path.name, problem)


@rule(
    "one-version",
    needs=(),
    why="half a release under each of two versions is what users would get",
    fix="empty the folder and build sdist and wheels from one revision",
    source=f"{_CORE}, Version; PEP 440",
)
def _one_version(release: Release) -> Iterator[Found]:
    """Files are of several versions, or one is named for another version than its metadata."""
    versions = sorted(_versions(release))
    if len(versions) > 1:
        holders = {one: [f.path.name for f in release.files if Version(f.version.public) == one] for one in versions}
        named = "; ".join(f"{version}: {', '.join(names)}" for version, names in holders.items())
        yield Found("the release", f"has several versions (found {cut(named)}, expected one)")
    for file in release.files:
        if stated_version(file.value("Version")) != file.version:
            found = cut(file.value("Version")) or "none"
            yield Found(file.path.name, f"has another version in its metadata (found {found}, expected {file.version})")


def _versions(release: Release) -> set[Version]:
    """Without what tells wheels of one release apart."""
    return {Version(file.version.public) for file in release.files}


@rule(
    "tag-version",
    needs=(),
    why="who looks at the tag of a version would see other sources than are installed",
    fix="set the version, commit, and tag that commit; --tag NAME states another tag",
    source="the tag of the commit, or --tag, GITHUB_REF_NAME, CI_COMMIT_TAG",
)
def _tag_version(release: Release) -> Iterator[Found]:
    """The tag of the revision names another version."""
    versions = _versions(release)
    if release.tags and versions and not any({_tagged(tag)} == versions for tag in release.tags):
        yield Found(
            "the tag", f"names another version (found {cut(' '.join(release.tags))}, expected v{max(versions)})"
        )


def _tagged(tag: str) -> Version | None:
    """The version in a tag: the longest end of it that is one; v2-1 is 2.post1 (PEP 440), and not 1."""
    starts = [0, *(match.end() for match in _PARTS.finditer(tag))]
    return next((found for start in starts if (found := stated_version(tag[start:]))), None)


@rule(
    "local-version",
    needs=(),
    why="PyPI takes none: one version there means one thing for everybody",
    fix="the wheels belong on an index of your own (--to index:DIR); docs/explanation/versions-of-wheels.md says more",
    source="PEP 440, Local version identifiers; warehouse/forklift/metadata.py",
)
def _local_version(release: Release) -> Iterator[Found]:
    """A version has a local part (+cu130), which PyPI refuses."""
    for file in release.files if release.to.is_pypi else ():
        if file.version.local is not None:
            yield Found(file.path.name, f"has a local version (found {file.version}, expected {file.version.public})")


@rule(
    "platform-refused",
    needs=(),
    why="the wheel would run on the machine that built it, and perhaps on no other",
    fix="remove `platform` from [tool.gpuwheel.wheel], or `gpuwheel repair` the wheel",
    source=f"PEP 513; PEP 600; {_FORKLIFT}",
)
def _platform_refused(release: Release) -> Iterator[Found]:
    """A wheel has the platform tag of a local build (linux_x86_64): an error on PyPI, a warning elsewhere."""
    severity = Severity.ERROR if release.to.is_pypi else Severity.WARNING
    for file in release.wheels:
        local = [tag for tag in file.platforms if tag.startswith("linux_")]
        if local:
            problem = f"has the platform tag of a local build (found {' '.join(local)}, expected manylinux_*)"
            yield Found(file.path.name, problem, severity=severity)


@rule(
    "variant-refused",
    needs=(),
    why="the label in their names is part of a draft that neither PyPI nor pip knows",
    fix="publish the plain wheel there, and the variants on an index of your own (--to index:DIR)",
    source="PEP 825 (draft); docs/how-to/variants.md",
)
def _variant_refused(release: Release) -> Iterator[Found]:
    """A wheel is a variant, which no package index but a static one takes."""
    for file in release.wheels if release.to.kind is not Kind.FOLDER else ():
        if file.variant is not None:
            yield Found(file.path.name, f"is a variant (found the label {file.variant}, expected a wheel without one)")


@rule(
    "file-size",
    needs=(),
    why="the server refuses the file after all of it was sent",
    fix="drop an architecture from `archs`, or ask PyPI for more (docs.pypi.org/project-management/storage-limits)",
    source="docs.pypi.org, Storage limits; `gpuwheel/data/publish.toml`",
)
def _file_size(release: Release) -> Iterator[Found]:
    """A file is larger than the place takes, or all of them use up what a project has there."""
    refused = release.to.refuses
    if refused is None:
        return
    for file in release.files:
        if file.size > refused.file:
            yield Found(file.path.name, f"is too large ({_megabytes(file.size)}, expected {_megabytes(refused.file)})")
    total = sum(file.size for file in release.files)
    if total > refused.project:
        problem = f"is too large for a project ({_megabytes(total)}, expected {_megabytes(refused.project)})"
        yield Found("the release", problem)


@rule(
    "archive-form",
    needs=(),
    why="readers of ZIP archives would not agree on what is in it; PyPI refuses such files",
    fix="`gpuwheel repair` writes the wheel anew",
    source=f"warehouse/utils/zipfiles.py; {_FORKLIFT}",
)
def _archive_form(release: Release) -> Iterator[Found]:
    """A wheel is packed in a way that PyPI refuses: odd records, or far larger once unpacked."""
    refused = release.to.refuses
    for file in release.wheels:
        severity = Severity.ERROR if refused else Severity.WARNING
        yield from (Found(file.path.name, odd, severity=severity) for odd in file.form.oddities)
        if refused is None or file.form.unpacked < refused.expanded_from:
            continue
        if file.form.unpacked > refused.expansion * file.size:
            grown = f"{_megabytes(file.form.unpacked)} from {_megabytes(file.size)}"
            problem = f"grows too much when it is unpacked ({grown}, expected {refused.expansion} times at most)"
            yield Found(file.path.name, problem)


@rule(
    "core-metadata",
    needs=(),
    why="the server reads it, and refuses what breaks the specification",
    fix="correct [project] in pyproject.toml, and build again",
    source=f"{_CORE}; warehouse/forklift/metadata.py",
)
def _core_metadata(release: Release) -> Iterator[Found]:
    """METADATA breaks its specification, or is of a version that the place does not take yet."""
    for file in release.files:
        for problem in _metadata_problems(file.metadata):
            # setuptools before 77 stated License-File too early; twine and uv leave it out, and PyPI takes the file.
            early = Severity.WARNING if _EARLY in problem else None
            yield Found(file.path.name, problem, severity=early)
        version = file.value("Metadata-Version")
        refused = release.to.refuses
        if refused is not None and _minor(version) > refused.metadata:
            problem = (
                f"has a newer metadata version than the place takes (found {cut(version)}, expected {refused.metadata})"
            )
            yield Found(file.path.name, problem, fix="build with an older backend, or ask for an older version of it")


def _metadata_problems(metadata: bytes) -> Iterator[str]:
    try:
        Metadata.from_email(metadata, validate=True)
    except DAMAGE as error:
        yield f"has metadata that cannot be read ({because(error)})"
    except Exception as group:  # packaging's ExceptionGroup, its own class before Python 3.11
        inside = getattr(group, "exceptions", None)
        if inside is None:
            raise
        yield from (f"has metadata against its specification ({because(error)})" for error in inside)


def _minor(text: str) -> MinorVersion:
    try:
        return MinorVersion.parse(text)
    except ValueError:
        return MinorVersion(0, 0)  # said by the check of the specification


@rule(
    "license-files",
    needs=(),
    why="the terms under which people may use it are not in what they get; PyPI refuses the file",
    fix="build with a backend that writes license-files into dist-info/licenses (gpuwheel.backend does)",
    source="PEP 639; " + _FORKLIFT,
)
def _license_files(release: Release) -> Iterator[Found]:
    """METADATA names a license file that is not in the wheel or sdist."""
    for file in release.files:
        if _minor(file.value("Metadata-Version")) < _LICENSES:
            continue
        folder = f"{file.root}/licenses" if file.is_wheel else file.root
        for name in file.values("License-File"):
            if f"{folder}/{name}" not in file.members:
                yield Found(file.path.name, f"lacks a license file that it names (expected {cut(folder)}/{cut(name)})")


@rule(
    "direct-url",
    needs=(),
    why="PyPI refuses such requirements: what is behind a URL may change or vanish",
    fix="require a version, or publish what is behind the URL too",
    source="PEP 508; warehouse/forklift/metadata.py",
)
def _direct_url(release: Release) -> Iterator[Found]:
    """A requirement is a URL: an error on PyPI, a warning elsewhere."""
    severity = Severity.ERROR if release.to.is_pypi else Severity.WARNING
    for file in release.files:
        try:
            wanted = parsed_requirements(file.metadata)
        except AuditError:
            continue  # said by the check of the specification
        for requirement in wanted:
            if requirement.url is not None:
                problem = f"requires a URL (found {cut(requirement)}, expected a version)"
                yield Found(file.path.name, problem, severity=severity)


@rule(
    "private",
    needs=(),
    why="somebody meant these files never to be there",
    fix="remove the classifier, or publish to an index of your own",
    source="PyPI refuses classifiers that begin with `Private ::` (pypi.org/classifiers)",
)
def _private(release: Release) -> Iterator[Found]:
    """The project says `Private :: Do Not Upload`."""
    for file in release.files if release.to.is_pypi else ():
        found = [value for value in file.values("Classifier") if value.startswith(PRIVATE)]
        if found:
            yield Found(file.path.name, f"is marked as private (found {cut(found[0])})")


@rule(
    "same-name",
    needs=(),
    why="one of the two would be lost",
    fix="name each file once",
    source="PEP 503",
)
def _same_name(release: Release) -> Iterator[Found]:
    """Two files have one name."""
    first: dict[str, ReleaseFile] = {}
    for file in release.files:
        other = first.setdefault(file.path.name, file)
        if other is not file:
            yield Found(file.path.name, f"is there twice (found {cut(other.path.parent)} and {cut(file.path.parent)})")


@rule(
    "nothing-to-load",
    needs=(),
    why="`kernels` loads folders that wheels are unpacked into",
    fix="name the wheels alone",
    source="huggingface/kernels, Kernel requirements",
    severity=Severity.WARNING,
)
def _nothing_to_load(release: Release) -> Iterator[Found]:
    """An sdist has no place among Hugging Face kernels, and is left out."""
    if release.to.kind is Kind.KERNELS:
        yield from (Found(file.path.name, "is an sdist, and left out") for file in release.files if not file.is_wheel)


CHECKS = (
    _same_name,
    _project_name,
    _one_version,
    _tag_version,
    _local_version,
    _platform_refused,
    _variant_refused,
    _file_size,
    _archive_form,
    _core_metadata,
    _license_files,
    _direct_url,
    _private,
    CLASSIFIERS,
    _nothing_to_load,
)


def findings_of(release: Release) -> tuple[Finding, ...]:
    """Everything that stands against it, in the order of the checks."""
    return tuple(finding for one in CHECKS for finding in one.findings(release))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
