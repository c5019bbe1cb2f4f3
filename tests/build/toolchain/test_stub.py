"""Linkers accept the stub, and readelf has nothing to say against it."""

from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.binary.stub import stub_library
from gpuwheel.toolchain import find_host_compiler

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compiler


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld", "mold"])
def test_linkers_accept_the_stub(tmp_path: Path, linker: str) -> None:
    if shutil.which(f"ld.{linker}") is None:
        pytest.skip(f"no ld.{linker}")
    stub, source, library = tmp_path / "libtorch.so", tmp_path / "a.cpp", tmp_path / "a.so"
    stub.write_bytes(stub_library("libtorch.so", platform.machine()))
    source.write_text("int f() { return 1; }\n", encoding="utf-8")
    compiler = find_host_compiler(os.environ).path
    flags = ["-shared", "-fPIC", f"-fuse-ld={linker}", "-Wl,--no-as-needed", "-Wl,--fatal-warnings"]
    run([compiler, *flags, source, f"-L{tmp_path}", "-ltorch", "-o", library])
    assert "[libtorch.so]" in run(["readelf", "-dW", library]).stdout


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_readelf_finds_nothing_wrong(tmp_path: Path, machine: str) -> None:
    stub = tmp_path / "libtorch.so"
    stub.write_bytes(stub_library("libtorch.so", machine))
    seen = run(["readelf", "-aW", stub], env={**os.environ, "LC_ALL": "C"})
    assert seen.stderr == ""
    assert "Library soname: [libtorch.so]" in seen.stdout


def test_the_compiler_on_path_is_found(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "CXX"}
    found = find_host_compiler(environ)
    assert found.found_via == "PATH"
    assert platform.machine() in found.target
    program = tmp_path / "clang++"
    program.write_text(f'#!/bin/sh\nexec {found.path} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    assert find_host_compiler({"PATH": str(tmp_path)}).path == program
    assert find_host_compiler({**environ, "CXX": f"{found.path} -O2"}).found_via == "CXX"
