"""Device sources to images with the real NVRTC: what compiles, what is read of it, what is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.binary.cubin import read_cubin
from gpuwheel.binary.device_files import file_images
from gpuwheel.binary.extent import extent
from gpuwheel.binary.unpacked import unpacked_image
from gpuwheel.compile.device.costs import check_budget, summary
from gpuwheel.compile.manifest import group_entry, manifests
from gpuwheel.errors import CompileError
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = pytest.mark.network

SCALE = """
#include <gpuwheel/device.h>
namespace ops {
template <typename T, int N> __global__ void scale(T* x, const T* y, float factor) {
  x[threadIdx.x * N] = static_cast<T>(static_cast<float>(y[threadIdx.x * N]) * factor);
}
GPUWHEEL_INSTANTIATE(scale<float, 4>);
GPUWHEEL_INSTANTIATE(scale<gpuwheel::half, 8>);
GPUWHEEL_INSTANTIATE(scale<gpuwheel::bfloat16, 8>);
}  // namespace ops
"""

PARAMETERS = """
#include "parameters.h"
template <typename T, Mode M, bool B, unsigned U, char C>
__global__ void mixed(const __grid_constant__ Config c, T* out) {
  out[0] = c.scale * U + (M == Mode::fast) + B + C;
}
template __global__ void mixed<double, Mode::fast, true, 3u, 'x'>(const __grid_constant__ Config, double*);
extern "C" __global__ void plain(float* x, int n, short s) { x[n] = s; }
namespace outer { namespace inner { __global__ void nothing() {} } }
"""
PARAMETERS_H = """#pragma once
enum class Mode : unsigned { exact, fast };
struct Config { const float* data; int n; float scale; };
"""

LIBRARIES = """
#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cub/block/block_reduce.cuh>
#include <cuda/std/span>
#include <cuda_fp8.h>
namespace cg = cooperative_groups;
__global__ void sum(float* out, const float* in, std::int32_t n) {
  using Reduce = cub::BlockReduce<float, 128>;
  __shared__ typename Reduce::TempStorage storage;
  const float v = threadIdx.x < n ? in[threadIdx.x] : std::numeric_limits<float>::lowest();
  const float s = Reduce(storage).Sum(v);
  if (threadIdx.x == 0) *out = s;
}
__global__ void warp_sum(float* x) {
  static_assert(std::is_same<std::int64_t, int64_t>::value, "");
  auto warp = cg::tiled_partition<32>(cg::this_thread_block());
  std::array<float, 2> pair{x[0], x[1]};
  x[threadIdx.x] = cg::reduce(warp, pair[threadIdx.x & 1], cg::plus<float>());
}
"""


def test_names_parameters_and_costs_come_from_the_image(project: Project) -> None:
    project.write(k__scale_cu=SCALE, k__parameters_cu=PARAMETERS, k__parameters_h=PARAMETERS_H)
    built = project.build()
    assert list(built.kernels) == [
        "mixed<double, (Mode)1, true, 3u, (char)120>",
        "ops::scale<__half, 8>",
        "ops::scale<__nv_bfloat16, 8>",
        "ops::scale<float, 4>",
        "outer::inner::nothing",
        "plain",
    ]
    for costs in built.kernels.values():
        assert set(costs) == {"sm_75", "sm_100"}
        assert all(0 < cost.registers < 64 and cost.bytes > 0 and cost.spill == 0 for cost in costs.values())
    header = built.header.read_text(encoding="utf-8")
    assert "template <typename, Mode, bool, unsigned, char> inline gpuwheel::NotCompiled mixed;" in header
    assert (
        "gpuwheel::Kernel<Config, double*> mixed<double, static_cast<Mode>(1), true, 3u, static_cast<char>(120)>"
        in header
    )
    assert "static_assert(sizeof(Config) == 16" in header
    assert "gpuwheel::Kernel<gpuwheel::Bytes<8>, gpuwheel::Bytes<4>, gpuwheel::Bytes<2>> plain" in header
    assert "included before this one: Config, Mode." in header
    table = summary(built)
    assert table[2].split() == ["kernel", "sm_75", "sm_100"]
    assert any(line.startswith("ops::scale<float, 4> ") for line in table)


@pytest.mark.compiler
def test_the_generated_files_compile_and_hold_the_images(project: Project) -> None:
    project.write(k__scale_cu=SCALE, k__parameters_cu=PARAMETERS, k__parameters_h=PARAMETERS_H)
    built = project.build()
    use = project.root / "use.cpp"
    use.write_text(
        '#include "k/parameters.h"\n#include "fused.kernels.h"\n'
        "const gpuwheel::Library& image() { return fused_scale_library; }\n"
        "void launch(void* stream, float* x, const Config& c, double* d) {\n"
        "  const gpuwheel::LaunchConfig config{{1}, {32}, {stream, 0}};\n"
        "  ops::scale<float, 4>.launch(config, x, x, 2.f);\n"
        "  mixed<double, Mode::fast, true, 3u, 'x'>.launch(config, c, d);\n"
        "  plain.launch(config, x, 1, short{2});\n  outer::inner::nothing.launch(config);\n  fused_preload();\n}\n",
        encoding="utf-8",
    )
    library = project.root / "use.so"
    includes = [f"-I{folder}" for folder in (project.root, built.header.parent, resource("include"))]
    run(["g++", "-std=c++17", "-fPIC", "-shared", *includes, use, built.assembly, "-o", library, "-ldl"])
    assert built.fatbin.read_bytes().rstrip(b"\0") in library.read_bytes()
    missing = use.read_text(encoding="utf-8").replace("scale<float, 4>", "scale<float, 2>")
    use.write_text(missing, encoding="utf-8")
    refused = run(["g++", "-std=c++17", "-fsyntax-only", *includes, use], check=False)
    assert refused.returncode != 0
    assert "GPUWHEEL_INSTANTIATE" in refused.stderr


def test_standard_headers_cub_and_cooperative_groups(project: Project) -> None:
    project.write(libraries_cu=LIBRARIES)
    assert list(project.build(cubin_archs=project.group().cubin_archs[:1], ptx_archs=()).kernels) == ["sum", "warp_sum"]


def test_images_and_generated_files_do_not_depend_on_the_folder(project: Project, tmp_path: Path) -> None:
    asserting = "#include <cassert>\n__device__ inline void check(int* p) { assert(p[0] > 3); }\n"
    unnamed = (
        "#include <gpuwheel/device.h>\n"
        "namespace { template <typename T> __device__ __noinline__ T next(T v) {\n"
        "  __shared__ T all[32]; all[threadIdx.x] = v; __syncthreads(); return all[threadIdx.x + 1]; } }\n"
        "template <typename T> __global__ void turn(T* p) { p[threadIdx.x] = next(p[threadIdx.x]); }\n"
        "GPUWHEEL_INSTANTIATE(turn<float>);\n"
    )
    outside = tmp_path / "include"
    outside.mkdir()
    (outside / "outside.h").write_text("__device__ inline int one() { return 1; }\n", encoding="utf-8")
    project.write(
        k__a_h=asserting,
        k__a_cu='#include "a.h"\n#include "outside.h"\n__global__ void k(int* p) { check(p); p[1] = one(); }',
        k__b_cu=unnamed,
    )
    other = replace(project, root=tmp_path / "elsewhere" / "deeper", cache=type(project.cache)(tmp_path / "cache2"))
    elsewhere = tmp_path / "include2"
    shutil.copytree(outside, elsewhere)
    shutil.copytree(project.root, other.root)
    first = project.build(lineinfo=True, include_dirs=(outside,))
    second = other.build(lineinfo=True, include_dirs=(elsewhere,))
    assert project.reporter.images == other.reporter.images == 6
    for name in ("fatbin", "header", "assembly"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()


def test_the_manifest_follows_its_schema(project: Project) -> None:
    project.write(scale_cu=SCALE)
    entries = [("ops", "fused", group_entry(project.build()))]
    written = json.loads(manifests(entries, toolkit=MinorVersion(12, 9), driver_floor=DriverVersion((525,)))["ops"])
    schema = json.loads(resource("data", "kernels.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(written, schema)
    assert written["groups"]["fused"]["archs"] == ["sm_75", "sm_100"]
    assert written["groups"]["fused"]["kernels"]["ops::scale<float, 4>"]["sm_75"]["registers"] > 0


def test_spills_are_shown_and_a_budget_is_held(project: Project) -> None:
    body = "".join(f"float v{i} = p[{i} * n]; " for i in range(64)) + "__syncthreads(); "
    body += "".join(f"p[{i}] = v{i} * v{63 - i}; " for i in range(64))
    project.write(spill_cu=f"__global__ void spilling(float* p, int n) {{ {body} }}")
    built = project.build(cubin_archs=project.group().cubin_archs[:1], flags=("--maxrregcount=32",))
    cost = built.kernels["spilling"]["sm_75"]
    assert cost.spill > 0
    assert cost.local > 0
    # What the machine code says of itself is what the compiler said.
    (image,) = (image for image in file_images(extent(built.fatbin.read_bytes()), "it") if image.kind == "cubin")
    (kernel,) = (it for it in read_cubin(unpacked_image(image, "it"), "it") if "spilling" in it.symbol)
    assert kernel.spilled is not None
    assert sum(kernel.spilled) == cost.spill
    assert f"{cost.registers}+{cost.spill}" in "\n".join(summary(built))
    check_budget(built, cost.registers)
    with pytest.raises(CompileError, match=rf"kernel spilling uses {cost.registers} registers per thread on sm_75"):
        check_budget(built, cost.registers - 1)
