"""Search paths by their text: ld.so(8)."""

from __future__ import annotations

import pytest

from gpuwheel.audit.closure.search_entries import Leads, entries, installed_folder


@pytest.mark.parametrize(
    ("text", "leads", "folders"),
    [
        ("$ORIGIN", Leads.INSIDE, ("ops/fast",)),
        ("${ORIGIN}/", Leads.INSIDE, ("ops/fast",)),
        ("$ORIGIN/../../nvidia/cublas/lib", Leads.INSIDE, ("nvidia/cublas/lib",)),
        ("$ORIGIN/./..//lib/.", Leads.INSIDE, ("ops/lib",)),
        ("$ORIGIN/../..", Leads.INSIDE, (".",)),
        ("$ORIGIN/$LIB", Leads.INSIDE, ("ops/fast/lib64", "ops/fast/lib/x86_64-linux-gnu", "ops/fast/lib")),
        ("$ORIGIN/${PLATFORM}/x", Leads.INSIDE, ("ops/fast/x86_64/x",)),
        ("$ORIGIN/../../../lib", Leads.OUTSIDE, ()),
        # On its way it leaves, and the name of what it comes back to is anybody's.
        ("$ORIGIN/../../../site-packages/ops", Leads.OUTSIDE, ()),
        ("/usr/local/cuda/lib64", Leads.ABSOLUTE, ()),
        ("", Leads.CURRENT, ()),
        ("lib", Leads.CURRENT, ()),
        ("../lib", Leads.CURRENT, ()),
        ("$ORIGINAL/lib", Leads.CURRENT, ()),
        ("$ORIGIN_LIB/lib", Leads.CURRENT, ()),
        ("$origin/lib", Leads.CURRENT, ()),
        ("@loader_path/lib", Leads.CURRENT, ()),
    ],
)
def test_an_entry_leads_where_the_loader_goes(text: str, leads: Leads, folders: tuple[str, ...]) -> None:
    (found,) = entries(text, "ops/fast", "x86_64") if text else entries(":", "ops/fast", "x86_64")[:1]
    assert (found.leads, found.folders) == (leads, folders)


@pytest.mark.parametrize(("path", "count"), [(None, 0), ("", 0), (":", 2), ("$ORIGIN:", 2), ("$ORIGIN", 1)])
def test_a_path_without_any_text_is_none(path: str | None, count: int) -> None:
    assert len(entries(path, "ops", "x86_64")) == count


@pytest.mark.parametrize(
    ("member", "folder"),
    [
        ("ops/_C.so", "ops"),
        ("_C.so", "."),
        ("ops-1.0.data/platlib/ops/_C.so", "ops"),
        ("ops-1.0.data/purelib/_C.so", "."),
        ("ops-1.0.data/scripts/tool", None),
        ("ops-1.0.data/data/lib/libx.so", None),
    ],
)
def test_a_member_is_installed_where_installers_put_it(member: str, folder: str | None) -> None:
    assert installed_folder(member) == folder


def test_nothing_is_known_of_where_a_program_of_the_folder_of_scripts_starts() -> None:
    (found,) = entries("$ORIGIN/../lib", None, "x86_64")
    assert (found.leads, found.folders) == (Leads.INSIDE, ())
