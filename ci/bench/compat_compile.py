"""CPU seconds that compiling one binding file takes: with torch's own headers, and with gpuwheel's.

    python ci/bench/compat_compile.py --stable FOLDER [--rounds N] [--write PATH]

A file as most projects have one, and tests/build/compat/comparison.cpp with its 439 calls. Same compiler, same options
but for the headers and the C++ standard that they ask for; user and system time, the least of the rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

from machine import describe

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compile.compat.header_tree import compat_headers

__all__: list[str] = []

_SOURCE = Path(__file__).parents[2] / "tests" / "build" / "compat" / "comparison.cpp"
_BINDING = """\
#include <torch/extension.h>

torch::Tensor scaled(const torch::Tensor& x, double scale, const c10::optional<torch::Tensor>& bias) {
  TORCH_CHECK(x.dim() == 2, "x must have two dimensions, got ", x.dim());
  auto y = torch::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "scaled", [&] {
    const auto from = x.contiguous();
    for (int64_t i = 0; i < x.numel(); ++i) y.data_ptr<scalar_t>()[i] = from.data_ptr<scalar_t>()[i] * scalar_t(scale);
  });
  return bias.has_value() ? y + bias.value() : y;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("scaled", &scaled, "x * scale + bias", py::arg("x"), py::arg("scale") = 1.0, py::arg("bias") = py::none());
}
"""
_OPTIONS = ("-O2", "-fPIC", "-fvisibility=hidden", "-w", "-DTORCH_EXTENSION_NAME=measured", "-c")


def _torch() -> Path:
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        message = "torch is not installed: the headers to compare with are in its wheel"
        raise SystemExit(message)
    return Path(spec.submodule_search_locations[0])


def _commands(cache: Cache, stable_abi: Path) -> dict[str, list[str]]:
    torch, ours = _torch() / "include", compat_headers(cache)
    python = sysconfig.get_paths()["include"]
    stable = ["-DTORCH_TARGET_VERSION=0x020a000000000000ULL", f"-I{ours}", f"-I{stable_abi}"]
    classic = [f"-I{torch}", f"-I{torch / 'torch' / 'csrc' / 'api' / 'include'}", f"-I{python}"]
    return {"classic": ["-std=c++20", *classic], "compat": ["-std=c++17", *stable]}


def _seconds(words: list[str], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(min(taken), 2)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stable", type=Path, required=True, help="headers of torch's stable ABI: torch/include of torch 2.15"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--compiler", default="c++")
    given = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        binding = Path(folder, "binding.cpp")
        binding.write_text(_BINDING, encoding="utf-8")
        for source in (binding, _SOURCE):
            figures[source.name] = {
                name: _seconds(
                    [given.compiler, *words, *_OPTIONS, str(source), "-o", str(Path(folder, "made.o"))], given.rounds
                )
                for name, words in _commands(Cache(Path(folder, "cache")), given.stable).items()
            }
    for name, figure in figures.items():
        print(f"{name}: {figure}, {figure['classic'] / figure['compat']:.1f} times less")
    if given.write:
        content = {"machine": describe(), "cpu_seconds": figures}
        given.write.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
