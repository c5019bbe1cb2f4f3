"""Projects with cuTile kernels: a matrix product with bias and GELU, and one that takes numbers of every sort."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FILES", "MIXED_FILES", "TILES", "written"]

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tile-ops"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.4"
driver = ">=580"
archs = ["9.0a"]

[tool.gpuwheel.kernels.tiles]
sources = ["tile_ops/tiles.py"]

[tool.gpuwheel.extensions."tile_ops._kernels"]
mode = "kernels"
kernels = ["tiles"]
"""

TILES = '''\
"""Kernels."""

import cuda.tile as ct
from cuda.tile.compilation import ArrayConstraint, CallingConvention, KernelSignature, ScalarConstraint
from shapes import TILE


@ct.kernel
def linear_gelu(x, weight, bias, out, tm: ct.Constant[int], tn: ct.Constant[int], tk: ct.Constant[int]):
    """out = gelu(x @ weight + bias), a tile of `tm` x `tn` for each block."""
    row, column = ct.bid(0), ct.bid(1)
    zero = ct.PaddingMode.ZERO
    acc = ct.full((tm, tn), 0, dtype=ct.float32)
    for k in range(ct.num_tiles(x, axis=1, shape=(tm, tk))):
        left = ct.load(x, index=(row, k), shape=(tm, tk), padding_mode=zero)
        right = ct.load(weight, index=(k, column), shape=(tk, tn), padding_mode=zero)
        acc = ct.mma(left, right, acc)
    shift = ct.load(bias, index=(column,), shape=(tn,), padding_mode=zero)
    v = acc + ct.astype(shift, ct.float32)
    gelu = 0.5 * v * (1.0 + ct.tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)))
    ct.store(out, index=(row, column), tile=ct.astype(gelu, out.dtype))


@ct.kernel
def every_number(out, a, b, c, d, e, f, on, tile: ct.Constant[int]):
    total = ct.astype(a, ct.float32) + b + ct.astype(c, ct.float32)
    total = total + ct.astype(d, ct.float32) + ct.astype(e, ct.float32) + ct.astype(f, ct.float32)
    if on:
        total = total + 1
    ct.store(out, index=(ct.bid(0),), tile=ct.full((tile,), 0, dtype=ct.float32) + total)


def rows(dtype, ndim):
    """Contiguous rows that begin at multiples of 16 bytes."""
    return ArrayConstraint(
        dtype,
        ndim,
        index_dtype=ct.int32,
        stride_lower_bound_incl=0,
        alias_groups=[],
        may_alias_internally=False,
        stride_constant=[None] * (ndim - 1) + [1],
        stride_divisible_by=[8] * (ndim - 1) + [1],
        base_addr_divisible_by=16,
    )


def linear(dtype, symbol):
    arrays = [rows(dtype, ndim) for ndim in (2, 2, 1, 2)]
    return KernelSignature([*arrays, *TILE], CallingConvention.cutile_python_v2(), symbol)


numbers = [ct.int32, ct.float32, ct.int64, ct.float64, ct.float16, ct.uint8, ct.bool_]
vector = ArrayConstraint(
    ct.float32, 1, index_dtype=ct.int64, stride_lower_bound_incl=0, alias_groups=[], may_alias_internally=False
)
exports = {
    linear_gelu: [linear(ct.float16, "linear_gelu_half"), linear(ct.bfloat16, "linear_gelu_bfloat16")],
    every_number: KernelSignature(
        [vector, *(ScalarConstraint(dtype) for dtype in numbers), 128], CallingConvention.cutile_python_v2()
    ),
}
'''

OPERATORS = '''\
"""One operator."""

import torch
from torch.nn.functional import gelu

from tile_ops import _kernels

_by_dtype = {torch.float16: _kernels.linear_gelu_half, torch.bfloat16: _kernels.linear_gelu_bfloat16}
_operators = _kernels.Operators("tile_ops")


def _plain(x, weight, bias):
    return gelu(x @ weight + bias, approximate="tanh")


def _cuda(x, weight, bias):
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    launch = _by_dtype.get(x.dtype)
    if launch is None or x.shape[1] % 8 or weight.shape[1] % 8 or any(t.data_ptr() % 16 for t in (x, weight, bias)):
        return _plain(x, weight, bias)
    out = x.new_empty(x.shape[0], weight.shape[1])
    if out.numel():
        launch(x, weight, bias, out, grid=(-(-out.shape[0] // 128), -(-out.shape[1] // 64)))
    return out


linear_gelu = _operators.register(
    "linear_gelu(Tensor x, Tensor weight, Tensor bias) -> Tensor",
    cuda=_cuda,
    cpu=_plain,
    fake=lambda x, weight, bias: x.new_empty(x.shape[0], weight.shape[1]),
)
'''

FILES = {
    "pyproject.toml": PYPROJECT,
    "tile_ops/__init__.py": OPERATORS,
    "tile_ops/shapes.py": "TILE = (128, 64, 32)\n",
    "tile_ops/tiles.py": TILES,
}

MIXED_FILES = {
    "pyproject.toml": PYPROJECT.replace('cuda = "13.4"', 'cuda = "12.9"').replace(
        'kernels = ["tiles"]', 'kernels = ["fill", "tiles"]\ntoolkits = ["13.4"]'
    )
    + '\n[tool.gpuwheel.kernels.fill]\nsources = ["csrc/fill.cu"]\narchs = ["9.0"]\n',
    "csrc/fill.cu": "__global__ void fill(float* out, float value) { out[threadIdx.x] = value; }\n",
    "tile_ops/__init__.py": "",
    "tile_ops/tiles.py": """\
import cuda.tile as ct
from cuda.tile.compilation import ArrayConstraint, CallingConvention, KernelSignature


@ct.kernel
def copy(x, out):
    ct.store(out, index=(ct.bid(0),), tile=ct.load(x, index=(ct.bid(0),), shape=(128,)))


vector = ArrayConstraint(
    ct.float32, 1, index_dtype=ct.int32, stride_lower_bound_incl=0, alias_groups=[], may_alias_internally=False
)
exports = {copy: KernelSignature([vector, vector], CallingConvention.cutile_python_v2())}
""",
}


def written(root: Path, files: Mapping[str, str]) -> Path:
    """Write `files` below `root`, and return it."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root
