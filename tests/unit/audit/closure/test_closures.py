"""For which Pythons and machines a wheel is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from corpus.wheels import wheel

from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.inspection import opened

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
