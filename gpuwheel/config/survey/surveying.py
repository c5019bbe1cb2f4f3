"""Lines of an extension that nothing in `abi = "compat"` stands in for."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from gpuwheel.config.files.globs import resolve_sources
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.config.survey.covered import load_facts
from gpuwheel.config.survey.preprocessed import Reader
from gpuwheel.model.choices import Mode
from gpuwheel.model.libraries import Survey, SurveyLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gpuwheel.config.model import Settings
    from gpuwheel.config.survey.covered import CompatFacts
    from gpuwheel.config.survey.preprocessed import Include, Visit
    from gpuwheel.model.choices import TorchAbi

__all__ = ["survey_extensions", "survey_sources"]

_SPACES = ("at", "c10", "torch", "caffe2", "py", "pybind11")
_QUALIFIED = re.compile(rf"(?<![\w:.>])(?:::\s*)?(?P<space>{'|'.join(_SPACES)})::(?P<name>\w+(?:::\w+)*)")
_MACRO = re.compile(r"\b(?:AT|TORCH|C10|THC|PYBIND11|CAFFE)_[A-Z0-9_]+\b")
# A source may add to torch's namespaces; what it adds, it has.
_OPENED = re.compile(rf"\bnamespace\s+(?P<space>{'|'.join(_SPACES)})\b(?!\s*=)")
_MEMBER = re.compile(r"(?:\.|->)\s*(\w+)\s*\(")
_STABLE_SPACES = ("stable", "headeronly")
_MOST = 1000
"""Lines of an extension that are told: who has more has no use for all of them."""
_HEADER_WHY = "gpuwheel has no header in its place"
_HEADER_EDIT = "leave it out if nothing else of it is used; else report the gap"
_MEMBER_WHY = "it is not in torch's stable ABI"
_NAME_WHY = "gpuwheel's headers do not have it"


def survey_extensions(settings: Settings, root: Path, abi: TorchAbi) -> tuple[Survey, ...]:
    """Of the extensions with an `abi` whose sources gpuwheel knows, in their order.

    Raises:
        ConfigError: sources that are not there.
    """
    return tuple(
        survey_sources(
            name,
            root,
            resolve_sources(root, one.sources, dotted(("extensions", name, "sources"))),
            [root / folder for folder in one.include_dirs],
            (*one.defines, *(flag for flag in (*one.flags, *one.nvcc_flags) if flag.startswith("-D"))),
        )
        for name, one in settings.extensions.items()
        if one.mode is Mode.NVCC and one.abi is abi and one.sources
    )


def survey_sources(
    extension: str, root: Path, sources: Sequence[Path], include_dirs: Sequence[Path], defines: Iterable[str] = ()
) -> Survey:
    """What the sources of an extension, and the project's headers that they include, use beyond `abi = "compat"`.

    Args:
        extension: its import path.
        root: the folder of the project, to which messages name paths.
        sources: files that are compiled.
        include_dirs: the project's folders that `#include` searches.
        defines: macros of the build, "NAME" or "NAME=VALUE", with or without "-D".
    """
    facts = load_facts()
    values: dict[str, int | None] = {**facts.defined, **dict(map(_definition, defines))}
    reader = Reader(root)
    visits = list(reader.visits(tuple(sources), tuple(include_dirs), values, facts.undefined - values.keys()))
    macros = frozenset[str]().union(*(visit.file.defined for visit, _ in visits))
    opened = {match["space"] for visit, _ in visits for match in _OPENED.finditer(visit.file.code)}
    found: dict[tuple[str, str], SurveyLine] = {}
    for visit, outside in visits:
        place = reader.shown(visit.file.path)
        lines = [
            *_headers(outside, facts),
            *_apis(visit, facts),
            *_members(visit, facts),
            *_unknown(visit, facts, macros, opened),
        ]
        for number, uses, why, edit, conditional in sorted(lines, key=lambda each: each[0]):
            chain = f" (from {', '.join(visit.chain)})" if visit.chain else ""
            # A name alone may be the project's own.
            refused = why not in {_HEADER_WHY, _NAME_WHY, _MEMBER_WHY}
            line = SurveyLine(f"{place}:{number}{chain}", uses, why, edit, conditional, refused)
            found.setdefault((line.place, uses), line)
        if len(found) > _MOST:
            break
    return Survey(extension, tuple(found.values())[:_MOST])


_Line = tuple[int, str, str, "str | None", bool]
"""(line, what it uses, why nothing stands in for it, what to write instead, whether a condition decides)."""


def _headers(outside: Iterable[tuple[Include, bool]], facts: CompatFacts) -> Iterator[_Line]:
    for include, conditional in outside:
        name = include.name
        if facts.covers(name):
            continue
        api = facts.refused_by(name)
        if api is not None:
            yield include.line, name, api.why, api.edit, conditional
        elif name.startswith(facts.foreign):
            yield include.line, name, _HEADER_WHY, _HEADER_EDIT, conditional


def _apis(visit: Visit, facts: CompatFacts) -> Iterator[_Line]:
    matches = _pattern(facts).finditer(visit.file.code) if _pattern(facts).search(visit.file.code) else ()
    for match in matches:
        api = facts.apis[int((match.lastgroup or "_0")[1:])]
        yield from _at(visit, match.start(), api.name, api.why, api.edit)


def _members(visit: Visit, facts: CompatFacts) -> Iterator[_Line]:
    for match in _MEMBER.finditer(visit.file.code):
        if match[1] in facts.members:
            yield from _at(visit, match.start(1), f"Tensor::{match[1]}", _MEMBER_WHY, facts.members[match[1]])


def _unknown(visit: Visit, facts: CompatFacts, macros: frozenset[str], opened: set[str]) -> Iterator[_Line]:
    """Names of torch's and pybind11's that no header of ours says."""
    code = visit.file.code
    refused = _pattern(facts)
    for match in _QUALIFIED.finditer(code):
        parts = match["name"].split("::")
        if parts[0] in _STABLE_SPACES or facts.names.issuperset(parts) or match["space"] in opened:
            continue
        if not refused.search(code, match.start(), match.end() + 1):  # one more, for the bracket of a call
            yield from _at(visit, match.start(), f"{match['space']}::{match['name']}", _NAME_WHY, None)
    for match in _MACRO.finditer(code):
        if match[0] not in facts.names and match[0] not in macros and not refused.match(match[0]):
            yield from _at(visit, match.start(), match[0], _NAME_WHY, None)


def _at(visit: Visit, position: int, uses: str, why: str, edit: str | None) -> Iterator[_Line]:
    line = visit.file.line_of(position)
    state = visit.state(line)
    if state != 0:
        # What a macro stands for is compiled where somebody uses it.
        yield line, uses, why, edit, state is None or line in visit.file.bodies


@functools.cache
def _joined(matches: tuple[str | None, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<_{number}>{match})" for number, match in enumerate(matches) if match))


def _pattern(facts: CompatFacts) -> re.Pattern[str]:
    """One expression for all of the table: a group for each row."""
    return _joined(tuple(api.match for api in facts.apis))


def _definition(text: str) -> tuple[str, int | None]:
    """A macro of the command line; one without a value is 1 (GCC manual, -D)."""
    name, _, value = text.removeprefix("-D").partition("=")
    if not value:
        return name, 1
    return name, int(value) if value.isdigit() else None
