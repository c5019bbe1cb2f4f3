"""Search paths (DT_RPATH, DT_RUNPATH): what they promise on the machine that installs the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.closure.search_entries import Entry, Leads, entries, library_folder
from gpuwheel.model.findings import Found, Others, Part, Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase

__all__ = ["SEARCH_PATH_RULES"]

_MOST = 24
"""Entries: each is tried for each library that is needed."""


_MEND = "gpuwheel repair --runpath WHEEL"


@rule(
    "search-path",
    needs={Part.LIBRARIES, Part.METADATA, Part.NAME},
    why="that folder is on the machine that built the wheel: elsewhere it is missing, or somebody else's",
    fix="drop it: link without -Wl,-rpath for that folder, with CMAKE_SKIP_RPATH=ON, or patchelf --set-rpath",
    source="System V ABI, Shared Object Dependencies; ld.so(8): $ORIGIN",
)
def _search_path(case: LibraryCase) -> Iterator[Found]:
    """A library looks for others in a folder that is not the wheel's to know."""
    library = case.library
    tag, path = ("DT_RUNPATH", library.runpath) if library.runpath is not None else ("DT_RPATH", library.rpath)
    found = entries(path, library_folder(library), library.machine)
    by = {leads: [entry for entry in found if entry.leads is leads] for leads in Leads}
    if by[Leads.CURRENT]:
        yield _current(library.name, tag, by[Leads.CURRENT])
    if absolute := by[Leads.ABSOLUTE]:
        problem = f"searches libraries in {_shown(absolute)} ({tag}, expected entries with $ORIGIN alone)"
        yield Found(library.name, problem, facts=_facts(tag, absolute), command=_MEND, others=Others(Severity.WARNING))
    if outside := by[Leads.OUTSIDE]:
        problem = f"searches libraries outside of site-packages ({_shown(outside)}, {tag}, expected entries inside)"
        why = "what lies there is no package's that is required, and in a system's Python it is the system's"
        yield Found(library.name, problem, why, severity=Severity.WARNING, facts=_facts(tag, outside))
    if len(found) > _MOST:
        problem = f"searches libraries in {len(found)} folders ({tag}, expected {_MOST} or fewer)"
        yield Found(library.name, problem, "each is tried for each library that is needed", severity=Severity.WARNING)
    # $ORIGIN leads to libraries of packages in Requires-Dist, which lie at a known distance in site-packages.
    if by[Leads.INSIDE] and not case.claims.provided:
        yield Found(
            library.name,
            f"searches libraries in {_shown(by[Leads.INSIDE])} ({tag}, expected none)",
            "torch is loaded before the library, so there is nothing to search for",
            "drop -Wl,-rpath from `link-flags`",
            Severity.WARNING,
            profile=Profile.OWN,
        )


def _current(name: str, tag: str, found: list[Entry]) -> Found:
    empty = all(not entry.text for entry in found)
    told = "an empty entry" if empty else _shown(found)
    problem = f"searches libraries in the current folder ({told} in {tag}, expected entries with $ORIGIN alone)"
    why = "whoever can write a file where Python is started, has their code run by an import"
    fix = "write $ORIGIN, quoted for the shell and for make ('$$ORIGIN'), and no colon at an end"
    return Found(name, problem, why, fix, facts=_facts(tag, found), command=_MEND)


def _shown(found: list[Entry]) -> str:
    return ", ".join(sorted({entry.text or "(empty)" for entry in found}))


def _facts(tag: str, found: list[Entry]) -> dict[str, object]:
    return {"tag": tag, "entries": [entry.text for entry in found]}


SEARCH_PATH_RULES = (_search_path,)
"""About one library (`LibraryCase`)."""
