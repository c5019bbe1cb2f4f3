"""What `gpuwheel dev` compiles for, and what it watches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from gpuwheel.cli import main
from gpuwheel.cli.builds.watching import Watched
from gpuwheel.config import load_config
from gpuwheel.model.archs import Arch
from gpuwheel.pipeline.dev_archs import chosen_settings
from gpuwheel.toolchain.probes.devices import Present

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel]
archs = ["8.0", "9.0a", "10.0+PTX"]
[tool.gpuwheel.kernels.plain]
sources = ["a.cu"]
[tool.gpuwheel.kernels.hopper]
sources = ["b.cu"]
archs = ["9.0a", "10.0a"]
[tool.gpuwheel.extensions."ops._C"]
sources = ["a.cpp"]
kernels = ["plain", "hopper"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    for name in ("a.cu", "b.cu", "a.cpp"):
        (tmp_path / name).touch()
    return tmp_path


def present(*archs: str, problem: str | None = None) -> Present:
    return Present(tuple(f"GPU {arch}" for arch in archs), tuple(map(Arch.parse, archs)), problem)


@pytest.mark.parametrize(
    ("devices", "archs", "hopper"),
    [
        (["8.0"], "8.0", None),
        (["8.6"], "8.6", None),  # what the project does not name is compiled all the same: it is what is there
        (["9.0"], "9.0a", "9.0a"),  # code of its own for this very GPU
        (["10.0"], "10.0", "10.0a"),
        (["8.0", "9.0"], "8.0;9.0a", None),
        ([], "10.0+PTX", "9.0a+PTX"),  # the newest PTX of a wheel; without any, that of the lowest arch
    ],
)
def test_the_gpu_that_is_there_in_the_projects_words(
    root: Path, devices: list[str], archs: str, hopper: str | None
) -> None:
    chosen = chosen_settings(load_config(root, environ={}), present(*devices))
    assert chosen.settings["gpuwheel.archs"] == archs
    assert chosen.settings.get("gpuwheel.kernels.hopper.archs") == hopper
    assert load_config(root, environ={}, config_settings=dict(chosen.settings)).settings.archs


def test_what_a_pretended_gpu_executes_names_its_lines(root: Path) -> None:
    more = '[tool.gpuwheel.extensions."ops._N"]\nmode = "nvcc"\nsources = ["a.cpp"]\nnvcc-flags = ["-O2"]\n'
    (root / "pyproject.toml").write_text(PROJECT + more, encoding="utf-8")
    chosen = chosen_settings(load_config(root, environ={}), present())
    settings = load_config(root, environ={}, config_settings=dict(chosen.settings)).settings
    assert settings.extensions["ops._N"].nvcc_flags == ("-O2", "-lineinfo")
    assert all(group.lineinfo for group in settings.kernels.values())


def test_cutile_has_no_ptx_for_a_pretended_gpu(root: Path) -> None:
    kernels = PROJECT[: PROJECT.index("[tool.gpuwheel.kernels.plain]")].replace("10.0+PTX", "10.0")
    kernels += '[tool.gpuwheel.kernels.tiles]\nsources = ["t.py"]\n[tool.gpuwheel.kernels.plain]\nsources = ["a.cu"]\n'
    kernels += '[tool.gpuwheel.extensions."ops.k"]\nmode = "kernels"\nkernels = ["tiles", "plain"]\n'
    (root / "pyproject.toml").write_text(kernels, encoding="utf-8")
    (root / "t.py").write_text("import cuda.tile\n", encoding="utf-8")
    chosen = chosen_settings(load_config(root, environ={}), present()).settings
    assert chosen["gpuwheel.archs"] == "8.0+PTX"
    assert chosen["gpuwheel.kernels.tiles.archs"] == "8.0"
    assert "gpuwheel.kernels.tiles.lineinfo" not in chosen


def test_why_is_said(root: Path) -> None:
    config = load_config(root, environ={})
    assert chosen_settings(config, present("9.0")).reason == "the GPU that is there (GPU 9.0)"
    assert chosen_settings(config, present()).reason.startswith("no GPU is found: PTX for a pretended one")
    assert "cannot be used: no device" in chosen_settings(config, present(problem="no device")).reason


@pytest.mark.parametrize("environ", [{"GPUWHEEL_ARCHS": "12.0"}, {"TORCH_CUDA_ARCH_LIST": "12.0"}])
def test_what_somebody_states_for_this_build_stands(root: Path, environ: dict[str, str]) -> None:
    chosen = chosen_settings(load_config(root, environ=environ), present("9.0"))
    assert chosen.settings == {}
    assert next(iter(environ)) in chosen.reason


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--arch", "hopper"], "'hopper' is not an architecture"),
        (["--arch", "9.0", "--release"], "--arch and --release exclude each other"),
        (["-C", "gpuwheel.archs"], "-C gpuwheel.archs has no value"),
        (["nowhere"], "nowhere"),
    ],
)
def test_mistakes_on_the_command_line(root: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    result = CliRunner().invoke(main, ["dev", *words])
    assert result.exit_code == 2
    assert said in result.output


def test_help_shows_what_to_type() -> None:
    text = CliRunner().invoke(main, ["dev", "--help"]).output
    assert "gpuwheel dev --watch" in text
    assert "Examples:" in text


@pytest.mark.parametrize("name", ["d.cu", "include/deep/b.cuh", "pyproject.toml", "CMakeLists.txt"])
def test_a_source_that_changes_appears_or_goes_ends_the_wait(root: Path, name: str) -> None:
    watched = Watched(root)
    for change in (lambda path: path.write_text("x"), lambda path: path.write_text("xy"), lambda path: path.unlink()):
        watched.look()
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        threading.Timer(0.05, change, [root / name]).start()
        assert watched.wait() == [root / name]


def test_what_builds_write_is_not_watched(root: Path) -> None:
    watched = Watched(root)
    watched.look()
    for name in ("ops/_C.so", "build/x.cpp", ".git/index.txt", "ops/__pycache__/a.py", "ops/_kernels.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    threading.Timer(0.6, (root / "c.cu").touch).start()
    assert watched.wait() == [root / "c.cu"]


def test_what_a_build_itself_wrote_is_known(root: Path) -> None:
    watched = Watched(root)
    watched.look()
    (root / "launcher.py").touch()
    (root / "a.cu").write_text("edited meanwhile", encoding="utf-8")
    watched.know([root / "launcher.py"])
    assert watched.wait() == [root / "a.cu"]
