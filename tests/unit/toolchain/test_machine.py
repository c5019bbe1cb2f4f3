"""Platforms, host compilers, wheels and stubs: small parts, each by what it refuses and what it gives."""

from __future__ import annotations

import platform
import zipfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.errors import PlatformError, ToolchainError
from gpuwheel.index.ranges import SparseFile
from gpuwheel.index.unpack import unpack
from gpuwheel.toolchain import PlatformFacts, check_platform, find_host_compiler, probe_platform
from gpuwheel.toolchain.host import target_machine
from gpuwheel.toolchain.one_program import as_one_program

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ("x86_64", "aarch64")


def _compiler(folder: Path, body: str) -> Path:
    program = folder / "my-c++-12"
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("facts", "found", "hint"),
    [
        (PlatformFacts("darwin", "arm64", ""), "found macOS on arm64", "container"),
        (PlatformFacts("win32", "AMD64", ""), "found Windows on AMD64", "WSL"),
        (PlatformFacts("linux", "x86_64", "musl"), "found Linux with musl on x86_64", "not Alpine"),
        (PlatformFacts("linux", "riscv64", "glibc", "2.39"), "found Linux with glibc 2.39 on riscv64", "CPU"),
    ],
)
def test_other_platforms_are_refused(facts: PlatformFacts, found: str, hint: str) -> None:
    with pytest.raises(PlatformError) as caught:
        check_platform(facts, KNOWN)
    assert found in caught.value.message
    assert "expected Linux with glibc on aarch64 or x86_64" in caught.value.message
    assert hint in str(caught.value.hint)


def test_this_machine_is_accepted() -> None:
    facts = probe_platform()
    assert facts.libc == "glibc"
    assert facts.libc_version.startswith("2.")
    check_platform(facts, KNOWN)


def test_cxx_may_hold_arguments(tmp_path: Path) -> None:
    body = (
        'case "$*" in "-m64 --version") echo "mine 12.1"; echo more;; "-m64 -dumpmachine") echo x86_64-linux-gnu;; esac'
    )
    program = _compiler(tmp_path, body)
    compiler = find_host_compiler({"CXX": "my-c++-12 -m64", "PATH": f"{tmp_path}:/bin"})
    assert (compiler.path, compiler.identity, compiler.target) == (program, "mine 12.1", "x86_64-linux-gnu")
    assert compiler.found_via == "CXX"


def test_cxx_may_hold_programs_that_start_the_compiler(tmp_path: Path) -> None:
    program = _compiler(tmp_path, 'case "$2" in -dumpmachine) echo aarch64-linux-gnu;; *) echo "mine 12.1";; esac')
    for name in ("ccache", "distcc"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environ = {"CXX": "ccache distcc my-c++-12 '-DNAME=a b'", "PATH": f"{tmp_path}:/bin"}
    compiler = find_host_compiler(environ)
    assert compiler.launcher == (f"{tmp_path}/ccache", f"{tmp_path}/distcc")
    assert compiler.command == (str(program), "-DNAME=a b")
    with pytest.raises(ToolchainError, match="distcc cannot pass on arguments of CXX") as caught:
        as_one_program(compiler, Cache(tmp_path / "cache"))
    assert caught.value.hint == "write them into CXXFLAGS"


def test_a_compiler_with_arguments_becomes_one_program(tmp_path: Path) -> None:
    body = 'echo "$@" > "$(dirname "$0")/called"; echo g++ 12.1; [ "$2" != -dumpmachine ] || echo x86_64-linux-gnu'
    program = _compiler(tmp_path, body)
    cache = Cache(tmp_path / "cache")
    environ = {"CXX": f"{program} -I/old -DNAME='a b'", "PATH": "/bin:/usr/bin"}
    one = as_one_program(find_host_compiler(environ), cache)
    assert one.command == (str(program), "-I/old", "-DNAME=a b"), "for keys"
    run(["/bin/sh", one.one_program, "-c", "x y.cpp"])
    assert (tmp_path / "called").read_text(encoding="utf-8").strip() == "-DNAME=a b -c x y.cpp -isystem /old"
    assert not one.one_program.with_name("gcc").exists(), "no compiler for C is beside it"
    (tmp_path / "my-cc-12").write_text("", encoding="utf-8")
    assert as_one_program(one, cache).one_program.with_name("gcc").is_file()
    (tmp_path / "my-cc-12").unlink()
    assert as_one_program(one, cache) == one
    assert as_one_program(find_host_compiler(environ), cache).script == one.script
    other = as_one_program(find_host_compiler({**environ, "CXX": f"{program} -DNAME=c"}), cache)
    _compiler(tmp_path, body + "; : of another day")
    changed = as_one_program(find_host_compiler(environ), cache)
    assert len({one.script, other.script, changed.script}) == 3


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CXX": "ccache /bin/sh"}, r"the program that CXX starts compilers by is not found \(ccache\)"),
        (
            {"CMAKE_CXX_COMPILER_LAUNCHER": "absent;-x"},
            r"CMAKE_CXX_COMPILER_LAUNCHER starts compilers by .* \(absent\)",
        ),
        ({}, r"no C\+\+ compiler is found \(looked for c\+\+, g\+\+, clang\+\+ on PATH\)"),
        ({"CXX": "absent -O2"}, r"CXX names is not found \(absent\)"),
        ({"CXX": "g++ '"}, "CXX cannot be read"),
    ],
)
def test_a_missing_compiler_says_how_to_get_one(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(ToolchainError, match=message) as caught:
        find_host_compiler({"PATH": str(tmp_path), **environ})
    assert caught.value.hint


def test_a_compiler_that_does_not_run_is_shown(tmp_path: Path) -> None:
    program = _compiler(tmp_path, "echo no licence >&2; exit 3")
    with pytest.raises(ToolchainError, match="does not run") as caught:
        find_host_compiler({"CXX": str(program), "PATH": "/bin"})
    assert caught.value.detail == "no licence"


def test_a_cross_compiler_in_cxx_decides_for_which_machine(tmp_path: Path) -> None:
    program = _compiler(tmp_path, 'case "$1" in -dumpmachine) echo aarch64-linux-gnu;; *) echo "g++ 12";; esac')
    assert target_machine({"CXX": str(program), "PATH": "/bin"}) == "aarch64"
    assert target_machine({"PATH": "/bin"}) == platform.machine()
    assert target_machine({"CXX": "no-such-compiler", "PATH": "/bin"}) == platform.machine(), "the build will tell"


def test_a_wheel_cannot_write_outside(tmp_path: Path) -> None:
    wheel = tmp_path / "evil.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../outside", b"")
    (tmp_path / "in").mkdir()
    with pytest.raises(ToolchainError, match=r"unsafe name .*\.\./outside"):
        unpack(wheel, tmp_path / "in", leave_out=())
    assert not (tmp_path / "outside").exists()


def test_a_file_that_is_no_wheel_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "odd.whl"
    wheel.write_bytes(b"<html>")
    with pytest.raises(ToolchainError, match=r"odd\.whl is not a readable wheel"):
        unpack(wheel, tmp_path, leave_out=())


def test_a_sparse_file_fetches_each_byte_once() -> None:
    content = bytes(range(256)) * 2000
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        fetched.append((start, stop))
        return content[start:stop]

    with SparseFile(fetch, len(content)) as file:
        file.prefetch([(1000, 2000), (1500, 2500), (200_000, 200_010)])
        for start, stop in ((0, 10), (900, 3000), (199_990, 200_050), (511_990, 512_000), (0, 512_000)):
            file.seek(start)
            assert file.read(stop - start) == content[start:stop]
        assert file.read() == b""
    assert sum(stop - start for start, stop in fetched) == len(content)
    assert (1000, 2500) in fetched
