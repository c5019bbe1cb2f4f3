"""A wheel for aarch64 from another machine: its own tag and symbols, and the same device code."""

from __future__ import annotations

import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.audit.platform import platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.compatibility import load_tables

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.cross]

CROSS = {"CXX": "aarch64-linux-gnu-g++"}


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_wheel_for_another_machine(project: Project, tmp_path: Path) -> None:
    made = project.hook("build_wheel", tmp_path, **CROSS)
    assert made.code == 0, made.output
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == "tiny_ops-1.2.3-py3-none-manylinux_2_28_aarch64.whl"
    inside = members(wheel)
    assert b"Tag: py3-none-manylinux_2_28_aarch64" in inside["tiny_ops-1.2.3.dist-info/WHEEL"]

    library = read_elf(inside["tiny_ops/_C.so"], "_C.so")
    assert library.machine == "aarch64"
    assert "libtorch.so" in library.needed
    order = [policy.tag for policy in load_tables().platforms if policy.machine == "aarch64"]
    found = platform_tag([library], load_tables()).tag
    assert order.index(found) <= order.index("manylinux_2_28_aarch64")
    # auditwheel searches the folders of ld.so.conf otherwise, among them those of a system CUDA toolkit.
    command = [sys.executable, "-m", "auditwheel", "show", "--json", "--ldpaths", "/usr/aarch64-linux-gnu/lib", wheel]
    shown = json.loads(run(command).stdout)
    assert shown["sym_tag"] == found

    here = members(project.wheel(tmp_path / "native"))
    native = read_elf(here["tiny_ops/_C.so"], "_C.so")
    theirs, ours = (bytes(made.sections[".nv_fatbin"]) for made in (library, native))
    assert theirs == ours, "device code depends on the machine"
    assert inside["tiny_ops/_kernels.json"] == here["tiny_ops/_kernels.json"]
