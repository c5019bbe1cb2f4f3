from __future__ import annotations

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.exports.copied_libraries import load_copied_libraries
from gpuwheel.compatibility.platform_tags import parse_platform, policy_of


@pytest.mark.parametrize(
    ("text", "kind", "machine"),
    [
        ("any", "any", None),
        ("manylinux_2_28_x86_64", "glibc", "x86_64"),
        ("manylinux2014_aarch64", "glibc", "aarch64"),
        ("manylinux1_i686", "glibc", "i686"),
        ("musllinux_1_2_x86_64", "musl", "x86_64"),
        ("linux_x86_64", "linux", "x86_64"),
        ("macosx_11_0_arm64", "elsewhere", None),
        ("win_amd64", "elsewhere", None),
        ("win32", "elsewhere", None),
        ("manylinux_2_28", "unknown", None),
        ("manylinux2015_x86_64", "unknown", None),
        ("manylinux", "unknown", None),
        ("linux", "unknown", None),
        ("manylinux_9999_1_x86_64", "unknown", None),
    ],
)
def test_what_a_tag_is_for(text: str, kind: str, machine: str | None) -> None:
    found = parse_platform(text)
    assert (found.kind, found.machine) == (kind, machine)


@pytest.mark.parametrize(
    ("text", "glibc", "libstdcxx"),
    [
        ("manylinux2014_x86_64", (2, 17), (3, 4, 19)),
        ("manylinux_2_28_x86_64", (2, 28), (3, 4, 24)),
        ("manylinux_2_29_x86_64", (2, 29), (3, 4, 24)),  # no policy: that of 2.28, with its own glibc
        ("manylinux_2_99_x86_64", (2, 99), (3, 4, 33)),
        ("manylinux_2_12_aarch64", (2, 12), (3, 4, 19)),
    ],
)
def test_what_a_tag_promises(text: str, glibc: tuple[int, ...], libstdcxx: tuple[int, ...]) -> None:
    policy = policy_of(load_tables().platforms, parse_platform(text))
    assert policy is not None
    assert policy.newest["GLIBC"] == glibc
    assert policy.newest["GLIBCXX"] == libstdcxx


def test_machines_without_policies() -> None:
    assert policy_of(load_tables().platforms, parse_platform("manylinux_2_17_s390x")) is None


def test_each_copied_library_can_be_told() -> None:
    rows = load_copied_libraries()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert 1 < row.enough <= len(row.functions)
        for other in rows:
            assert other is row or row.functions.isdisjoint(other.functions)
