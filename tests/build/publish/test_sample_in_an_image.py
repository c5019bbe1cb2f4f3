"""The sample in a container image: its own tests pass inside, on the CPU and on the pretend GPU, beside torch in layers
of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from local_podman import cdi_device, local_podman
from machine_base import machine_base
from torch_environments import environment_with

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.cli.app import main
from gpuwheel.testing.environment import VARIABLE, FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_podman import LocalPodman

pytestmark = [pytest.mark.heavy, pytest.mark.compiler, pytest.mark.network]

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "sample_extension"
CUDA_BUILD = "2.10.0"
"""A torch that indexes have for CUDA; what it needs of NVIDIA's libraries, the pretend GPU brings."""
BESIDE_TORCH = ("filelock", "fsspec", "jinja2", "networkx", "numpy", "pytest", "sympy", "typing_extensions")
FAKES = "/opt/fakes"


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[LocalPodman]:
    (tmp_path / "podman").mkdir()
    with local_podman(tmp_path / "podman") as engine:
        yield engine


@pytest.fixture
def pip() -> Callable[..., None]:
    environ = {name: value for name, value in os.environ.items() if name != "PIP_NO_INDEX"}

    def call(*words: object) -> None:
        run([sys.executable, "-m", "pip", "-q", *map(str, words)], env=environ)

    return call


@pytest.fixture(scope="module")
def sample_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    one_arch = ["-C", "gpuwheel.archs=9.0"]
    wheel = ["-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation", *one_arch, "-w", folder, SAMPLE]
    run([sys.executable, *wheel], cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def base(tmp_path: Path) -> str:
    """With what every manylinux system has, and torch is linked to."""
    system = Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
    libraries = [system / f"lib{name}" for name in ("dl.so.2", "gcc_s.so.1", "pthread.so.0", "rt.so.1", "stdc++.so.6")]
    return machine_base(tmp_path / "base", further=[path for path in libraries if path.exists()])


def _passed(said: str) -> int:
    return int(re.findall(r"(\d+) passed", said)[0])


def test_its_tests_pass_inside(
    podman: LocalPodman, pip: Callable[..., None], sample_wheel: Path, base: str, tmp_path: Path
) -> None:
    pip("download", "-d", tmp_path / "others", "torch==2.13.*", "numpy", "pytest")
    wheels = [str(path) for path in (sample_wheel, *sorted((tmp_path / "others").glob("*.whl")))]
    place = f"oci:{tmp_path}/image:sample"

    done = CliRunner().invoke(main, ["image", "--base", base, "--project", "gpuwheel-sample", "-o", place, *wheels])

    assert done.exit_code == 0, done.output
    tests = f"--volume={SAMPLE / 'tests'}:/tests:ro"
    inside = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "/tests"]
    said = podman("run", "--rm", tests, podman.pull(place), *inside, check=False)
    assert said.returncode == 0, said.output
    assert _passed(said.stdout) > 100, said.stdout


def _pretend_gpu(folder: Path) -> dict[str, object]:
    """What CDI brings into a container: the pretend GPU under a CUDA build of torch, and the sample's tests."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    program = Path(sys.base_prefix, "bin", f"python{version}")
    (torch,) = environment_with(CUDA_BUILD, version, program, os.environ).parent.parent.glob("lib/*/site-packages")
    settings = FakeSettings(devices=2)
    seen = fake_gpu_environment(
        {"PATH": os.environ["PATH"]}, cache=Cache(folder / "cache"), site_packages=torch, settings=settings
    )
    libraries = seen["LD_LIBRARY_PATH"]
    inside = {name: seen[name].replace(libraries, FAKES) for name in ("LD_LIBRARY_PATH", "LD_PRELOAD", VARIABLE)}
    mounts = {libraries: FAKES, str(SAMPLE / "tests"): "/tests"}
    return {
        "mounts": [{"hostPath": a, "containerPath": b, "options": ["ro", "bind"]} for a, b in mounts.items()],
        "env": [f"{name}={value}" for name, value in inside.items()],
    }


def test_its_launches_reach_the_gpu_that_cdi_mounts(
    podman: LocalPodman, pip: Callable[..., None], sample_wheel: Path, base: str, tmp_path: Path
) -> None:
    pip("wheel", "--no-deps", "-w", tmp_path / "own", ROOT)
    (own,) = (tmp_path / "own").glob("gpuwheel-*.whl")
    pip("download", "-d", tmp_path / "others", own, *BESIDE_TORCH)
    pip("download", "-d", tmp_path / "others", "--no-deps", f"torch=={CUDA_BUILD}")
    wheels = [str(path) for path in (sample_wheel, *sorted((tmp_path / "others").glob("*.whl")))]
    tests = "python -m pytest -q -p no:cacheprovider /tests/test_launches.py"
    words = ["--env", "GPUWHEEL_REQUIRE=fake-gpu", "--entrypoint", tests, "--run-lines", "podman"]
    # NVIDIA's wheels are not among them: the host brings what stands in for their libraries.
    words += ["--no-deps-check", "--project", "gpuwheel-sample", "-o", f"oci:{tmp_path}/image:sample"]

    done = CliRunner().invoke(main, ["image", "--base", base, *words, *wheels])

    assert done.exit_code == 0, done.output
    *_, line = done.stdout.splitlines()
    with cdi_device(_pretend_gpu(tmp_path)) as kind:
        # The line that is printed, but for whose devices they are.
        said = podman(*shlex.split(line.replace("nvidia.com/gpu", kind))[1:], check=False)
    assert said.returncode == 0, said.output
    assert _passed(said.stdout) > 30, said.stdout
