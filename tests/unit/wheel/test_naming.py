from __future__ import annotations

import pytest
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from gpuwheel.errors import AuditError
from gpuwheel.model.wheels import WheelTag
from gpuwheel.wheel.naming import WheelName, expand_tag, parse_sdist_name, parse_wheel_name, sdist_name


@pytest.mark.parametrize(
    "name",
    [
        "fused_ops-1.0-py3-none-any.whl",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "Some.Name-1!2.0rc1-7b-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    ],
)
def test_names_survive_parsing(name: str) -> None:
    assert str(parse_wheel_name(name)) == name


def test_a_composed_name_is_what_packaging_reads() -> None:
    name = WheelName.compose("Fused.Ops-Extra", Version("1.0rc1+cu130"), WheelTag("py3", "none", "linux_x86_64"))
    assert str(name) == "fused_ops_extra-1.0rc1+cu130-py3-none-linux_x86_64.whl"
    project, version, build, tags = parse_wheel_filename(str(name))
    assert (project, str(version), build, {str(tag) for tag in tags}) == (
        "fused-ops-extra",
        "1.0rc1+cu130",
        (),
        {"py3-none-linux_x86_64"},
    )


def test_platform_changes_alone() -> None:
    name = parse_wheel_name("a-1-2-py3-none-linux_x86_64.whl").with_platform("manylinux_2_34_x86_64")
    assert str(name) == "a-1-2-py3-none-manylinux_2_34_x86_64.whl"


def test_compressed_tags_expand_in_order() -> None:
    assert [str(tag) for tag in expand_tag(WheelTag("py2.py3", "none", "a.b"))] == [
        "py2-none-a",
        "py2-none-b",
        "py3-none-a",
        "py3-none-b",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a.whl",
        "a-1-py3-none-any.zip",
        "a-x-py3-none-any.whl",
        "a-1-py3-none.whl",
        "x-1.0-1/../../../a-py3-none-any.whl",
        "x-1.0-py3-none-any/../../b.whl",
        "x-1.0-1\0-py3-none-any.whl",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(AuditError, match="is not a wheel's name"):
        parse_wheel_name(name)


def test_sdist_names() -> None:
    assert sdist_name("Fused-Ops", Version("1.0")) == "fused_ops-1.0.tar.gz"
    assert parse_sdist_name("fused_ops-1.0.tar.gz") == ("fused-ops", Version("1.0"))
    with pytest.raises(AuditError, match="is not an sdist's name"):
        parse_sdist_name("fused_ops.tar.gz")
