"""The operators of `sample_extension` as projects that the benchmark builds.

The operators' sources are taken as they are. For gpuwheel the project is a copy; for torch.utils.cpp_extension the
headers below the sources change (`layouts/`): kernels are launched with `<<<>>>` by functions that are generated here.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from gpuwheel._toml import read_toml

__all__ = [
    "LAYOUTS",
    "TORCH_CUDA",
    "Layout",
    "Sample",
    "build_requires",
    "edit_kernel",
    "write_gpuwheel_project",
    "write_project",
]

HERE = Path(__file__).resolve().parent

TORCH_CUDA = {"2.14": "13.0", "2.15": "13.2"}
"""Releases of torch to measure with, and the CUDA that each was built with."""

_KERNEL = re.compile(
    r"(?:template <(?P<template>[^<>]*)>\s*)?__global__\s+void\s+"
    r"(?:__launch_bounds__\([^()]*\)\s*)?(?P<name>\w+)\((?P<parameters>[^()]*)\)\s*\{\n"
)
_INSTANTIATE = re.compile(r"^\w*INSTANTIATE\(", re.MULTILINE)


@dataclass(frozen=True)
class Layout:
    """A way to lay out an extension for torch.utils.cpp_extension."""

    name: str
    title: str
    stable: bool
    """Whether host code is written against torch's stable ABI, with `gpuwheel/torch.h` as helper."""
    host_header: str
    """What every `.cpp` includes first."""
    device_headers: tuple[str, ...]
    """What the `.cu` of every operator includes first."""


LAYOUTS = (
    Layout("classic", "classic", False, "torch/extension.h", ("torch/extension.h",)),  # noqa: FBT003 (a table)
    Layout(
        "stable",
        "stable ABI",
        True,  # noqa: FBT003
        "torch/csrc/stable/library.h",
        ("torch/csrc/stable/library.h", "torch/csrc/stable/ops.h", "torch/csrc/stable/tensor.h"),
    ),
    Layout("split", "stable ABI in .cpp only", True, "torch/csrc/stable/library.h", ()),  # noqa: FBT003
)


def build_requires(torch: str) -> tuple[str, ...]:
    """What cpp_extension needs: torch and the toolkit of its CUDA; pip resolves the rest as it does for any user."""
    toolkit = f"cuda-toolkit[nvcc,cccl,cudart,nvtx,profiler,culibos]=={TORCH_CUDA[torch]}.*"
    return ("setuptools", "ninja", f"torch=={torch}.*", toolkit)


@dataclass(frozen=True)
class Sample:
    """`sample_extension`, or some of its operators."""

    root: Path
    operators: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, operators: tuple[str, ...] = ()) -> Sample:
        """All operators, or those named.

        Raises:
            SystemExit: an operator is not there.
        """
        there = tuple(sorted(path.stem for path in (root / "csrc").glob("*.cpp")))
        missing = sorted(set(operators) - set(there))
        if missing:
            message = f"no operator {', '.join(missing)} in {root / 'csrc'} (there are {', '.join(there)})"
            raise SystemExit(message)
        return cls(root, operators or there)

    @property
    def archs(self) -> list[str]:
        """As the project declares them."""
        archs: list[str] = self._settings["archs"]
        return archs

    @property
    def torch_target(self) -> str:
        """TORCH_TARGET_VERSION for the torch floor that the project declares."""
        major, minor = self.torch.removeprefix(">=").split(".")
        return f"0x{int(major):02x}{int(minor):02x}000000000000ULL"

    @property
    def torch(self) -> str:
        """The range that the project declares."""
        return str(self._settings["torch"])

    @property
    def headers(self) -> list[Path]:
        """What sources include."""
        return [path for path in self._csrc if path.suffix in {".h", ".cuh"}]

    @property
    def host_sources(self) -> list[Path]:
        """One per operator."""
        return [path for path in self._csrc if path.suffix == ".cpp" and path.stem in self.operators]

    @property
    def device_sources(self) -> list[Path]:
        """One per operator, and those that operators share."""
        operators = {path.stem for path in self._csrc if path.suffix == ".cpp"}
        unwanted = operators - set(self.operators)
        return [path for path in self._csrc if path.suffix == ".cu" and path.stem not in unwanted]

    @property
    def _csrc(self) -> list[Path]:
        return sorted((self.root / "csrc").iterdir())

    @property
    def _settings(self) -> dict[str, list[str]]:
        project = read_toml(self.root / "pyproject.toml")
        settings: dict[str, list[str]] = project["tool"]["gpuwheel"]
        return settings


def write_gpuwheel_project(sample: Sample, out: Path) -> None:
    """The sample as it is, with the backend measured."""
    shutil.copytree(sample.root, out, ignore=shutil.ignore_patterns("build", "tests", "benchmarks", "__pycache__"))
    wanted = {path.name for path in (*sample.host_sources, *sample.device_sources, *sample.headers)}
    for path in (out / "csrc").iterdir():
        if path.name not in wanted:
            path.unlink()
    project = out / "pyproject.toml"
    backend = 'build-backend = "gpuwheel.backend"'
    text = project.read_text(encoding="utf-8")
    if backend not in text:
        message = f"{project} does not name its backend as expected ({backend})"
        raise SystemExit(message)
    project.write_text(
        text.replace(backend, 'build-backend = "measured_backend"\nbackend-path = ["."]'), encoding="utf-8"
    )
    shutil.copy(HERE / "measured_backend.py", out)


def write_project(layout: Layout, sample: Sample, headers: Path, out: Path, *, torch: str, nvcc: bool) -> None:
    """The sample's operators for torch.utils.cpp_extension, or the same sources for gpuwheel's mode `nvcc`.

    Args:
        layout: which headers the sources include.
        sample: whose operators.
        headers: the folder of gpuwheel's headers, for those that the sources use in every layout.
        out: where to write; must not exist.
        torch: a key of TORCH_CUDA.
        nvcc: whether gpuwheel builds it.
    """
    csrc, include = out / "csrc", out / "include" / "gpuwheel"
    shutil.copytree(HERE / "layouts" / "common" / "gpuwheel", include)
    shared = ("device.h", "math.h", "torch.h") if layout.stable else ("device.h", "math.h")
    for name in shared:
        shutil.copy(headers / name, include)
    if not layout.stable:
        shutil.copy(HERE / "layouts" / layout.name / "gpuwheel" / "torch.h", include)
    csrc.mkdir()
    for path in sample.headers:
        shutil.copy(path, csrc)
    for path in sample.host_sources:
        text = path.read_text(encoding="utf-8")
        (csrc / path.name).write_text(f"#include <{layout.host_header}>\n{text}", encoding="utf-8")
    kernels: list[_Kernel] = []
    for path in sample.device_sources:
        text = path.read_text(encoding="utf-8")
        found = _kernels(text)
        kernels += found
        first = layout.device_headers if path.stem in sample.operators else ()
        # setuptools names objects by the stem: the .cpp of the operator has the plain one.
        (csrc / f"{path.stem}_cuda.cu").write_text(_with_launchers(text, found, first), encoding="utf-8")
    (csrc / "fused.kernels.h").write_text(_declarations(kernels), encoding="utf-8")
    shutil.copytree(
        sample.root / "src" / "gpuwheel_sample", out / "gpuwheel_sample", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(HERE / "measured_backend.py", out)
    if nvcc:
        _write_nvcc_metadata(layout, sample, out, torch)
    else:
        _write_metadata(layout, sample, out, torch)


def edit_kernel(project: Path, operator: str) -> None:
    """Change one line of the operator's first kernel; what it computes stays the same, its machine code does not."""
    (path,) = (p for p in (project / "csrc").glob("*.cu") if p.stem in {operator, f"{operator}_cuda"})
    text = path.read_text(encoding="utf-8")
    match = _KERNEL.search(text)
    if match is None:
        message = f"no kernel found in {path}"
        raise SystemExit(message)
    path.write_text(f"{text[: match.end()]}  if (clock64() == 0) return;\n{text[match.end() :]}", encoding="utf-8")


@dataclass(frozen=True)
class _Kernel:
    name: str
    template: str
    """As in `typename T, int VEC`; empty for a plain function."""
    parameters: str

    @property
    def prefix(self) -> str:
        return f"template <{self.template}>\n" if self.template else ""

    @property
    def instance(self) -> str:
        """`<T, VEC>`, or nothing."""
        return f"<{', '.join(part.split()[-1] for part in self.template.split(','))}>" if self.template else ""

    @property
    def declaration(self) -> str:
        """A class with one function: cudafe++ 13.2 dies of `template decltype(f<T>) f<T>` for a host function."""
        return f"{self.prefix}struct launch_{self.name} {{\n  static void launch({self._launch_parameters});\n}};\n"

    @property
    def definition(self) -> str:
        """Of the class's function."""
        return (
            f"{self.prefix}void launch_{self.name}{self.instance}::launch({self._launch_parameters}) {{\n"
            f"  gpuwheel::launch({self.name}{self.instance}, config, {self.arguments});\n}}\n"
        )

    @property
    def _launch_parameters(self) -> str:
        parameters = self.parameters.replace("__restrict__", "")
        return f"const gpuwheel::LaunchConfig& config, {' '.join(parameters.split())}"

    @property
    def arguments(self) -> str:
        return ", ".join(part.split()[-1].lstrip("*") for part in self.parameters.split(","))


def _kernels(text: str) -> list[_Kernel]:
    return [_Kernel(m["name"], m["template"] or "", m["parameters"]) for m in _KERNEL.finditer(text)]


def _with_launchers(text: str, kernels: list[_Kernel], headers: tuple[str, ...]) -> str:
    """The source with a launcher per kernel, and its instantiations turned into those of the launchers."""
    launchers = "".join(kernel.declaration + kernel.definition for kernel in kernels)
    instantiate = (
        "#undef GPUWHEEL_INSTANTIATE\n#define GPUWHEEL_INSTANTIATE(...) template struct launch_##__VA_ARGS__\n"
    )
    first = _INSTANTIATE.search(text)
    if first is None or not kernels:
        message = f"no kernel and instantiation found in {text[:200]!r}"
        raise SystemExit(message)
    includes = "".join(f"#include <{header}>\n" for header in (*headers, "gpuwheel/launch.h"))
    return f"{includes}{text[: first.start()]}{launchers}{instantiate}{text[first.start() :]}"


def _declarations(kernels: list[_Kernel]) -> str:
    """What gpuwheel's generated header offers to host code: an object per kernel with a `launch`."""
    objects = "".join(
        f"{k.declaration}{k.prefix}inline constexpr launch_{k.name}{k.instance} {k.name}{{}};\n" for k in kernels
    )
    return (
        f"#pragma once\n#include <gpuwheel/launch.h>\n"
        f"namespace gpuwheel_sample::kernels {{\n{objects}}}  // namespace gpuwheel_sample::kernels\n"
    )


_METADATA = """\
[build-system]
requires = {requires}
build-backend = "measured_backend"
backend-path = ["."]

[project]
name = "gpuwheel-sample"
version = "0.1.0"
requires-python = ">=3.11"
"""
_NVCC = """\
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "{cuda}"
torch = "{torch}"
archs = {archs}

[tool.gpuwheel.extensions."gpuwheel_sample._C"]
mode = "nvcc"
abi = "{abi}"
sources = ["csrc/*.cu", "csrc/*.cpp"]
include-dirs = ["include", "csrc"]
"""


def _write_metadata(layout: Layout, sample: Sample, out: Path, torch: str) -> None:
    shutil.copy(HERE / "layouts" / "setup.py.in", out / "setup.py")
    text = _METADATA.format(requires=json.dumps(build_requires(torch)))
    (out / "pyproject.toml").write_text(text, encoding="utf-8")
    facts = {"archs": " ".join(sample.archs), "stable": layout.stable, "torch_target": sample.torch_target}
    (out / "layout.json").write_text(json.dumps(facts), encoding="utf-8")


def _write_nvcc_metadata(layout: Layout, sample: Sample, out: Path, torch: str) -> None:
    text = _METADATA.format(requires='["gpuwheel"]') + _NVCC.format(
        cuda=TORCH_CUDA[torch],
        torch=sample.torch if layout.stable else f"=={torch}.*",
        archs=json.dumps(sample.archs),
        abi="stable" if layout.stable else "exact",
    )
    (out / "pyproject.toml").write_text(text, encoding="utf-8")
