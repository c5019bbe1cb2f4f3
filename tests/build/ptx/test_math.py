"""CUDA's own mathematics, thousands of instructions, is as near to Python's as its guide says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cuda_ptx import compile_to_ptx

from gpuwheel.testing.ptx.executor import Configuration, Executor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.compiler]

# The largest errors in units of the last place of float and double (CUDA C++ Programming Guide, "Mathematical
# Functions"), and one more for what Python's own double has.
BOUNDS: dict[str, tuple[float, float, Callable[..., float]]] = {
    "sin": (3, 3, math.sin),
    "tan": (4, 3, math.tan),
    "exp": (2, 2, math.exp),
    "expm1": (2, 2, math.expm1),
    "log": (2, 2, math.log),
    "log1p": (2, 2, math.log1p),
    "sinh": (4, 3, math.sinh),
    "tanh": (3, 2, math.tanh),
    "asin": (3, 3, math.asin),
    "atan": (3, 3, math.atan),
    "erf": (3, 3, math.erf),
    "erfc": (5, 6, math.erfc),
    "sqrt": (1, 1, math.sqrt),
}
PAIRS: dict[str, tuple[float, float, Callable[..., float]]] = {
    "pow": (5, 3, math.pow),
    "atan2": (4, 3, math.atan2),
    "hypot": (4, 3, math.hypot),
    "fmod": (0, 0, math.fmod),
    "remainder": (0, 0, math.remainder),
}
SOURCE = "\n".join(
    f'extern "C" __global__ void {kind}_{name}({kind}* out, const {kind}* a, const {kind}* b)'
    f" {{ const int i = threadIdx.x; out[i] = {name}{'f' if kind == 'float' else ''}(a[i]{', b[i]' if two else ''}); }}"
    for kind in ("float", "double")
    for name, two in (*((name, False) for name in BOUNDS), *((name, True) for name in PAIRS))
)
_COUNT = 512


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Executor, object]:
    folder: Path = tmp_path_factory.mktemp("math")
    source = folder / "math.cu"
    source.write_text(SOURCE)
    executor = Executor(checks=("basic",))
    ((text, said),) = compile_to_ptx([source])
    assert text is not None, said
    loaded = executor.load(text)
    executor.prepare(loaded, list(loaded.module.spans))
    return executor, loaded


def _values(kind: type, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed)
    return np.concatenate(
        [drawn.normal(0, 3, _COUNT // 2), drawn.uniform(-1, 1, _COUNT // 4), drawn.normal(0, 1e4, _COUNT // 4)]
    ).astype(kind)


def _wanted(of: Callable[..., float], *operands: float) -> float:
    try:
        return of(*operands)
    except ValueError:
        return math.nan
    except OverflowError:  # of the sign that the function has there
        return math.copysign(math.inf, of(*(math.copysign(1.0, operand) for operand in operands)))


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("name", [*BOUNDS, *PAIRS])
def test_a_function_is_as_near_as_its_guide_says(ran: tuple[Executor, object], name: str, kind: str) -> None:
    executor, loaded = ran
    numbers = np.float32 if kind == "float" else np.float64
    of_float, of_double, function = (BOUNDS | PAIRS)[name]
    a, b, out = _values(numbers, 1), np.abs(_values(numbers, 2)), np.zeros(_COUNT, numbers)
    a = np.abs(a) if name == "pow" else a
    result = executor.launch(loaded, f"{kind}_{name}", Configuration((1,), (_COUNT,)), [out, a, b])
    assert (result.code, result.reports) == (0, ())
    operands = (a, b) if name in PAIRS else (a,)
    wanted = np.array([_wanted(function, *map(float, each)) for each in zip(*operands, strict=True)])
    with np.errstate(over="ignore"):
        nearest = wanted.astype(numbers)
    assert np.array_equal(np.isnan(nearest), np.isnan(out))
    finite = np.isfinite(nearest)
    assert np.array_equal(nearest[~finite & ~np.isnan(nearest)], out[~finite & ~np.isnan(nearest)])
    units = np.abs(out[finite] - wanted[finite]) / np.spacing(np.abs(nearest[finite])).astype(np.float64)
    assert finite.sum() > _COUNT // 4
    assert units.max() <= (of_float if kind == "float" else of_double)
