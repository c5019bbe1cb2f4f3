"""Our reading of the images, beside NVIDIA's own tools; and larger libraries of device code."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.slow]

SOURCE = """
__constant__ float table[64];
template <int N> __global__ void shared(float* x) {
  __shared__ float s[N];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[N - 1 - threadIdx.x] + table[threadIdx.x & 63];
}
template __global__ void shared<64>(float*);
template __global__ void shared<256>(float*);
__global__ void frame(int* x, int n) {
  printf("%d\\n", n);
  volatile int local[9];
  for (int i = 0; i < n; ++i) local[i] = x[i];
  x[0] = local[n - 1];
}
"""
GEMM = """
#include <cstdint>
#include <cutlass/cutlass.h>
#include <cutlass/epilogue/thread/linear_combination_gelu.h>
#include <cutlass/gemm/kernel/default_gemm.h>
using cutlass::half_t;
using Row = cutlass::layout::RowMajor;
using Column = cutlass::layout::ColumnMajor;
using Epilogue = cutlass::epilogue::thread::LinearCombinationGELU<half_t, 8, float, float>;
using Gemm = cutlass::gemm::kernel::DefaultGemm<
    half_t, Row, 8, half_t, Column, 8, half_t, Row, float, cutlass::arch::OpClassTensorOp, cutlass::arch::Sm80,
    cutlass::gemm::GemmShape<128, 128, 32>, cutlass::gemm::GemmShape<64, 64, 32>, cutlass::gemm::GemmShape<16, 8, 16>,
    Epilogue, cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<>, 3, false,
    cutlass::arch::OpMultiplyAdd>::GemmKernel;
__global__ void __launch_bounds__(128)
gemm_gelu(half_t* a, half_t* b, half_t* bias, half_t* out, int m, int n, int k) {
  extern __shared__ char memory[];
  const cutlass::gemm::GemmCoord size(m, n, k), tiles((m + 127) / 128, (n + 127) / 128, 1);
  Gemm::Params params(size, tiles, {a, k}, {b, k}, {bias, 0}, {out, n}, {1.f, 1.f}, nullptr);
  Gemm op;
  op(params, *reinterpret_cast<Gemm::SharedStorage*>(memory));
}
"""
WMMA = """
#include <mma.h>
using namespace nvcuda;
__global__ void tile(const half* a, const half* b, float* c) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.f);
  wmma::load_matrix_sync(left, a, 16);
  wmma::load_matrix_sync(right, b, 16);
  wmma::mma_sync(sum, left, right, sum);
  wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
}
"""


def _install(requirement: str, folder: Path) -> Path:
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, requirement])
    return folder


@pytest.fixture(scope="session")
def cuobjdump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _install("nvidia-cuda-cuobjdump", tmp_path_factory.mktemp("cuobjdump"))
    (program,) = (path for path in folder.rglob("bin/cuobjdump"))
    return program


def test_costs_agree_with_cuobjdump(project: Project, cuobjdump: Path) -> None:
    project.archs = ("sm_75", "sm_90", "sm_100", "sm_120")
    project.write(k_cu=SOURCE)
    built = project.build()
    listing = run([cuobjdump, "-res-usage", built.fatbin]).stdout
    found = {}
    for part in re.split(r"\narch = ", listing)[1:]:
        arch = part.partition("\n")[0].strip()
        for symbol, registers, stack, shared in re.findall(
            r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", part
        ):
            found[symbol, arch] = (int(registers), int(stack), int(shared))
    names = {"_Z5framePii": "frame", "_Z6sharedILi64EEvPf": "shared<64>", "_Z6sharedILi256EEvPf": "shared<256>"}
    assert len(found) == len(names) * len(project.archs)
    for (symbol, arch), expected in found.items():
        cost = built.kernels[names[symbol]][arch]
        assert (cost.registers, cost.local, cost.shared) == expected


@pytest.mark.compiler
def test_each_source_is_a_fatbin_of_its_own(project: Project, cuobjdump: Path) -> None:
    """Two programs in one fatbin would hide each other: a driver takes the single best match of a fatbin."""
    project.write(a_cu="__global__ void a() {}\n", b_cu="__global__ void b() {}\n")
    built = project.build()
    library = project.root / "images.so"
    run(["gcc", "-shared", f"-I{built.fatbin.parent}", built.assembly, "-o", library])
    listing = run([cuobjdump, "--list-elf", "--list-ptx", library]).stdout
    assert len(re.findall(r"\.cubin$", listing, re.MULTILINE)) == 4
    assert len(re.findall(r"\.ptx$", listing, re.MULTILINE)) == 2
    content = built.fatbin.read_bytes()
    places = re.findall(
        r"(gpuwheel_image_\w+):\n    \.incbin \"fused\.fatbin\", (\d+), (\d+)", built.assembly.read_text()
    )
    stems = [symbol.rpartition("_")[0] for symbol, _, _ in places]
    assert stems == ["gpuwheel_image_fused_a", "gpuwheel_image_fused_b"]
    for _, offset, size in places:
        fatbin = content[int(offset) : int(offset) + int(size)]
        assert fatbin[:4] == bytes.fromhex("50ed55ba")
        assert int.from_bytes(fatbin[6:8], "little") + int.from_bytes(fatbin[8:16], "little") == int(size)


def test_wmma_and_a_cutlass_gemm(project: Project, tmp_path: Path) -> None:
    headers = _install("nvidia-cutlass==4.2.0.0", tmp_path / "cutlass") / "cutlass_library" / "source" / "include"
    project.write(gemm_cu=GEMM, wmma_cu=WMMA)
    project.add_headers(include_dirs=(headers,))
    changes = {"include_dirs": (headers,), "cubin_archs": (Arch(8, 0),), "ptx_archs": ()}
    built = project.build(**changes, flags=("--device-as-default-execution-space",))
    gemm, wmma = (costs["sm_80"] for costs in built.kernels.values())
    assert gemm.spill == 0
    assert gemm.registers > wmma.registers
    assert project.reporter.images == 2
    project.build(**changes, flags=("--device-as-default-execution-space",))
    assert project.reporter.images == 0
