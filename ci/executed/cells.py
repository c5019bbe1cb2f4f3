"""One cell of the matrix: the GPU tests of a project, whose wheel has PTX of one arch, beside one torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections import Counter
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from packaging.metadata import Metadata

from gpuwheel._run import ProcessFailedError, run
from gpuwheel._toml import read_toml
from gpuwheel.errors import GpuwheelError
from gpuwheel.testing.torch_environments import torch_environment

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from torch_environments import layer_on  # noqa: E402  (shared with the tests, which are no package)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch_environments import Layer

__all__ = ["PROJECTS", "Cell", "Outcome", "Workshop"]

ARCHS = ("7.5", "8.0", "9.0", "10.0")
PROJECTS = {"sample": ARCHS, "embed": ARCHS, "kernels": ARCHS, "nvcc": ARCHS[1:]}
"""The sample, the templates with their defaults, and the archs of each: CUTLASS multiplies by instructions of 8.0.

`nvmath` has no device code of its own.
"""
DRIVER = "13.0"
BESIDE = {"kernels": ("cuda-core>=1,<2", f"cuda-bindings=={DRIVER.partition('.')[0]}.*")}
"""What launches kernels there, and comes with the user's CUDA: no wheel requires it."""
REASONS = (
    r"needs \d+ GB of free device memory",
    r"Triton's, which the pretend one does not execute",
    r"cuBLASLt is machine code",
    r"nvmath-python is not installed",
)
"""Why a test may be skipped: it needs hardware, or what only hardware executes."""


@dataclass(frozen=True)
class Cell:
    """What is tried."""

    project: str
    arch: str
    """Of the PTX."""
    torch: str
    """A release."""
    multiprocessors: int

    def __str__(self) -> str:
        return f"{self.project}, PTX of {self.arch}, torch {self.torch}, {self.multiprocessors} multiprocessors"


@dataclass
class Outcome:
    """What came of it."""

    project: str
    arch: str
    torch: str
    multiprocessors: int
    passed: int = 0
    failed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason -> tests."""
    reports: int = 0
    """Mistakes that the checks found."""
    launches: int = 0
    kernels: int = 0
    """Entries of the PTX: each instantiation of a template is one."""
    never: list[str] = field(default_factory=list)
    """Those that were not launched."""
    seconds: float = 0.0
    problem: str = ""
    """Of the wheel or the environment; else the end of what pytest said, where it failed."""

    @property
    def cell(self) -> Cell:
        """What it is of."""
        return Cell(self.project, self.arch, self.torch, self.multiprocessors)

    def wrong(self) -> Iterator[str]:
        """What must not be."""
        if self.problem:
            yield self.problem
        if self.failed or not self.passed:
            yield f"{self.failed} tests failed, {self.passed} passed"
        if self.reports:
            yield f"the checks found {self.reports} mistakes"
        if self.never or not self.kernels:
            yield f"{len(self.never)} of {self.kernels} kernels were never launched: {', '.join(self.never)}"
        for reason, count in self.skipped.items():
            if not any(re.search(known, reason) for known in REASONS):
                yield f"{count} tests were skipped: {reason}"


class Workshop:
    """Wheels and environments, in one folder; wheels are made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def outcome(self, cell: Cell) -> Outcome:
        """Build, install, and run the tests that are for a GPU."""
        outcome = Outcome(*astuple(cell))
        folder = self.folder / "cell"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            project = self._project(cell.project)
            layer = self._layer(cell, self._wheel(project, cell), folder)
        except (GpuwheelError, ProcessFailedError) as error:
            outcome.problem = error.render()
            return outcome
        began = time.monotonic()
        program = ("-m", "pytest", "-p", "gpuwheel.testing.plugin", "-p", "no:cacheprovider", "-q", "-rfE", "-m", "gpu")
        machine = ("--fake-gpu", "--fake-gpu-driver", DRIVER, "--fake-gpu-multiprocessors", str(cell.multiprocessors))
        report = ("--fake-gpu-report", folder / "report.json", "--fake-gpu-coverage", folder / "coverage")
        command = (*program, *machine, *report, f"--junitxml={folder / 'tests.xml'}")
        # A test that needs the pretend GPU and does not get it fails.
        environ = {"PYTHONPATH": str(ROOT), "GPUWHEEL_REQUIRE": "fake-gpu"}
        done = layer.run(*command, cwd=project, environ=environ, check=False)
        outcome.seconds = round(time.monotonic() - began, 1)
        if done.returncode:
            outcome.problem = "\n".join(done.output.splitlines()[-30:])
        _read(outcome, folder)
        return outcome

    def _project(self, name: str) -> Path:
        """The folder of the sample, or of a template that was rendered."""
        if name == "sample":
            return ROOT / "sample_extension"
        folder = self.folder / f"{name}-operators"
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "gpuwheel", "new", folder, "--template", name, "--defaults", "--no-git"])
        return folder

    def _wheel(self, project: Path, cell: Cell) -> Path:
        """By this gpuwheel, with what the project requires to be built."""
        out = self.folder / "wheels" / f"{cell.project}-{cell.arch}"
        if not (made := list(out.glob("*.whl"))):
            pip = (sys.executable, "-m", "pip")
            requires = read_toml(project / "pyproject.toml")["build-system"]["requires"]
            others = [line for line in requires if not line.startswith("gpuwheel")]
            path = self.folder / "requires"
            if others and not path.exists():
                run([*pip, "install", "--quiet", "--no-deps", "--target", path, *others])
            environ = {**os.environ, "PYTHONPATH": str(path), "GPUWHEEL_ARCHS": f"{cell.arch}+PTX"}
            build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", out)
            run([*pip, *build, project], env=environ)
            made = list(out.glob("*.whl"))
        return made[0]

    def _layer(self, cell: Cell, wheel: Path, folder: Path) -> Layer:
        layer = layer_on(torch_environment(cell.torch, environ=os.environ), folder)
        if layer.stubs is None:
            msg = f"torch {cell.torch} is a CPU build here (expected one for CUDA)"
            raise GpuwheelError(msg)
        layer.install("--no-deps", wheel)
        beside = [*_requires(wheel), *BESIDE.get(cell.project, ())]
        if beside:
            layer.install(*beside)
        return layer


def _requires(wheel: Path) -> Iterator[str]:
    """What a wheel requires but for torch, which is there, and but for its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(name))
    for each in metadata.requires_dist or ():
        if each.name != "torch" and (each.marker is None or each.marker.evaluate({"extra": ""})):
            yield str(each)


def _read(outcome: Outcome, folder: Path) -> None:
    """What pytest and the pretend GPU left in files."""
    if (folder / "tests.xml").exists():
        _count(outcome, ET.parse(folder / "tests.xml").iter("testcase"))  # noqa: S314 (pytest's, of this minute)
    if (folder / "report.json").exists():
        outcome.reports = len(json.loads((folder / "report.json").read_text(encoding="utf-8"))["mistakes"])
    if (folder / "coverage" / "coverage.json").exists():
        kernels = json.loads((folder / "coverage" / "coverage.json").read_text(encoding="utf-8"))["kernels"]
        outcome.kernels = len(kernels)
        outcome.launches = sum(kernel["launches"] for kernel in kernels)
        outcome.never = [kernel["name"] for kernel in kernels if not kernel["launches"]]


def _count(outcome: Outcome, tests: Iterable[ET.Element]) -> None:
    skipped: Counter[str] = Counter()
    for test in tests:
        reason = test.find("skipped")
        if test.find("failure") is not None or test.find("error") is not None:
            outcome.failed += 1
        elif reason is not None:
            skipped[reason.get("message", "")] += 1
        else:
            outcome.passed += 1
    outcome.skipped = dict(skipped)
