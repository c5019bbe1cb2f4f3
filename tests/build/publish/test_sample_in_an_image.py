"""The sample in a container image: its own tests pass inside, on the CPU, beside torch in layers of its own."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from local_podman import local_podman
from machine_base import machine_base

from gpuwheel._run import run
from gpuwheel.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_podman import LocalPodman

pytestmark = [pytest.mark.heavy, pytest.mark.compiler, pytest.mark.network]

SAMPLE = Path(__file__).resolve().parents[3] / "sample_extension"


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[LocalPodman]:
    (tmp_path / "podman").mkdir()
    with local_podman(tmp_path / "podman") as engine:
        yield engine


def test_its_tests_pass_inside(podman: LocalPodman, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PIP_NO_INDEX"}
    pip = [sys.executable, "-m", "pip", "-q"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-C", "gpuwheel.archs=8.0", "-w", tmp_path / "own"]
    run([*wheel, SAMPLE], cwd=tmp_path, env=environ)
    run([*pip, "download", "-d", tmp_path / "others", "torch==2.13.*", "numpy", "pytest"], cwd=tmp_path, env=environ)
    wheels = [str(path) for folder in ("own", "others") for path in sorted((tmp_path / folder).glob("*.whl"))]
    # What every manylinux system has, and torch is linked to.
    system = Path(f"/usr/lib/{os.uname().machine}-linux-gnu")
    libraries = [system / f"lib{name}" for name in ("dl.so.2", "gcc_s.so.1", "pthread.so.0", "rt.so.1", "stdc++.so.6")]
    base = machine_base(tmp_path / "base", further=[path for path in libraries if path.exists()])
    place = f"oci:{tmp_path}/image:sample"

    done = CliRunner().invoke(main, ["image", "--base", base, "--project", "gpuwheel-sample", "-o", place, *wheels])

    assert done.exit_code == 0, done.output
    tests = f"--volume={SAMPLE / 'tests'}:/tests:ro"
    inside = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "/tests"]
    said = podman("run", "--rm", tests, podman.pull(place), *inside, check=False)
    assert said.returncode == 0, said.output
    assert int(re.findall(r"(\d+) passed", said.stdout)[0]) > 100, said.stdout
