from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.audit import check_platform, platform_tag
from gpuwheel.audit.platform import full_tag
from gpuwheel.binary.elf import Import
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables

    Library = Callable[..., ElfFile]


def _needing(elf: Library, version: str, symbol: str = "symbol", provider: str = "libc.so.6") -> ElfFile:
    return elf(Import(symbol, weak=False, version=version, library=provider), version_needs={provider: (version,)})


@pytest.mark.parametrize(
    ("version", "provider", "tag"),
    [
        ("GLIBC_2.2.5", "libc.so.6", "manylinux_2_5_x86_64"),
        ("GLIBC_2.14", "libc.so.6", "manylinux_2_17_x86_64"),
        ("GLIBC_2.34", "libc.so.6", "manylinux_2_34_x86_64"),
        ("GLIBCXX_3.4.26", "libstdc++.so.6", "manylinux_2_31_x86_64"),
        ("GLIBCXX_3.4.9", "libstdc++.so.6", "manylinux_2_12_x86_64"),
        ("CXXABI_1.3.9", "libstdc++.so.6", "manylinux_2_24_x86_64"),
        ("GCC_12.0.0", "libgcc_s.so.1", "manylinux_2_35_x86_64"),
        ("GLIBC_PRIVATE", "libc.so.6", "linux_x86_64"),
        ("GLIBC_9.9", "libc.so.6", "linux_x86_64"),
    ],
)
def test_the_newest_version_decides(elf: Library, tables: Tables, version: str, provider: str, tag: str) -> None:
    assert platform_tag([_needing(elf, version, provider=provider)], tables).tag == tag


def test_the_verdict_names_what_forces_it(elf: Library, tables: Tables) -> None:
    verdict = platform_tag([elf(), _needing(elf, "GLIBC_2.34", "dlopen")], tables)
    assert verdict.tag == "manylinux_2_34_x86_64"
    assert [str(demand) for demand in verdict.forced_by] == ["fused_ops/_C.so needs GLIBC_2.34 of libc.so.6 for dlopen"]


def test_a_system_library_of_newer_platforms_counts(elf: Library, tables: Tables) -> None:
    verdict = platform_tag([elf(needed=("libmvec.so.1",), imports=(), version_needs={})], tables)
    assert verdict.tag == "manylinux_2_24_x86_64"
    assert [str(demand) for demand in verdict.forced_by] == ["fused_ops/_C.so needs libmvec.so.1"]


def test_versions_of_other_libraries_say_nothing(elf: Library, tables: Tables) -> None:
    library = elf(needed=("libtorch.so",), imports=(), version_needs={"libtorch.so": ("TORCH_2.15", "GLIBC_9")})
    assert platform_tag([library], tables).tag == "manylinux_2_5_x86_64"


def test_no_library_is_any_platform(tables: Tables) -> None:
    assert platform_tag([], tables).tag == "any"
    assert check_platform([], "any", tables) == []


def test_other_machines(elf: Library, tables: Tables) -> None:
    arm = elf(machine="aarch64", imports=(), version_needs={"libc.so.6": ("GLIBC_2.17",)}, needed=("libc.so.6",))
    assert platform_tag([arm], tables).tag == "manylinux_2_17_aarch64"
    with pytest.raises(AuditError, match="for different machines"):
        platform_tag([arm, elf()], tables)
    with pytest.raises(AuditError, match=r"for EM_RISCV \(no platform tag is known for it"):
        platform_tag([elf(machine="EM_RISCV")], tables)


@pytest.mark.parametrize(
    "requested", ["manylinux_2_28", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64.manylinux2014_x86_64"]
)
def test_a_request_beyond_the_symbols_names_them(elf: Library, tables: Tables, requested: str) -> None:
    library = _needing(elf, "GLIBC_2.34", "dlopen")
    findings = check_platform([library], requested, tables)
    assert len(findings) == requested.count(".") + 1
    assert findings[0].subject == "fused_ops/_C.so"
    assert "GLIBC_2.34 of libc.so.6 for dlopen" in findings[0].problem
    assert 'platform = "manylinux_2_34"' in findings[0].fix


@pytest.mark.parametrize("requested", ["manylinux_2_34", "manylinux_2_35_x86_64", "linux_x86_64"])
def test_an_honest_request_is_accepted(elf: Library, tables: Tables, requested: str) -> None:
    assert check_platform([_needing(elf, "GLIBC_2.34")], requested, tables) == []


@pytest.mark.parametrize("requested", ["manylinux_9_9", "musllinux_1_2", "any", "linux_aarch64"])
def test_an_unknown_platform_is_refused(elf: Library, tables: Tables, requested: str) -> None:
    with pytest.raises(AuditError, match="is not a known platform tag for x86_64"):
        check_platform([elf()], requested, tables)


@pytest.mark.parametrize(
    ("requested", "tag"),
    [
        ("manylinux_2_28", "manylinux_2_28_x86_64"),
        ("manylinux_2_28_x86_64", "manylinux_2_28_x86_64"),
        ("manylinux_2_17.manylinux2014", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    ],
)
def test_a_requested_platform_gets_its_machine(elf: Library, tables: Tables, requested: str, tag: str) -> None:
    assert full_tag(requested, [elf()], tables) == tag
    assert full_tag(requested, [], tables) == "any"
