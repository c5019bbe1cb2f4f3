"""What a call from Python costs, and a binding file to compile: against torch's headers, and with `abi = "compat"`.

python ci/bench/compat_entry.py            # prints, and writes ci/bench/results/compat-entry-DATE.json
python ci/bench/compat_entry.py --no-result

Needs torch, with its headers, in this Python. The two modules are of one source and are called by turns, in processes
of their own; the best of the rounds counts, since the machine is not ours alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import sysconfig
import tempfile
import zipfile
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

from machine import describe

from gpuwheel._run import run

RESULTS = Path(__file__).resolve().parent / "results"
_SOURCE = """\
#include <torch/extension.h>
at::Tensor same(const at::Tensor& x, const at::Tensor& y, const at::Tensor& z, double eps) { return x; }
int64_t number(int64_t x) { return x; }
std::string chosen(std::string x) { return x; }
int64_t chosen(int64_t x) { return x; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("same", &same, py::arg("x"), py::arg("y"), py::arg("z"), py::arg("eps") = 1e-5);
  m.def("number", &number);
  m.def("chosen", py::overload_cast<std::string>(&chosen));
  m.def("chosen", py::overload_cast<int64_t>(&chosen));
}
"""
_PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "entry"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel]
archs = ["8.0"]
[tool.gpuwheel.extensions.entry]
sources = ["entry.cpp"]
mode = "nvcc"
abi = "compat"
"""
_CALLS = """\
import json, sys, time
sys.path.insert(0, sys.argv[1])
import torch, entry
torch.set_num_threads(1)
x, same, number, chosen = torch.ones(4), entry.same, entry.number, entry.chosen
calls = {
    "three tensors and a float, by place": lambda n: [same(x, x, x, 1.0) for _ in range(n)],
    "three tensors, a default": lambda n: [same(x, x, x) for _ in range(n)],
    "three tensors, one by name": lambda n: [same(x, x, z=x) for _ in range(n)],
    "an int": lambda n: [number(1) for _ in range(n)],
    "the second of two overloads": lambda n: [chosen(1) for _ in range(n)],
}
best = {}
for _ in range(300):
    for name, call in calls.items():
        before = time.perf_counter_ns()
        call(100)  # few at a time: others have the machine for a while, too
        best[name] = min(best.get(name, 1e9), (time.perf_counter_ns() - before) / 100)
print(json.dumps({name: round(value) for name, value in best.items()}))
"""


def _compat(folder: Path) -> tuple[Path, float]:
    (folder / "entry.cpp").write_text(_SOURCE, encoding="utf-8")
    (folder / "pyproject.toml").write_text(_PYPROJECT, encoding="utf-8")
    (folder / "out").mkdir()
    build = "from gpuwheel import backend; backend.build_wheel('out')"
    run([sys.executable, "-c", build], env=os.environ, cwd=folder)
    (wheel,) = (folder / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed", _cpu_of_compat(folder)


def _cpu_of_compat(folder: Path) -> float:
    """Seconds for the source alone, with the words that the build gave the compiler."""
    from gpuwheel._cache import Cache  # noqa: PLC0415 (only here)
    from gpuwheel.compile.compat.header_tree import compat_headers  # noqa: PLC0415

    cache = Cache.from_environment(os.environ)
    sdk = next(iter(cache.root.glob("v1/sdk/*/include/torch/csrc/stable/library.h"))).parents[3]
    includes = [f"-I{compat_headers(cache)}", f"-I{sdk}"]
    return _cpu([*_flags("-std=c++17"), "-DTORCH_TARGET_VERSION=0x020a000000000000ULL", *includes], folder)


def _flags(std: str) -> list[str]:
    return ["c++", std, "-O2", "-fPIC", "-fvisibility=hidden", "-DTORCH_EXTENSION_NAME=entry", "-w"]


def _cpu(words: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run([*words, "-c", str(folder / "entry.cpp"), "-o", str(folder / "entry.o")], env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


def _classic(folder: Path) -> tuple[Path, float]:
    (folder / "entry.cpp").write_text(_SOURCE, encoding="utf-8")
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("torch is not installed in this Python")
    torch = Path(spec.submodule_search_locations[0])
    folders = (torch / "include", torch / "include/torch/csrc/api/include", sysconfig.get_paths()["include"])
    cpu = _cpu([*_flags("-std=c++20"), *(f"-I{each}" for each in folders)], folder)
    libraries = ["-lc10", "-ltorch", "-ltorch_cpu", "-ltorch_python", f"-Wl,-rpath,{torch / 'lib'}"]
    linked = [
        "c++",
        "-shared",
        str(folder / "entry.o"),
        "-o",
        str(folder / "entry.so"),
        f"-L{torch / 'lib'}",
        *libraries,
    ]
    run(linked, env=os.environ)
    return folder, cpu


def _called(folder: Path) -> dict[str, int]:
    done = run([sys.executable, "-c", _CALLS, str(folder)], env=os.environ)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-result", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folders = {name: Path(work) / name for name in ("classic", "compat")}
        for folder in folders.values():
            folder.mkdir()
        built = {"classic": _classic(folders["classic"]), "compat": _compat(folders["compat"])}
        rounds = [{name: _called(folder) for name, (folder, _) in built.items()} for _ in range(3)]
    calls = {
        name: {which: min(each[which][name] for each in rounds) for which in built} for name in rounds[0]["classic"]
    }
    result = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": describe(),
        "nanoseconds a call": calls,
        "seconds of CPU to compile the source": {name: cpu for name, (_, cpu) in built.items()},
    }
    print(json.dumps(result, indent=2))
    if not arguments.no_result:
        path = RESULTS / f"compat-entry-{result['date']}.json"
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
