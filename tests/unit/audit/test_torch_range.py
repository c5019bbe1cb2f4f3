from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from gpuwheel.audit.torch_range import torch_range
from gpuwheel.model.versions import MinorVersion
from gpuwheel.model.wheels import WheelTag

TAG = WheelTag("cp311", "cp311", "manylinux_2_28_x86_64")


@pytest.mark.parametrize(
    "text",
    [
        "torch>=2.13,<2.14",
        "torch~=2.13.0",
        "torch==2.13.*",
        "torch==2.13.0",
        "torch==2.13",
        "torch===2.13.0",
        "Torch == 2.13.0+cu130",
        "torch>=2.13.0,<=2.13.9",
        "torch>2.12.99,<2.14.dev0",
        "torch==2.13.7",
        "torch>=2.13,!=2.13.0,<2.14",
    ],
)
def test_one_minor_in_its_many_spellings(text: str) -> None:
    found = torch_range([Requirement(text)], TAG)
    assert found is not None
    assert found.single == MinorVersion(2, 13)
    assert found.bounded


@pytest.mark.parametrize(
    ("text", "floor", "bounded"),
    [
        ("torch==2.*", "2.0", True),
        ("torch~=2.13", "2.13", True),
        ("torch>=2.13", "2.13", True),
        ("torch>=2.13,<2.15", "2.13", True),
        ("torch>2.12.1,<3", "2.12", True),
        ("torch!=2.12.*,>=2.11", "2.11", True),
        ("torch", "0.0", False),
        ("torch<2.6", "0.0", False),
        ("torch<=2.13.0,!=1.0", "0.0", False),
    ],
)
def test_several_minors(text: str, floor: str, bounded: bool) -> None:  # noqa: FBT001 (a column)
    found = torch_range([Requirement(text)], TAG)
    assert found is not None
    assert found.single is None
    assert str(found.minors[0]) == floor
    assert found.bounded is bounded


def test_all_that_is_said_holds_together() -> None:
    found = torch_range([Requirement("torch>=2.12"), Requirement("torch<2.13")], TAG)
    assert found is not None
    assert found.single == MinorVersion(2, 12)


def test_conditions_are_those_of_the_tag() -> None:
    texts = ['torch==2.12.*; python_version < "3.12"', 'torch==2.13.*; python_version >= "3.12"']
    requirements = [Requirement(text) for text in texts]
    one = torch_range(requirements, TAG)
    assert one is not None
    assert one.single == MinorVersion(2, 12)
    every = torch_range(requirements, WheelTag("cp310", "abi3", "manylinux_2_28_x86_64"))
    assert every is not None
    assert [str(minor) for minor in every.minors] == ["2.12", "2.13"]
    elsewhere = [Requirement('torch>=2.10; sys_platform == "win32"'), Requirement("numpy")]
    assert torch_range(elsewhere, TAG) is None


def test_what_nobody_can_install_admits_nothing() -> None:
    found = torch_range([Requirement("torch>=2.14,<2.13")], TAG)
    assert found is not None
    assert found.minors == ()
    assert found.single is None
