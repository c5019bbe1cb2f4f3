"""What comes out of existing projects: the widest honest tag, and libraries that load."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from interpreters import find_interpreter
from torch_environments import environment_with, layer_on

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.fatbin import library_images
from gpuwheel.compatibility import load_tables
from gpuwheel.model.findings import Severity
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.testing import FakeSettings, fake_gpu_environment, require
from gpuwheel.testing.torch_environments import torch_environment
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project, Wheel

pytestmark = [pytest.mark.compiler, pytest.mark.network]

HAS_TORCH = importlib.util.find_spec("torch") is not None

CALL_STABLE = """
import torch
from nv_stable import add_rms_norm
torch.manual_seed(0)
x, r, w = torch.randn(5, 96), torch.randn(5, 96), torch.randn(96)
total = (x + r).double()
expected = total * torch.rsqrt(total.pow(2).mean(-1, keepdim=True) + 1e-6) * w
torch.testing.assert_close(add_rms_norm(x, r, w, 1e-6), expected.float())
assert torch._C._dispatch_has_kernel_for_dispatch_key("nv_stable::add_rms_norm", "CUDA")
"""

CALL_EXACT = """
import torch
from nv_exact import scale
torch.testing.assert_close(scale(torch.arange(5.0), 3.0), torch.arange(5.0) * 3)
"""

CALL_PLAIN = """
import ctypes, pathlib
library = ctypes.CDLL(str(next(pathlib.Path("nv_plain").glob("libplain*.so"))))
assert library.plain_version() == 7
assert library.plain_device_count() == 0
"""

CALL_PLAIN_ON_THE_FAKE = """
import ctypes, pathlib
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
library = ctypes.CDLL(str(next(pathlib.Path("nv_plain").glob("libplain*.so"))))
assert library.plain_device_count() == 2
assert library.plain_squares(None, 1000) == 0
(launch,) = gpu.launches()
assert (launch.grid, launch.block) == ((4, 1, 1), (256, 1, 1))
assert launch.name == "(anonymous namespace)::squares", launch
assert launch.arguments("Pi") == (0, 1000)
assert library.plain_hopper(None) == 98  # cudaErrorInvalidDeviceFunction: the image for 8.0 lacks it
"""

CALL_STABLE_ON_THE_FAKE = """
import torch
from gpuwheel.testing import FakeGpu
from nv_stable import add_rms_norm
gpu = FakeGpu()
x, w = torch.randn(6, 96).to("cuda:1"), torch.randn(96).to("cuda:1")
stream, graph = torch.cuda.Stream(device=1), torch.cuda.CUDAGraph()
with torch.cuda.stream(stream):
    y = add_rms_norm(x, x, w, 1e-6)
(launch,) = gpu.launches("add_rms_norm")
assert launch.name == "(anonymous namespace)::add_rms_norm<float>"
assert (launch.grid, launch.block, launch.device) == ((6, 1, 1), (256, 1, 1), 1)
assert launch.stream == stream.cuda_stream != 0
assert launch.arguments("PPPPif")[:5] == (y.data_ptr(), x.data_ptr(), x.data_ptr(), w.data_ptr(), 96)
torch.cuda.set_device(1)
with torch.cuda.graph(graph):
    add_rms_norm(x, x, w, 1e-6)
assert len(gpu.launches("add_rms_norm")) == 1
graph.replay()
assert len(gpu.launches("add_rms_norm")) == 2
gpu.fail_next(700, "cudaLaunchKernel")
try:
    add_rms_norm(x, x, w, 1e-6)
except RuntimeError as error:
    assert "an illegal memory access was encountered" in str(error)
else:
    raise AssertionError("no error")
"""


def images(wheel: Wheel, library: str) -> set[str]:
    elf = read_elf((wheel.root / library).read_bytes(), library)
    return {f"{image} {image.codec}" for image in library_images(elf)}


def needed(wheel: Wheel, library: str) -> set[str]:
    return set(read_elf((wheel.root / library).read_bytes(), library).needed)


def on_the_fake(wheel: Wheel, code: str, python: Path, *, torch: bool = True) -> None:
    """Run Python beside the wheel's packages, where there are two pretend GPUs."""
    site_packages = next(python.parent.parent.glob("lib/python3.*/site-packages")) if torch else None
    settings = FakeSettings(devices=2, capability="8.6")
    environ = fake_gpu_environment(
        {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
        cache=Cache.from_environment(os.environ),
        site_packages=site_packages,
        settings=settings,
    )
    seen = run([python, "-c", code], env=environ, cwd=wheel.root, check=False)
    assert seen.returncode == 0, seen.output


def refusals(wheel: Wheel) -> list[str]:
    found = audit_wheel(wheel.path, load_tables())
    return [f"{finding.rule}: {finding.problem}" for finding in found if finding.severity is Severity.ERROR]


@pytest.mark.end_to_end
def test_a_stable_extension_becomes_one_file_for_every_python_and_torch(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("stable").wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    assert wheel.requirements == ["torch>=2.10"]
    assert "libtorch.so" in needed(wheel, "nv_stable/_C.so")
    assert not any(
        name.startswith(("libcudart", "libcuda", "libtorch_", "libc10")) for name in needed(wheel, "nv_stable/_C.so")
    )
    assert images(wheel, "nv_stable/_C.so") == {"sm_80 zstd", "compute_80 zstd"}
    manifest = json.loads((wheel.root / "nv_stable" / "_kernels.json").read_text(encoding="utf-8"))
    jsonschema.validate(manifest, json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8")))
    assert (manifest["toolkit"], manifest["driver_floor"]) == ("13.0", "580")
    assert refusals(wheel) == []
    assert read_elf((wheel.root / "nv_stable/_C.so").read_bytes(), "_C.so").exports == ()
    if HAS_TORCH:
        called = wheel.python(CALL_STABLE)
        assert called.code == 0, called.output
    # A runtime of CUDA 13 is linked in; torch has one of CUDA 12 beside it, and the newest one of 13.
    for release in ("2.10.0", "2.15.0"):
        on_the_fake(wheel, CALL_STABLE_ON_THE_FAKE, torch_environment(release, environ=os.environ))


def test_an_extension_on_torchs_cpp_abi_is_built_without_torch_for_one_minor(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("exact").wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    assert wheel.requirements == ["torch==2.13.*"]
    assert {name for name in needed(wheel, "nv_exact/_C.so") if "torch" in name} == {"libtorch.so"}
    assert refusals(wheel) == []
    if HAS_TORCH:
        called = wheel.python(CALL_EXACT)
        assert called.code == 0, called.output


def test_a_plain_library_links_device_code_of_sources_with_archs_of_their_own(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    plain = project("plain")
    plain.replace("pyproject.toml", 'libraries = ["cublasLt"]\n', "")
    plain.replace("csrc/api.cu", "#include <cublasLt.h>\n", "")
    plain.replace("csrc/api.cu", "unsigned long plain_cublaslt_version() { return cublasLtGetVersion(); }\n", "")
    wheel = plain.wheel(tmp_path / "out")
    assert wheel.tag.startswith("py3-none-manylinux_2_")
    assert wheel.requirements == []
    assert {image.partition(" ")[0] for image in images(wheel, "nv_plain/libplain.so")} == {"sm_80", "sm_90a"}
    exports = read_elf((wheel.root / "nv_plain/libplain.so").read_bytes(), "libplain.so").exports
    assert set(exports) == {"plain_version", "plain_device_count", "plain_squares", "plain_hopper"}
    assert refusals(wheel) == []
    called = wheel.python(CALL_PLAIN)
    assert called.code == 0, called.output
    on_the_fake(wheel, CALL_PLAIN_ON_THE_FAKE, Path(sys.executable), torch=False)


def test_a_module_in_the_limited_api_is_for_its_python_and_newer_ones(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("module").wheel(tmp_path / "out")
    assert wheel.tag.startswith("cp310-abi3-manylinux_2_")
    assert wheel.requirements == []
    assert refusals(wheel) == []
    assert read_elf((wheel.root / "nv_module/_C.abi3.so").read_bytes(), "_C").exports == ("PyInit__C",)
    pythons = filter(None, (find_interpreter(f"3.{minor}") for minor in range(10, 15)))
    for python in {sys.executable, *map(str, pythons)}:
        run([python, "-c", "import nv_module; assert nv_module.device_count() == 0"], cwd=wheel.root)


@pytest.mark.heavy
def test_a_library_of_the_toolkit_is_linked_by_name_and_becomes_a_dependency(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("plain").wheel(tmp_path / "out")
    assert wheel.requirements == ["nvidia-cublas>=13.1,<14"]
    assert "libcublasLt.so.13" in needed(wheel, "nv_plain/libplain.so")
    assert refusals(wheel) == []


@pytest.mark.heavy
def test_a_pybind11_module_is_for_one_python_and_one_torch(project: Callable[[str], Project], tmp_path: Path) -> None:
    wheel = project("classic").wheel(tmp_path / "out")
    assert wheel.tag.startswith("cp3")
    assert wheel.tag.split("-")[0] == wheel.tag.split("-")[1]
    assert wheel.requirements == ["torch==2.13.*"]
    (module,) = (wheel.root / "nv_classic").glob("_C.cpython-*.so")
    assert {"libtorch.so", "libtorch_python.so"} <= needed(wheel, f"nv_classic/{module.name}")
    assert refusals(wheel) == []
    if HAS_TORCH:
        code = "import torch; from nv_classic import scale; assert scale(torch.ones(3), 2.0).tolist() == [2, 2, 2]"
        called = wheel.python(code)
        assert called.code == 0, called.output


@pytest.mark.heavy
def test_the_newest_pinned_toolkit(project: Callable[[str], Project], tmp_path: Path) -> None:
    newest = max(row.version for row in load_tables().cuda.values() if row.nvcc)
    wheel = project("stable").wheel(tmp_path / "out", {"gpuwheel.cuda": str(newest)})
    manifest = json.loads((wheel.root / "nv_stable" / "_kernels.json").read_text(encoding="utf-8"))
    assert manifest["toolkit"] == str(newest)
    assert refusals(wheel) == []


@pytest.mark.heavy
def test_a_toolkit_that_the_environment_names(project: Callable[[str], Project], cache: Path, tmp_path: Path) -> None:
    stable = project("stable")
    context = Context(Cache(cache), {}, SilentReporter())
    root = find_cuda_toolkit(load_tables().cuda[MinorVersion(13, 0)], context=context).root
    (tmp_path / "cuda-13.0").symlink_to(root)
    result = stable.build(tmp_path / "out", CUDA_HOME=str(tmp_path / "cuda-13.0"))
    assert result.code == 0, result.output
    assert "CUDA 13.0 (CUDA_HOME)" in result.output


@pytest.mark.heavy
@pytest.mark.pythons
def test_the_stable_extension_in_the_oldest_and_the_newest_torch(
    project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("stable").wheel(tmp_path / "out")
    releases = {"2.10": "3.12", "2.15": "3.12"}
    for minor, version in releases.items():
        interpreter = find_interpreter(version)
        if interpreter is None:
            require("pythons", f"no Python {version}")
        release = load_tables().torch[MinorVersion.parse(minor)].release
        python = environment_with(release, version, interpreter, os.environ)
        layer = layer_on(python, tmp_path / minor)
        layer.install("--no-deps", wheel.path)
        called = layer.run("-c", f"{CALL_STABLE}\nprint(torch.__version__)", cwd=tmp_path)
        assert called.stdout.startswith(release)


@pytest.mark.heavy
def test_a_cutlass_gemm_with_a_fused_epilogue(project: Callable[[str], Project], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "build-requires")]
    run([*pip, "nvidia-cutlass==4.2.0.0"])
    path = f"{tmp_path / 'build-requires'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    wheel = project("cutlass").wheel(tmp_path / "out", PYTHONPATH=path)
    assert {image.partition(" ")[0] for image in images(wheel, "nv_cutlass/libgemm.so")} == {"sm_80"}
    assert read_elf((wheel.root / "nv_cutlass/libgemm.so").read_bytes(), "libgemm.so").exports == ("nv_gemm_bias_relu",)
    assert refusals(wheel) == []


@pytest.mark.heavy
def test_the_newest_pinned_nvcc(project: Callable[[str], Project], tmp_path: Path) -> None:
    newest = max(version for version, toolkit in load_tables().cuda.items() if toolkit.nvcc)
    stable = project("stable")
    stable.replace("pyproject.toml", "[tool.gpuwheel]", f'[tool.gpuwheel]\ncuda = "{newest}"')
    wheel = stable.wheel(tmp_path / "out")
    assert images(wheel, "nv_stable/_C.so") == {"sm_80 zstd", "compute_80 zstd"}
    assert json.loads((wheel.root / "nv_stable" / "_kernels.json").read_text())["toolkit"] == str(newest)
    assert refusals(wheel) == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["pybind", "nanobind"])
def test_a_module_that_a_binding_library_makes(project: Callable[[str], Project], tmp_path: Path, name: str) -> None:
    """pybind11 by its headers alone, nanobind through CMake of the project's own, which compiles its library."""
    wheel = project(name).wheel(tmp_path / "out")
    python = f"cp3{sys.version_info.minor}"
    assert wheel.tag.startswith(f"{python}-{python}-manylinux_2_28_")
    assert refusals(wheel) == []
    called = wheel.python(f"from nv_{name}._C import device_count; assert device_count() == 0")
    assert called.code == 0, called.output


def test_headers_of_a_distribution_that_is_not_installed(project: Callable[[str], Project], tmp_path: Path) -> None:
    result = project("cutlass").build(tmp_path / "out")
    assert result.code == 5, result.output
    assert "include-packages names nvidia-cutlass, which is not installed" in result.output
    assert 'add "nvidia-cutlass" to requires of [build-system]' in result.output
