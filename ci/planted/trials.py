"""A trial for each subject: launches of its kernels as their host halves do them, and what NumPy says of the result."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench import Bench
    from numpy.random import Generator

__all__ = ["TRIALS"]

EPSILON = 1e-6
IGNORED = -100  # of targets: PyTorch's default
_MOST = 1024  # threads of a block


def _normal(chance: Generator, *shape: int) -> Any:  # noqa: ANN401 - an array
    return chance.standard_normal(shape).astype("f4")


def _sigmoid(x: Any) -> Any:  # noqa: ANN401
    return 1 / (1 + np.exp(-x.astype("f8")))


def _cdiv(a: int, b: int) -> int:
    return -(-a // b)


def _norm(s: Any) -> Any:  # noqa: ANN401
    return 1 / np.sqrt((s.astype("f8") ** 2).mean(-1, keepdims=True) + EPSILON)


def _norm_gradients(g: Any, s: Any, w: Any, through: Any = 0.0) -> tuple[Any, Any]:  # noqa: ANN401
    """Of the input, and what each row adds to that of weight."""
    factor = _norm(s)
    n, gw = s * factor, g.astype("f8") * w
    return factor * (gw - n * (gw * n).mean(-1, keepdims=True)) + through, g * n


def add_rms_norm(b: Bench, chance: Generator) -> None:
    whole = bool(chance.integers(0, 2))  # as many threads as a block has
    for name, vec, few in (("12add_rms_normIfLi4E", 4, (32, 4)), ("17add_rms_norm_longIfLi1E", 1, (96, 1))):
        rows, size = int(chance.integers(2, 12)), int(chance.integers(8, 64)) * 4 + (vec == 1)
        block = (_MOST, 1) if whole else few
        if whole:
            rows, size = 3, 4 * int(chance.integers(1020, 1040)) if vec > 1 else 1050
        x, r, w = (b.given(_normal(chance, *shape)) for shape in ((rows, size), (rows, size), (size,)))
        y, s, scale = b.fresh((rows, size)), b.fresh((rows, size)), b.fresh(rows)
        b.launch(name, (2,), block, [y, s, scale, x, r, w, rows, size, EPSILON])
        total = x.astype("f8") + r
        b.expect(s, total)
        b.expect(scale, _norm(total)[:, 0])
        b.expect(y, total * _norm(total) * w)
        g, through = b.given(_normal(chance, rows, size)), b.given(_normal(chance, rows, size))
        grad_x, partials, blocks = b.fresh((rows, size)), b.fresh((2, size)), 2
        backward = name.replace("12add_rms_norm", "21add_rms_norm_backward").replace(
            "17add_rms_norm_long", "26add_rms_norm_backward_long"
        )
        b.launch(backward, (blocks,), block, [grad_x, partials, g, through, s, w, scale, rows, size])
        expected, share = _norm_gradients(g, total, w, through)
        b.expect(grad_x, expected, 1e-4)
        _expect_sum(b, partials, share)


def _expect_sum(b: Bench, partials: Any, share: Any) -> None:  # noqa: ANN401
    class Summed:
        """Read when the launches are done."""

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:  # noqa: ANN401
            del dtype, copy
            return partials.astype("f8").sum(0)

    b.expect(Summed(), share.sum(0), 1e-4)


def swiglu(b: Bench, chance: Generator) -> None:
    for vec in (4, 1):
        count = int(chance.integers(300, 3000))
        gate, up, grad = (b.given(_normal(chance, count)) for _ in range(3))
        y, grad_gate, grad_up = (b.fresh(count) for _ in range(3))
        sigmoid = _sigmoid(gate)
        b.launch(f"6swigluIfLi{vec}E", (2,), (256,), [y, gate, up, count])
        b.expect(y, gate * sigmoid * up)
        b.launch(f"15swiglu_backwardIfLi{vec}E", (1,), (256,), [grad_gate, grad_up, grad, gate, up, count])
        b.expect(grad_gate, grad * up * sigmoid * (1 + gate * (1 - sigmoid)), 1e-4)
        b.expect(grad_up, grad * gate * sigmoid, 1e-4)


def bias_gelu(b: Bench, chance: Generator) -> None:
    rows, size = int(chance.integers(3, 20)), 4 * int(chance.integers(5, 30))
    x, bias, grad = (
        b.given(_normal(chance, rows, size)),
        b.given(_normal(chance, size)),
        b.given(_normal(chance, rows, size)),
    )
    y, grad_x, partials = b.fresh((rows, size)), b.fresh((rows, size)), b.fresh((2, size))
    b.launch("9bias_geluIfLi4E", (2,), (64,), [y, x, bias, rows, size])
    z = x.astype("f8") + bias
    inner = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    tanh = np.tanh(inner)
    b.expect(y, 0.5 * z * (1 + tanh), 2e-3)
    slope = 0.5 * (1 + tanh) + 0.5 * z * (1 - tanh**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    width = (16, 32)[rows % 2]
    arguments = [grad_x, partials, grad, x, bias, rows, size]
    b.launch("18bias_gelu_backwardIfLi4E", (_cdiv(size // 4, width), 2), (width, 128 // width), arguments)
    b.expect(grad_x, grad * slope, 2e-3)
    _expect_sum(b, partials, grad * slope)


def rotary_embedding(b: Bench, chance: Generator) -> None:
    tokens, positions, heads, half = (
        int(chance.integers(4, 12)),
        4,
        int(chance.integers(1, 5)),
        4 * int(chance.integers(2, 8)),
    )
    x = b.given(_normal(chance, tokens, heads, 2, half))
    cos, sin = b.given(_normal(chance, positions, half)), b.given(_normal(chance, positions, half))
    y = b.fresh((tokens, heads, 2, half))
    b.launch("16rotary_embeddingIfLi4E", (3,), (32, 1), [y, x, cos, sin, tokens, positions, heads, half, 1.0])
    at = np.arange(tokens) % positions
    c, s = cos[at][:, None], sin[at][:, None]
    first, second = x[:, :, 0].astype("f8"), x[:, :, 1].astype("f8")
    b.expect(y, np.stack([first * c - second * s, second * c + first * s], 2))


def cross_entropy(b: Bench, chance: Generator) -> None:
    rows, size, kept = int(chance.integers(2, 6)), int(chance.integers(300, 2600)), int(chance.integers(20, 60))
    logits = b.given(3 * _normal(chance, rows, size))
    chosen = chance.integers(0, size, rows)
    nobody, ignored = chance.permutation(rows)[:2]
    chosen[ignored] = IGNORED
    if chance.integers(0, 2):  # no class: the row is NaN
        chosen[nobody] = (size, -1)[int(chance.integers(0, 2))]
    threads = (128, _MOST)[int(chance.integers(0, 2))]
    targets, losses, gradient = b.given(chosen.astype("i8")), b.fresh(rows), b.fresh((rows, size))
    b.launch(
        "13cross_entropyIfLi4E",
        (2,),
        (threads,),
        [losses, gradient, logits, targets, rows, size, IGNORED, kept],
        shared_bytes=16 * kept,
    )
    x, used, there = logits.astype("f8"), chosen != IGNORED, (chosen >= 0) & (chosen < size)
    soft = np.where(there | ~used, 1, np.nan)[:, None] * np.exp(x) / np.exp(x).sum(1, keepdims=True)
    place = np.arange(rows), np.where(there, chosen, 0)
    loss = np.where(used, -np.log(soft[place]), 0)
    soft[place] -= 1
    b.expect(losses, loss, 1e-4)
    b.expect(gradient, np.where(used[:, None], soft, 0), 1e-4)
    total, valid = b.fresh(1), b.fresh(1)
    b.launch("10total_loss", (1,), (threads,), [total, valid, losses, targets, rows, IGNORED])
    b.expect(total, loss.sum() / used.sum(), 1e-4)
    b.expect(valid, used.sum())
    grads = b.fresh((rows, size))
    b.launch("27cross_entropy_backward_rowsIfLi1E", (2,), (96,), [grads, gradient, losses, rows, size])
    b.expect(grads, np.where(used[:, None], soft, 0) * loss[:, None], 1e-4)


def sum_partials(b: Bench, chance: Generator) -> None:
    parts, size = int(chance.integers(3, 90)), int(chance.integers(20, 90))
    partials, out = b.given(_normal(chance, parts, size)), b.fresh(size)
    b.launch("12sum_partialsIfE", (_cdiv(size, 32),), (32, 32), [out, partials, parts, size])
    b.expect(out, partials.astype("f8").sum(0))


def template_rms_norm(b: Bench, chance: Generator) -> None:
    rows, size, gap = int(chance.integers(3, 14)), 4 * int(chance.integers(10, 60)), 8
    block = ((32, 4), (64, 1), (1024, 1))[int(chance.integers(0, 3))]
    if block[0] == _MOST:
        rows, size = 2, 4 * 1030
    whole, weight = b.given(_normal(chance, rows, size + gap)), b.given(_normal(chance, size))
    x = whole[:, :size].astype("f8")
    out = b.fresh((rows, size))
    b.launch("8rms_normIfLi4E", (2,), block, [out, whole, weight, rows, size, size + gap, EPSILON])
    b.expect(out, x * _norm(x) * weight)
    grad, grad_x, partials = b.given(_normal(chance, rows, size)), b.fresh((rows, size)), b.fresh((2, size))
    arguments = [grad_x, partials, grad, whole, weight, rows, size, size, size + gap, EPSILON, 1]
    b.launch("17rms_norm_backwardIfLi4E", (2,), block, arguments, shared_bytes=4 * size * block[1])
    expected, share = _norm_gradients(grad, x, weight)
    b.expect(grad_x, expected, 1e-4)
    _expect_sum(b, partials, share)


def template_swiglu(b: Bench, chance: Generator) -> None:
    rows, size, gap = int(chance.integers(2, 6)), int(chance.integers(100, 900)), 8
    stride = _cdiv(size, 4) * 4 + gap
    gate, up, out = (
        b.given(_normal(chance, rows, stride)),
        b.given(_normal(chance, rows, stride)),
        b.fresh((rows, stride - gap)),
    )
    tiles, width = _cdiv(size, 256 * 4), stride - gap
    b.launch("6swigluIfLi4E", (rows * tiles,), (256,), [out, gate, up, width, stride, stride, tiles])
    g, u = gate[:, :width].astype("f8"), up[:, :width].astype("f8")
    b.expect(out, g * _sigmoid(g) * u, 1e-4)
    sigmoid, grad = _sigmoid(g), b.given(_normal(chance, rows, width))
    grad_gate, grad_up = b.fresh((rows, width)), b.fresh((rows, width))
    arguments = [grad_gate, grad_up, grad, gate, up, width, width, stride, stride, tiles]
    b.launch("15swiglu_backwardIfLi4E", (rows * tiles,), (256,), arguments)
    b.expect(grad_gate, grad * u * sigmoid * (1 + g * (1 - sigmoid)), 1e-4)
    b.expect(grad_up, grad * g * sigmoid, 1e-4)


def template_add_rms_norm(b: Bench, chance: Generator) -> None:
    rows, size = int(chance.integers(3, 12)), 4 * int(chance.integers(10, 60))
    block = ((32, 4), (64, 1), (1024, 1))[int(chance.integers(0, 3))]
    if block[0] == _MOST:
        rows, size = 2, 4 * 1030
    x, r, w = (b.given(_normal(chance, *shape)) for shape in ((rows, size), (rows, size), (size,)))
    y, s, scale = b.fresh((rows, size)), b.fresh((rows, size)), b.fresh(rows)
    b.launch("12add_rms_normIfLi4E", (_cdiv(rows, block[1]),), block, [y, s, scale, x, r, w, rows, size, EPSILON])
    total = (x + r).astype("f8")
    b.expect(y, total * _norm(total) * w)
    b.expect(scale, _norm(total)[:, 0])
    g, grad_x, partials = b.given(_normal(chance, rows, size)), b.fresh((rows, size)), b.fresh((2, size))
    through = b.given(_normal(chance, rows, size)) if size % 16 else 0
    arguments = [grad_x, partials, g, through, s, w, scale, rows, size, 1]
    b.launch("21add_rms_norm_backwardIfLi4E", (2,), block, arguments, shared_bytes=4 * size * block[1])
    expected, share = _norm_gradients(g, total, w, through)
    b.expect(grad_x, expected, 1e-4)
    _expect_sum(b, partials, share)


def pipeline(b: Bench, chance: Generator) -> None:
    rows, size = (
        max(1, int(chance.integers(-3, 7))),
        4 * (64 if chance.integers(0, 2) else int(chance.integers(60, 64))),
    )
    x, sums = b.given(_normal(chance, rows, size)), b.fresh(size)
    b.launch("pipelined_sums", (1,), (64,), [sums, x, rows, size])
    b.expect(sums, x.astype("f8").sum(0))
    count = int(chance.integers(129, 700))
    line, turned = b.given(_normal(chance, count)), b.fresh(count)
    b.launch("reversed_tiles", (_cdiv(count, 128),), (128,), [turned, line, count])
    b.expect(turned, np.concatenate([line[at : at + 128][::-1] for at in range(0, count, 128)]))


def counting(b: Bench, chance: Generator) -> None:
    count, bins = int(chance.integers(300, 2000)), int(chance.integers(10, 90))
    x = b.given(chance.integers(0, 1000, count).astype("u4"))
    counts = b.zeros(bins, "u4")
    b.launch("histogram", (3,), (64,), [counts, x, count, bins], shared_bytes=4 * bins)
    b.expect(counts, np.bincount(x % bins, minlength=bins), 0)
    values = chance.integers(0, 3, count) - 1
    if bins % 2:
        values[values == 0] = 1  # all of them are kept
    values = b.given(values.astype("i4"))
    places, found = b.zeros(count, "i4"), b.zeros(1, "u4")
    threads = (128, _MOST)[int(chance.integers(0, 2))]
    b.launch("compact", (_cdiv(count, threads),), (threads,), [places, found, values, count])
    kept = np.flatnonzero(values)
    b.expect(found, len(kept), 0)

    class Kept:
        """The places, in an order of their own."""

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:  # noqa: ANN401
            del dtype, copy
            return np.sort(places[: len(kept)])

    b.expect(Kept(), kept, 0)
    numbers = b.given(_normal(chance, count))
    total, sums, arrived = b.fresh(1), b.fresh(4), b.zeros(1, "u4")
    b.launch("sum_by_last_block", (4,), (threads,), [total, sums, arrived, numbers, count])
    b.expect(total, numbers.astype("f8").sum(), 1e-4)
    second = b.fresh(1)  # the counter was left as it was found
    b.launch("sum_by_last_block", (4,), (threads,), [second, sums, arrived, numbers, count])
    b.expect(second, numbers.astype("f8").sum(), 1e-4)
    whole = b.given(chance.integers(0, 9, count).astype("i4"))
    out = b.fresh(count, "i4")
    b.launch("block_scan", (_cdiv(count, threads),), (threads,), [out, whole, count])
    b.expect(out, np.concatenate([np.cumsum(whole[at : at + threads]) for at in range(0, count, threads)]), 0)


def phases(b: Bench, chance: Generator) -> None:
    count, steps = int(chance.integers(100, 400)), int(chance.integers(1, 5))
    a, other, arrived = b.given(_normal(chance, count)), b.fresh(count), b.zeros(1, "u4")
    expected = a.astype("f8")
    for _ in range(steps):
        expected = 0.5 * (expected + np.roll(expected, -1))
    b.launch("smooth", (3,), (64,), [a, other, arrived, count, steps], cooperative=True)
    b.expect(other if steps % 2 else a, expected, 1e-4)
    rows, columns = int(chance.integers(10, 60)), int(chance.integers(10, 60))
    x, out = b.given(_normal(chance, rows, columns)), b.fresh((columns, rows))
    b.launch(
        "transpose", (_cdiv(columns, 16), _cdiv(rows, 16)), (16, 16), [out, x, rows, columns], shared_bytes=4 * 16 * 17
    )
    b.expect(out, x.T, 0)
    rounds = int(chance.integers(1, 6))
    line, doubled = b.given(_normal(chance, rounds, 64)), b.fresh((rounds, 64))
    b.launch("handed_over", (1,), (128,), [doubled, line, rounds])
    b.expect(doubled, 2 * line[:, ::-1], 0)
    parts = [b.given(_normal(chance, int(chance.integers(5, 90)))) for _ in range(4)]
    references = [part * number for number, part in enumerate(parts)]
    spans = b.given(np.frombuffer(b"".join(struct.pack("<Qi4x", part.ctypes.data, part.size) for part in parts), "u8"))
    b.launch("scale_spans", (2,), (32,), [spans, len(parts)])
    for part, reference in zip(parts, references, strict=True):
        b.expect(part, reference)


TRIALS: dict[str, Callable[[Bench, Generator], None]] = {
    each.__name__: each
    for each in (
        add_rms_norm,
        swiglu,
        bias_gelu,
        rotary_embedding,
        cross_entropy,
        sum_partials,
        template_rms_norm,
        template_swiglu,
        template_add_rms_norm,
        pipeline,
        counting,
        phases,
    )
}
