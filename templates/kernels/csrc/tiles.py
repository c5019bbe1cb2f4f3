"""The cuTile kernel of linear_gelu: compiled when the project is built, imported by nothing at run time."""

import cuda.tile as ct
from cuda.tile.compilation import ArrayConstraint, CallingConvention, KernelSignature

TILE = (128, 128, 64)  # rows, columns, depth; ROWS and COLUMNS in _linear_gelu.py
GROUP = 8


@ct.kernel
def linear_gelu(x, weight, bias, out, tm: ct.Constant[int], tn: ct.Constant[int], tk: ct.Constant[int]):
    """`out = gelu(x @ weight.T + bias)`, a tile of `tm` x `tn` for each block; GELU in its tanh form."""
    rows, columns = ct.cdiv(out.shape[0], tm), ct.cdiv(out.shape[1], tn)
    # Blocks that run at a time share rows and columns in the cache: they go down GROUP rows, then to the next column.
    group, within = ct.bid(0) // (GROUP * columns), ct.bid(0) % (GROUP * columns)
    height = min(rows - group * GROUP, GROUP)
    row, column = group * GROUP + within % height, within // height

    zero = ct.PaddingMode.ZERO
    acc = ct.full((tm, tn), 0, dtype=ct.float32)
    for k in range(ct.num_tiles(x, axis=1, shape=(tm, tk))):
        left = ct.load(x, index=(row, k), shape=(tm, tk), padding_mode=zero)
        right = ct.load(weight, index=(k, column), shape=(tk, tn), order="F", padding_mode=zero)  # transposed
        acc = ct.mma(left, right, acc)
    v = acc + ct.astype(ct.load(bias, index=(column,), shape=(tn,), padding_mode=zero), ct.float32)
    gelu = 0.5 * v * (1.0 + ct.tanh(0.7978845608028654 * (v + 0.044715 * v * v * v)))
    ct.store(out, index=(row, column), tile=ct.astype(gelu, out.dtype))


def _rows(dtype, ndim):
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


def _signature(dtype, symbol):
    return KernelSignature(
        [*(_rows(dtype, ndim) for ndim in (2, 2, 1, 2)), *TILE], CallingConvention.cutile_python_v2(), symbol
    )


exports = {
    linear_gelu: [
        _signature(ct.float16, "linear_gelu_half"),
        _signature(ct.bfloat16, "linear_gelu_bfloat16"),
    ]
}
