"""The same wheel file under torch old and new, CPU and CUDA builds, and under every Python of this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Builder, SystemCuda
    from torch_environments import Layer

SAMPLE = Path(__file__).resolve().parents[3] / "sample_extension"
SMOKE = Path(__file__).with_name("smoke.py")
OPERATORS = [
    "add_rms_norm",
    "bias_gelu",
    "bias_squared_relu",
    "cross_entropy",
    "gelu_mlp",
    "linear_gelu",
    "rotary_embedding",
    "squared_relu",
    "swiglu",
]
# CUDA that a release may be built with; None: a CPU build, which pip finds where it is told of one.
CUDA = {"2.10.0": {"12.8"}, "2.13.0": {None, "13.0"}, "2.15.0": {"13.2"}}

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _torch_may_look(no_system_cuda: SystemCuda, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system's toolkit stays hidden, but torch itself looks for one, which is not our fault."""
    monkeypatch.setenv("SYSTEM_CUDA_GUARD_LOG", str(tmp_path / "torch-looked-for"))
    assert no_system_cuda.touches() == []


# Under one torch all tests of the sample run by default, under the others all of its operators.
OFTEN = "2.13.0"


@pytest.fixture(scope="module", params=CUDA)
def installed(request: pytest.FixtureRequest, layer: Callable[..., Layer], sample_wheel: Path) -> tuple[str, Layer]:
    """A release of torch, and the layer with the wheel on it; no gpuwheel there."""
    there = layer(request.param)
    there.install("--no-deps", sample_wheel)
    return request.param, there


def test_the_operators_run(installed: tuple[str, Layer], tmp_path: Path) -> None:
    release, there = installed

    said = json.loads(there.run(SMOKE, cwd=tmp_path).stdout)

    assert said["torch"].startswith(release)
    assert said["cuda"] in CUDA[release]
    assert said["operators"] == OPERATORS


def run_tests(there: Layer, folder: Path, files: list[str], *options: str) -> str:
    """Some of the sample's own tests on the installed wheel; what pytest said. Its sources are not on the path."""
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(SAMPLE / "pyproject.toml"), *options)
    done = there.run(
        *words, f"--rootdir={SAMPLE}", *(SAMPLE / "tests" / name for name in files), cwd=folder, check=False
    )
    assert done.returncode == 0, done.output
    return done.stdout


def passed(said: str) -> int:
    """The number of passed tests in pytest's last line."""
    found = re.search(r"(\d+) passed", said.rstrip().rpartition("\n")[2])
    return int(found[1]) if found else 0


@pytest.mark.parametrize(
    "installed",
    [pytest.param(release, marks=[] if release == OFTEN else pytest.mark.heavy) for release in CUDA],
    indirect=True,
)
def test_the_tests_of_the_sample_pass(installed: tuple[str, Layer], tmp_path: Path) -> None:
    """All that depend on the wheel and on torch. Inductor compiles for minutes what no torch changes for us."""
    files = ["test_values.py", "test_registration.py", "test_errors.py"]
    # opcheck of torch 2.15 itself looks at it.
    ignored = "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
    assert passed(run_tests(installed[1], tmp_path, files, "-k", "not inductor", "-W", ignored)) > 100


@pytest.fixture(params=["2.10.0", "2.15.0"])
def with_gpuwheel(
    request: pytest.FixtureRequest, layer: Callable[..., Layer], sample_wheel: Path, builder: Builder
) -> Layer:
    """A CUDA build of torch, the wheel, and gpuwheel for its pretend GPU."""
    there = layer(request.param)
    there.install("--no-deps", sample_wheel, builder.gpuwheel)
    return there


def test_every_launch_path_runs_on_the_pretend_gpu(
    with_gpuwheel: Layer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("GPUWHEEL_REQUIRE", "fake-gpu")  # none may be skipped for want of it
    assert passed(run_tests(with_gpuwheel, tmp_path, ["test_launches.py"], "--fake-gpu")) > 2 * len(OPERATORS)


@pytest.mark.pythons
@pytest.mark.parametrize(("version", "release"), [("3.10", "2.13.0"), ("3.12", "2.15.0"), ("3.13", "2.15.0")])
def test_the_operators_run_under_other_pythons(
    layer: Callable[..., Layer], sample_wheel: Path, tmp_path: Path, version: str, release: str
) -> None:
    there = layer(release, version)
    there.install("--no-deps", sample_wheel)

    said = json.loads(there.run(SMOKE, cwd=tmp_path).stdout)

    assert said["python"].startswith(f"{version}.")
    assert said["operators"] == OPERATORS
