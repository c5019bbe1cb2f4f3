"""Stubs and polyfills for aarch64, made and linked on another machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from old_system import fetch_old_system

from gpuwheel.audit.platform import platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.compatibility import load_tables

if TYPE_CHECKING:
    from conftest import Workshop

pytestmark = [pytest.mark.compiler, pytest.mark.cross]

SOURCE = (Path(__file__).parent / "polyfills.cpp").read_text(encoding="utf-8")
CHECKS = [f"check_{name}" for name in re.findall(r"^TEST\((\w+)\)", SOURCE, re.MULTILINE)]


def test_it_asks_for_no_more_than_the_platform_has(cross_workshop: Workshop) -> None:
    library = cross_workshop.link(cross_workshop.compile("wide.cpp"), "manylinux_2_28")
    elf = read_elf(library.read_bytes(), library.name)
    order = [policy.tag for policy in load_tables().platforms if policy.machine == "aarch64"]
    assert order.index(platform_tag([elf], load_tables()).tag) <= order.index("manylinux_2_28_aarch64")
    assert not [symbol.name for symbol in elf.imports if symbol.version is None and not symbol.weak]


@pytest.mark.qemu
def test_it_runs(cross_workshop: Workshop) -> None:
    wide = cross_workshop.link(cross_workshop.compile("wide.cpp"), "manylinux_2_28")
    assert cross_workshop.call(wide, "wide") == {"wide": 0}
    library = cross_workshop.link(cross_workshop.compile("polyfills.cpp"), "manylinux_2_17", "-static-libgcc")
    assert cross_workshop.call(library, *CHECKS) == dict.fromkeys(CHECKS, 0)


@pytest.mark.qemu
@pytest.mark.debian
@pytest.mark.heavy
def test_it_runs_on_an_old_system(cross_workshop: Workshop, tmp_path: Path) -> None:
    system = fetch_old_system(tmp_path, "aarch64")
    wide = cross_workshop.link(cross_workshop.compile("wide.cpp"), "manylinux_2_28")
    assert cross_workshop.call(wide, "wide", system=system) == {"wide": 0}
    library = cross_workshop.link(cross_workshop.compile("polyfills.cpp"), "manylinux_2_17", "-static-libgcc")
    assert cross_workshop.call(library, *CHECKS, system=system) == dict.fromkeys(CHECKS, 0)
