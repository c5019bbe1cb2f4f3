"""How fast the pretend GPU executes kernels of the sample: elements and rows a second on one core, checks on and off.

python ci/bench/executed_kernels.py      # writes results/executed-kernels.json, and prints it
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from machine import describe

from gpuwheel._cache import Cache
from gpuwheel.testing.ptx.compiled import Interpreter
from gpuwheel.testing.ptx.executor import Configuration, Executor

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from cuda_ptx import compile_to_ptx  # noqa: E402  (shared with the tests, which are no package)

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = Path(__file__).resolve().parent / "results" / "executed-kernels.json"
COUNT, ROWS, SIZE = 1 << 21, 2048, 1024
ALL = ("basic", "shared", "global", "uninitialised")


def given(executor: Executor, values: Any, kind: str) -> Any:  # noqa: ANN401 - arrays
    """Values where cudaMalloc would put them: f4, or the upper halves of f4 (bfloat16)."""
    values = values if kind == "float" else (values.view("u4") >> 16).astype("u2")
    array = executor.fresh(values.shape, values.dtype.str)
    array[...] = values
    executor.written(array)
    return array


def swiglu(executor: Executor, text: str, kind: str) -> Callable[[], float]:
    """One launch; its elements."""
    module = executor.load(text)
    vec, mangled = (4, "f") if kind == "float" else (8, "13__nv_bfloat16")
    (name,) = [symbol for symbol in module.module.spans if f"6swigluI{mangled}Li{vec}E" in symbol]
    chance = np.random.default_rng(1)
    gate, up = (given(executor, chance.standard_normal(COUNT).astype("f4"), kind) for _ in range(2))
    y = executor.fresh(COUNT, gate.dtype.str)
    how = Configuration((528,), (256,))

    def once() -> float:
        done = executor.launch(module, name, how, [y, gate, up, COUNT])
        if done.code or done.reports:
            raise SystemExit("\n".join(map(str, done.mistakes)))
        return COUNT

    return once


def add_rms_norm(executor: Executor, text: str, kind: str) -> Callable[[], float]:
    """One launch; its rows of 1024."""
    module = executor.load(text)
    vec, mangled = (4, "f") if kind == "float" else (8, "13__nv_bfloat16")
    (name,) = [symbol for symbol in module.module.spans if f"12add_rms_normI{mangled}Li{vec}E" in symbol]
    chance = np.random.default_rng(1)
    x, residual = (given(executor, chance.standard_normal((ROWS, SIZE)).astype("f4"), kind) for _ in range(2))
    weight = given(executor, chance.standard_normal(SIZE).astype("f4"), kind)
    y, total = (executor.fresh((ROWS, SIZE), x.dtype.str) for _ in range(2))
    scale = executor.fresh(ROWS)
    how = Configuration((ROWS,), (SIZE // vec // 2, 1))

    def once() -> float:
        done = executor.launch(module, name, how, [y, total, scale, x, residual, weight, ROWS, SIZE, 1e-6])
        if done.code or done.reports:
            raise SystemExit("\n".join(map(str, done.mistakes)))
        return ROWS

    return once


def rate(once: Callable[[], float]) -> float:
    """The best of some launches, per second of CPU."""
    once()
    best = 0.0
    for _ in range(7):
        begin = time.process_time()
        amount = once()
        best = max(best, amount / (time.process_time() - begin))
    return best


def cold(text: str) -> tuple[float, float]:
    """Seconds from an empty cache to the end of the first launch, and of CPU: all that is compiled, and read."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "GPUWHEEL_CACHE_DIR": folder}
        begin, spent = time.perf_counter(), sum(os.times()[:4])
        swiglu(Executor(interpreter=Interpreter(Cache.from_environment(environ), environ)), text, "float")()
        return time.perf_counter() - begin, sum(os.times()[:4]) - spent


def main() -> None:
    """Measure, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="file for the figures (default: %(default)s)")
    options = parser.parse_args()
    sources = [ROOT / "sample_extension" / "csrc" / f"{name}.cu" for name in ("swiglu", "add_rms_norm")]
    texts = [text or "" for text, _ in compile_to_ptx(sources)]
    waited, spent = map(min, zip(*(cold(texts[0]) for _ in range(3)), strict=True))
    result: dict[str, Any] = {"machine": describe(), "cold first launch, s": round(waited, 1)}
    result["cold first launch, s of CPU"] = round(spent, 1)
    result["load of the machine meanwhile"] = round(os.getloadavg()[0], 1)
    for checks in ((), ALL):
        executor = Executor(checks=checks)
        for make, text, unit in ((swiglu, texts[0], "M elements/s"), (add_rms_norm, texts[1], "k rows/s")):
            for kind in ("float", "bfloat16"):
                name = f"{make.__name__} {kind}, {'all checks' if checks else 'bounds alone'}, {unit}"
                result[name] = round(rate(make(executor, text, kind)) / (1e6 if unit.startswith("M") else 1e3), 1)
                print(f"{name}: {result[name]}", flush=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
