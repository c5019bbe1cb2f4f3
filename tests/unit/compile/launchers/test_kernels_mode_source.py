"""Names of parameters and comments of kernels, read from sources as people write them."""

from __future__ import annotations

import pytest

from gpuwheel.compile.launchers.declarations import find_declaration

SOURCE = """\
#include <gpuwheel/device.h>
#define UNUSED __global__ void old(int a)

namespace fused {
// What stands at the head of a namespace belongs to nobody.

/// Adds a bias.
///   out[i] = x[i] + bias
template <typename T, int N = 4>
__global__ __launch_bounds__(256) void add(T* __restrict__ out, const T* __restrict__ x, /* rows */ int64_t n, float eps = 1e-5f) {
  if (n > 0) { out[0] = x[0]; }
}
GPUWHEEL_INSTANTIATE(add<float>);

/*
 * Two lines
 * of a block.
 */
__global__ void fill(float (&unreadable)[4]);
__global__ void none(void) {}
}  // namespace fused
extern "C" __global__ void
multi_line(
    const std::pair<int, float>* pairs,
    unsigned long long count) {}
__global__ void keywords(int lambda, int grid, int _private, int lambda_, int device) {}  // trailing
__global__ void after(double d) {}
"""  # noqa: E501 (as people write it)


@pytest.mark.parametrize(
    ("kernel", "count", "names", "comment"),
    [
        ("add", 4, ("out", "x", "n", "eps"), "Adds a bias.\n  out[i] = x[i] + bias"),
        ("none", 0, (), ""),
        ("multi_line", 2, ("pairs", "count"), ""),
        ("keywords", 5, ("lambda_", "grid_", "p2", "p3", "device_"), ""),
        ("after", 1, ("d",), ""),
    ],
)
def test_declarations(kernel: str, count: int, names: tuple[str, ...], comment: str) -> None:
    found = find_declaration(SOURCE, kernel, count)
    assert found is not None
    assert (found.names, found.comment) == (names, comment)


def test_types_are_those_of_the_source() -> None:
    found = find_declaration(SOURCE, "multi_line", 2)
    assert found is not None
    assert found.types == ("const std::pair<int, float>*", "unsigned long long")


@pytest.mark.parametrize(("kernel", "count"), [("add", 3), ("nowhere", 0), ("fill", 1), ("ad", 4)])
def test_what_cannot_be_read_is_left_out(kernel: str, count: int) -> None:
    assert find_declaration(SOURCE, kernel, count) is None


def test_a_block_comment() -> None:
    found = find_declaration("int x;\n/** Two lines\n *  of a block. */\n__global__ void f(int a) {}", "f", 1)
    assert found is not None
    assert found.comment == "Two lines\nof a block."
