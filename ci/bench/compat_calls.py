"""Nanoseconds that calls of ATen take from C++: with torch's own headers, and with gpuwheel's for `abi = "compat"`.

    python ci/bench/compat_calls.py --stable FOLDER [--rounds N] [--calls N] [--write PATH]

FOLDER holds the headers of torch's stable ABI. One source, compiled both ways, both in one process, by turns; each
figure is the least of the rounds. Tensors have 16 elements on the CPU, one thread: what is measured is the call.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import sysconfig
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from machine import describe

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compile.compat.header_tree import compat_headers
from gpuwheel.compile.compat.module_text import module_text

__all__: list[str] = []

_CALLS = {
    "size, data_ptr, scalar_type": "{ k += x.size(0) + (x.data_ptr() != nullptr) + (x.scalar_type() == at::kFloat); }",
    "empty": "{ auto y = at::empty({4, 4}, x.options()); k += y.dim(); }",
    "zeros": "{ auto y = torch::zeros({4, 4}, x.options()); k += y.dim(); }",
    "empty_like": "{ auto y = at::empty_like(x); k += y.dim(); }",
    "contiguous": "{ auto y = x.contiguous(); k += y.dim(); }",
    "narrow": "{ auto y = x.narrow(0, 1, 2); k += y.dim(); }",
    "transpose": "{ auto y = x.transpose(0, 1); k += y.dim(); }",
    "view": "{ auto y = x.view({16}); k += y.dim(); }",
    "add": "{ auto y = x.add(x); k += y.dim(); }",
    "mul by a number": "{ auto y = x.mul(2.5); k += y.dim(); }",
    "copy_": "{ x.copy_(z); k += 1; }",
    "sum over one dimension": "{ auto y = x.sum(0); k += y.dim(); }",
    "clamp by numbers": "{ auto y = x.clamp(0, 1); k += y.dim(); }",
}
_HEAD = """\
#include <torch/extension.h>
#include <chrono>
template <class F> double timed(int64_t n, F call) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < n; ++i) call();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / static_cast<double>(n);
}
double measured(at::Tensor x, at::Tensor z, int64_t which, int64_t n) {
  int64_t k = 0;
  switch (which) {
"""
_TAIL = """\
  }
  return k < 0 ? -1.0 : -2.0;
}
at::Tensor entry(const at::Tensor& x, const at::Tensor& y, const at::Tensor& z, double scale) { return x; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("measured", &measured); m.def("entry", &entry); }
"""


def _source() -> str:
    cases = (f"    case {at}: return timed(n, [&] {body});\n" for at, body in enumerate(_CALLS.values()))
    return _HEAD + "".join(cases) + _TAIL


def _compile(folder: Path, stable_abi: Path) -> None:
    """`calls_classic` and `calls_compat` into `folder`."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        message = "torch is not installed: the headers to compare with are in its wheel"
        raise SystemExit(message)
    torch = Path(spec.submodule_search_locations[0])
    source = folder / "calls.cpp"
    source.write_text(_source(), encoding="utf-8")
    shared = ("c++", "-O2", "-fPIC", "-fvisibility=hidden", "-w", "-shared", source, f"-L{torch / 'lib'}")
    include = torch / "include"
    run(
        [
            *(*shared, "-std=c++20", "-DTORCH_EXTENSION_NAME=calls_classic", f"-I{include}"),
            *(f"-I{include / 'torch/csrc/api/include'}", f"-I{sysconfig.get_paths()['include']}"),
            *("-o", folder / f"calls_classic{sysconfig.get_config_var('EXT_SUFFIX')}"),
            *("-lc10", "-ltorch", "-ltorch_cpu", "-ltorch_python"),
        ]
    )
    ours = compat_headers(Cache(folder / "cache"))
    run(
        [
            *(
                *shared,
                "-std=c++17",
                "-DTORCH_EXTENSION_NAME=calls_compat",
                "-DTORCH_TARGET_VERSION=0x020a000000000000ULL",
            ),
            *(f"-I{ours}", f"-I{stable_abi}", "-o", folder / "libcalls_compat.so", "-Wl,--no-as-needed", "-ltorch"),
        ]
    )
    (folder / "calls_compat.py").write_bytes(module_text("calls_compat"))


def _entry(module: Any, tensors: tuple[Any, ...], calls: int) -> float:  # noqa: ANN401 - made a moment ago
    call = module.entry
    start = time.perf_counter_ns()
    for _ in range(calls):
        call(*tensors, 1.0)
    return (time.perf_counter_ns() - start) / calls


def _measure(folder: Path, rounds: int, calls: int) -> dict[str, dict[str, float]]:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    modules = {way: importlib.import_module(f"calls_{way}") for way in ("classic", "compat")}
    x, z = torch.ones(4, 4), torch.ones(4, 4)
    figures: dict[str, dict[str, float]] = {}
    for recorded in (True, False):
        with torch.set_grad_enabled(recorded):
            for at, name in enumerate(_CALLS):
                row = figures.setdefault(name if recorded else f"{name}, no_grad", {})
                for _ in range(rounds):
                    for way, module in modules.items():
                        row[way] = min(row.get(way, 1e9), round(module.measured(x, z, at, calls), 1))
    row = figures.setdefault("Python entry, three tensors", {})
    for _ in range(rounds):
        for way, module in modules.items():
            row[way] = min(row.get(way, 1e9), round(_entry(module, (x, x, x), calls), 1))
    return figures


def main() -> None:
    """Compile both, measure by turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stable", type=Path, required=True, help="headers of torch's stable ABI")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _compile(Path(folder), asked.stable)
        figures = _measure(Path(folder), asked.rounds, asked.calls)
    for name, row in figures.items():
        print(f"{name:40} {row['classic']:9.1f} {row['compat']:9.1f} {row['compat'] / row['classic']:6.2f}")
    if asked.write:
        result = {"machine": describe(), "torch": importlib.import_module("torch").__version__, "nanoseconds": figures}
        asked.write.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
