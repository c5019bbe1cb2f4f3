"""What a compiler driver says of itself, and what of that is asked each time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel.compile.reuse import drivers
from gpuwheel.compile.reuse.drivers import Driver
from gpuwheel.compile.reuse.index import FileIndex

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _tools(tmp_path: Path, program: Path, **environ: str) -> Mapping[str, list[str]]:
    cache = Cache(tmp_path / "cache")
    index = FileIndex(cache, "tools")
    return Driver.of([str(program)], [], cache=cache, index=index, environ={"PATH": "/usr/bin:/bin", **environ}).tools


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """As mpicxx is, or the compilers of Spack."""
    path = tmp_path / "wrapper"
    path.write_text(
        f"""#!/bin/sh
case "$*" in
*-###*) echo "cc1plus $WRAPPER_FLAGS $(cat {tmp_path}/flags) -o /tmp/cc$(date +%6N | head -c 6).s" >&2 ;;
esac
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    (tmp_path / "flags").write_text("-O2", encoding="utf-8")
    return path


def test_what_a_wrapper_adds_is_in_the_key(wrapper: Path, tmp_path: Path) -> None:
    plain = _tools(tmp_path, wrapper)
    assert _tools(tmp_path, wrapper) == plain, "names of temporary files are no difference"
    assert _tools(tmp_path, wrapper, WRAPPER_FLAGS="-march=x86-64-v3") != plain
    (tmp_path / "flags").write_text("-O3", encoding="utf-8")
    assert _tools(tmp_path, wrapper) != plain


def test_a_compiler_itself_is_not_asked_again(tmp_path: Path) -> None:
    compiler = shutil.copy(shutil.which("date") or "", tmp_path / "x86_64-linux-gnu-g++-12")
    assert "plan" not in _tools(tmp_path, compiler)
    configured = shutil.copy(compiler, tmp_path / "x86_64-linux-gnu-clang++-16")
    assert "plan" in _tools(tmp_path, configured), "it may have a file of configuration"


def test_what_another_gpuwheel_noted_in_another_shape_is_not_read(
    wrapper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = _tools(tmp_path, wrapper)
    monkeypatch.setattr(drivers, "FORMAT", drivers.FORMAT + 1)
    monkeypatch.setattr(drivers.Facts, "of", lambda _: pytest.fail("an entry of the older shape was read"))
    assert _tools(tmp_path, wrapper) == noted


@pytest.mark.parametrize("head", ["#!{python}\n", "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n"])
def test_a_script_that_starts_what_a_package_brings_is_one_in_environments_of_all_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    def tools(environment: str, python: str, *, shown: str = "", text: str = "from cmake import cmake") -> object:
        folder = tmp_path / environment / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "cmake"
        script.write_text(head.format(python=f"{shown or folder}/{python}") + text, encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(folder / "python"))
        return drivers.build_tools({"PATH": str(folder)}, FileIndex(Cache(tmp_path / "cache"), "tools"))

    one = tools("one", "python3.11")
    assert tools("two", "python") == one
    assert tools("two", "python", text="from cmake import other") != one
    assert tools("two", "python", shown="/elsewhere/bin") != one, "the CMake of another environment is not known"
    assert tools("two", "ruby") != one
