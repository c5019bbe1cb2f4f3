"""METADATA: what installers and indexes refuse in it, as `packaging` reads it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from packaging.metadata import InvalidMetadata, Metadata, parse_email
from packaging.utils import canonicalize_name

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.names_agree import dist_info_file
from gpuwheel.model.findings import Found, Part, Severity
from gpuwheel.wheel.metadata import valid_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["METADATA_RULES", "fields"]

_SPEC = "core metadata specification, as `packaging.metadata` reads it"
_NEWER = re.compile(r".* introduced in metadata version (\S+), not (\S+)")
_OTHERS = frozenset({"requires-dist", "requires-python", "license-expression", "license-file", "provides-extra"})
"""Fields with rules of their own."""
_REQUIRED = frozenset({"name", "version", "metadata-version"})
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")
_BUILD_AGAIN = "build the wheel again with a current build backend; do not edit METADATA by hand"
_SUMMARY = 512
"""Characters that PyPI takes (warehouse/forklift/metadata.py)."""
_NUMBERED = ("metadata_version", "version", "requires_python", "requires_dist")
_ENDLESS = re.compile(r"\d{4000}")


@lru_cache(maxsize=2)
def _parsed(document: bytes) -> tuple[dict[str, Any], dict[str, list[str]], tuple[InvalidMetadata, ...]]:
    """What is known, what is not, and what is wrong."""
    raw, unparsed = parse_email(document)
    try:
        Metadata.from_raw(raw)
    except Exception as group:  # noqa: BLE001 (an ExceptionGroup, which Python 3.10 has not)
        wrong = [error for error in getattr(group, "exceptions", ()) if isinstance(error, InvalidMetadata)]
    else:
        wrong = []
    # Of int, which takes 4,300 digits, and which comes when the field is used, here or at the installer's.
    endless = [field for field in _NUMBERED if _ENDLESS.search(str(raw.get(field)))]
    wrong += [InvalidMetadata(field.replace("_", "-"), "a number of thousands of digits") for field in endless]
    return dict(raw), unparsed, tuple(sorted(wrong, key=lambda error: (error.field, str(error))))


def fields(case: WheelCase) -> dict[str, Any]:
    """Fields of METADATA that were understood, by their names in Python (`requires_dist`)."""
    document = dist_info_file(case, "METADATA")
    return {} if document is None else _parsed(document)[0]


def _errors(case: WheelCase, names: frozenset[str]) -> Iterator[InvalidMetadata]:
    document = dist_info_file(case, "METADATA")
    for error in () if document is None else _parsed(document)[2]:
        if error.field.replace("_", "-") in names and not _NEWER.fullmatch(str(error)):
            yield error


@rule(
    "metadata-file",
    needs={Part.MEMBERS},
    why="pip and uv refuse to install the wheel",
    fix=_BUILD_AGAIN,
    source="core metadata specification; tried with pip, uv and installer",
)
def _file(case: WheelCase) -> Iterator[Found]:
    """METADATA is missing, or is not UTF-8."""
    folder = case.wheel.dist_info
    if folder is None:
        return
    document = dist_info_file(case, "METADATA")
    if document is None:
        yield Found(f"{folder}/METADATA", "is missing (expected name, version and requirements of the project)")
        return
    try:
        document.decode()
    except UnicodeDecodeError as error:
        why = "pip refuses to install the wheel"
        yield Found(f"{folder}/METADATA", f"is not UTF-8 (at byte {error.start:,}, expected UTF-8)", why)


@rule(
    "metadata-field",
    needs={Part.METADATA},
    why="PyPI refuses the wheel",
    fix=_BUILD_AGAIN,
    source=f"{_SPEC}; which of them pip and uv refuse was tried",
)
def _field(case: WheelCase) -> Iterator[Found]:
    """A field of METADATA is missing, has no valid value, or occurs more often than it may."""
    document = dist_info_file(case, "METADATA")
    if document is None:
        return
    raw, unparsed, errors = _parsed(document)
    subject = f"{case.wheel.dist_info}/METADATA"
    known = {name for name in unparsed if name.replace("-", "_") in Metadata.__annotations__ or name in _SINGLE}
    for name in sorted(known):
        if len(unparsed[name]) > 1:
            why = "readers differ in which of them they take"
            yield Found(subject, f"has {_shown(name)} more than once (expected once)", why)
        elif _decodes(document):
            yield Found(subject, f"has {_shown(name)} in a form that is none")
    for error in errors:
        field = error.field.replace("_", "-")
        if field not in _OTHERS | known and not _NEWER.fullmatch(str(error)):
            missing = field in _REQUIRED and field.replace("-", "_") not in raw
            told = "(expected one)" if missing else f"({cut(str(error))})"
            problem = f"has no {'' if missing else 'valid '}{_shown(field)} {told}"
            yield Found(subject, problem, "pip and uv refuse the wheel" if field in {"name", "version"} else None)
    if len(str(raw.get("summary", ""))) > _SUMMARY:
        yield Found(subject, f"has a Summary that is too long (expected at most {_SUMMARY} characters)")


_SINGLE = frozenset(
    {
        *("metadata-version", "name", "version", "summary", "description", "description-content-type", "keywords"),
        *("home-page", "download-url", "author", "author-email", "maintainer", "maintainer-email", "license"),
        *("license-expression", "requires-python"),
    }
)


def _decodes(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(field: str) -> str:
    return {"download-url": "Download-URL", "home-page": "Home-page"}.get(field, field.title())


@rule(
    "metadata-newer-field",
    needs={Part.METADATA},
    why="readers of that version do not look at the field; none that was tried refuses it",
    fix="build with a current backend, which writes the version that its fields need",
    source=_SPEC,
    severity=Severity.NOTE,
)
def _newer(case: WheelCase) -> Iterator[Found]:
    """METADATA has a field that its own Metadata-Version does not know."""
    document = dist_info_file(case, "METADATA")
    for error in () if document is None else _parsed(document)[2]:
        if match := _NEWER.fullmatch(str(error)):
            field, since, said = error.field.replace("_", "-").title(), *match.groups()
            problem = f"has {field}, which is of Metadata-Version {since} (found Metadata-Version {said})"
            yield Found(f"{case.wheel.dist_info}/METADATA", problem)


@rule(
    "metadata-requirement",
    needs={Part.METADATA},
    why="pip refuses to install the wheel",
    fix="correct it in the project's dependencies, and build again",
    source="PEP 508 and PEP 440, as `packaging.requirements` reads them; tried with pip and uv",
)
def _requirement(case: WheelCase) -> Iterator[Found]:
    """A Requires-Dist is not a valid requirement."""
    for text in fields(case).get("requires_dist", ()):
        if valid_requirement(text) is None:
            subject = f"{case.wheel.dist_info}/METADATA"
            yield Found(subject, f"has a Requires-Dist that is not valid ({cut(text)}, expected NAME>=VERSION)")


@rule(
    "direct-url",
    needs={Part.METADATA},
    why="PyPI refuses the wheel; elsewhere pip fetches the URL, whatever index the user chose",
    fix="require the project by name and version, and say in the documentation where its files are",
    source="PEP 440, Direct references: public index servers should not allow them; PyPI does not",
    severity=Severity.WARNING,
)
def _direct(case: WheelCase) -> Iterator[Found]:
    """A Requires-Dist names a URL instead of versions."""
    for text in fields(case).get("requires_dist", ()):
        asked = valid_requirement(text)
        if asked is not None and asked.url:
            subject = f"{case.wheel.dist_info}/METADATA"
            facts = {"requirement": asked.name, "url": cut(asked.url)}
            yield Found(subject, f"requires {asked.name} from a URL ({cut(asked.url)}, expected versions)", facts=facts)


@rule(
    "requires-python",
    needs={Part.METADATA},
    why="uv refuses to install the wheel; pip warns, and installs it into any Python",
    fix='write it as PEP 440 does, for example ">=3.10", and build again',
    source="core metadata, Requires-Python; PEP 440, Version specifiers; tried with pip and uv",
)
def _requires_python(case: WheelCase) -> Iterator[Found]:
    """Requires-Python is not a valid specifier."""
    for error in _errors(case, frozenset({"requires-python"})):
        yield Found(f"{case.wheel.dist_info}/METADATA", f"has no valid Requires-Python ({cut(str(error))})")


@rule(
    "metadata-extra",
    needs={Part.METADATA},
    why="pip says that there is no such extra, and installs nothing for it",
    fix="declare the extra in the project's optional dependencies, and build again",
    source="core metadata, Provides-Extra; PEP 685: names of extras are compared in normal form",
    severity=Severity.WARNING,
)
def _extra(case: WheelCase) -> Iterator[Found]:
    """A requirement is for an extra that METADATA does not provide, or an extra has no valid name."""
    subject = f"{case.wheel.dist_info}/METADATA"
    for error in _errors(case, frozenset({"provides-extra"})):
        why = "PyPI refuses the wheel"
        yield Found(subject, f"has no valid Provides-Extra ({cut(str(error))})", why, severity=Severity.ERROR)
    known = fields(case)
    provided = {canonicalize_name(extra) for extra in known.get("provides_extra", ())}
    missing: dict[str, str] = {}
    for asked in filter(None, map(valid_requirement, known.get("requires_dist", ()))):
        for extra in _EXTRA.findall(str(asked.marker or "")):
            if canonicalize_name(extra) not in provided:
                missing.setdefault(extra, asked.name)
    for extra, name in missing.items():
        yield Found(subject, f"requires {name} for the extra {cut(extra)}, which it does not provide")


METADATA_RULES = (_file, _field, _newer, _requirement, _direct, _requires_python, _extra)
