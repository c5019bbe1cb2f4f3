"""For which Pythons and machines a wheel is judged."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from corpus.wheels import library, wheel

from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.closure.closures import Closure
from gpuwheel.audit.inspection import opened
from gpuwheel.compatibility.distributions.releases import ReleaseTable

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables


@pytest.mark.parametrize(
    ("tag", "requires_python", "pythons"),
    [
        ("cp311-cp311-manylinux_2_17_x86_64", ">=3.9", {11}),
        ("cp38-cp38-manylinux_2_17_x86_64", ">=3.8", {8}),
        ("cp312-abi3-manylinux_2_17_x86_64", ">=3.9", {12, 14}),
        ("cp39.cp311-cp39.cp311-manylinux_2_17_x86_64", ">=3.9", {9, 11}),
        ("py3-none-manylinux_2_17_x86_64", ">=3.10,<3.13", {10, 12}),
        ("py310-none-manylinux_2_17_x86_64", ">=3.9", {10, 14}),
        # They disagree, which is another rule's to say.
        ("cp311-cp311-manylinux_2_17_x86_64", ">=3.12", {11}),
        ("cp311-cp311-win_amd64", ">=3.9", set()),
        ("cp311-cp311-macosx_11_0_arm64", ">=3.9", set()),
    ],
)
def test_a_wheel_is_judged_where_it_is_installed(
    tmp_path: Path, tables: Tables, tag: str, requires_python: str, pythons: set[int]
) -> None:
    made = wheel(tag=tag, fields=[f"Requires-Python: {requires_python}"])
    (tmp_path / made.name).write_bytes(made.data)
    with opened(tmp_path / made.name) as inspection:
        places = WheelCase(inspection, tables).closure.places
        assert {place.python for place in places} == pythons
        assert {place.machine for place in places} <= {"x86_64"}


@pytest.mark.parametrize(
    ("needed", "wanted", "given_up"),
    [
        ("libpz.so.1", range(9), ["newest", "oldest"]),
        # Without libraries that look for others, only whether the requirements go together was looked for.
        (None, range(9), ["newest"]),
        ("libpz.so.1", range(8), []),
    ],
)
def test_a_search_that_was_given_up_is_kept(
    tmp_path: Path, tables: Tables, needed: str | None, wanted: range, given_up: list[str]
) -> None:
    many = " ".join(f"1.{minor}" for minor in range(40))
    texts = {f"p{n}": f"{many} @ x86_64 @ 8-15\n  > q{n}\n" for n in range(9)}
    texts |= {f"q{n}": f"1.0 @ x86_64 @ 8-15\n  > z=={1 if n < 8 else 2}.0\n" for n in range(9)}
    texts |= {"z": "1.0 2.0 @ x86_64 @ 8-15\n  z/lib: libpz.so.1\n"}
    files = {"ops/_C.so": library(needed=(needed,), runpath="$ORIGIN/../z/lib") if needed else None}
    made = wheel(files, requires=[f"p{n}" for n in wanted], tag="cp311-cp311-manylinux_2_17_x86_64")
    (tmp_path / made.name).write_bytes(made.data)
    with opened(tmp_path / made.name) as inspection:
        closure = Closure(inspection, tables, ReleaseTable(date(2026, 1, 1), frozenset(), frozenset(), texts))
        assert [it.how for it in closure.given_up] == given_up
        assert closure.clashes == ()
