"""gpuwheel.testing as far as no compiler is needed."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel._toml import own_table
from gpuwheel.errors import ConfigError, ToolchainError
from gpuwheel.testing import FakeGpu, FakeSettings, Launch, require, write_stubs
from gpuwheel.testing.native_code import find_c_compiler

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH = Launch(
    symbol="_ZN5fused5scaleIfLi4EEEvPT_PKS1_lf",
    grid=(6, 1, 1),
    block=(16, 1, 1),
    cluster=(0, 0, 0),
    shared_bytes=0,
    cooperative=False,
    programmatic=False,
    device=0,
    through_runtime=False,
    stream=0,
    parameters=(bytes(8), b"\x01" + bytes(7), b"\x80\x01" + bytes(6), b"\x00\x00\x00\x40"),
)


def test_a_launch_shows_its_cpp_name_and_its_arguments() -> None:
    assert LAUNCH.name == "fused::scale<float, 4>"
    assert LAUNCH.arguments("PPqf") == (0, 1, 384, 2.0)


@pytest.mark.parametrize(("formats", "message"), [("PPq", "has 4 parameters, not 3"), ("PPqd", "has 4 bytes, not 8")])
def test_wrong_formats_are_named(formats: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAUNCH.arguments(formats)


def test_require_skips_and_can_be_made_to_fail() -> None:
    with pytest.raises(pytest.skip.Exception, match="gpu is missing: none here"):
        require("gpu", "none here", environ={})
    with pytest.raises(pytest.fail.Exception, match="GPUWHEEL_REQUIRE=pythons, gpu"):
        require("gpu", "none here", environ={"GPUWHEEL_REQUIRE": "pythons, gpu"})
    with pytest.raises(pytest.skip.Exception):
        require("gp", "none here", environ={"GPUWHEEL_REQUIRE": "gpu"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"devices": 0},
        {"devices": 17},
        {"multiprocessors": 0},
        {"multiprocessors": 1025},
        {"capability": "90"},
        {"driver": "new"},
        {"patience": -1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="pretend GPU"):
        FakeSettings(**wrong)  # type: ignore[arg-type]


def test_a_process_without_the_pretend_gpu_is_told_how_to_get_it() -> None:
    with pytest.raises(ToolchainError, match="sees no pretend GPU") as caught:
        FakeGpu()
    assert "--fake-gpu" in str(caught.value.hint)


def test_stubs_need_a_cuda_build(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="has no torch"):
        write_stubs(tmp_path, tmp_path / "out", "cc")
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    with pytest.raises(ToolchainError, match="CPU build"):
        write_stubs(tmp_path, tmp_path / "out", "cc")


def test_a_missing_c_compiler_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="looked for cc, gcc and clang"):
        find_c_compiler({"PATH": str(tmp_path)})
    with pytest.raises(ToolchainError, match="looked for icx"):
        find_c_compiler({"PATH": str(tmp_path), "CC": "icx"})


def test_the_plugin_imports_next_to_nothing() -> None:
    code = "import sys, pytest; old = set(sys.modules); import gpuwheel.testing.plugin; print(set(sys.modules) - old)"
    loaded = run([sys.executable, "-c", code]).stdout
    assert eval(loaded) == {"gpuwheel", "gpuwheel.testing", "gpuwheel.testing.plugin"}  # noqa: S307 - our own set


def test_a_cpu_build_of_torch_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "test_it.py").write_text("def test_it(fake_gpu): pass\n")
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--fake-gpu"]
    done = run(words, cwd=tmp_path, check=False)  # -m puts the folder, and so this torch, first
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is a CPU build" in done.stderr
    without = run([*words[:-1], "-q", "-rs"], cwd=tmp_path)
    assert "fake-gpu is missing: start pytest with --fake-gpu" in without.stdout


def test_every_stub_has_the_names_that_nvidias_headers_declare() -> None:
    functions = own_table("nvidia_symbols.toml")["functions"]
    for soname, names in functions.items():
        assert re.fullmatch(r"lib\w+\.so\.\d+", soname)
        assert len(names.split()) == len(set(names.split())) > 5
    for major in ("12", "13"):
        assert "cublasGetStatusString" in functions[f"libcublas.so.{major}"].split()
        assert "cublasLtMatmulDescInit_internal" in functions[f"libcublasLt.so.{major}"].split()
