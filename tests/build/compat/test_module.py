"""A module of functions in place of an extension module: against what pybind11 of torch 2.13 gives and throws."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from compat_modules import PYPROJECT, SOURCES, Built

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.torch

RECORDED = SOURCES / "module_classic.json"


@pytest.fixture(scope="module")
def ours(compat: Callable[..., Built]) -> Built:
    return compat("twin", "module.cpp", "library.cpp", defines=["WITH_LIBRARY"])


def _differences(expected: object, found: object, path: str = "") -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [*expected, *(key for key in found if key not in expected)]
        return [line for key in keys for line in _differences(expected.get(key), found.get(key), f"{path}/{key}")]
    return [] if expected == found else [f"{path}: {found} (expected {expected})"]


def test_calls_errors_and_docs_are_those_of_pybind11(ours: Built) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert len(recorded["converted"]) > 400
    assert _differences(recorded, ours.outcomes("module_cases.py")) == []


def test_a_torch_without_the_insides_that_are_used_changes_no_outcome(ours: Built, tmp_path: Path) -> None:
    later = Built(tmp_path / "later")
    shutil.copytree(ours.folder, later.folder)
    text = (later.folder / "twin.py").read_text(encoding="utf-8")
    looked_up = "    found: Any = torch\n"
    assert text.count(looked_up) == 1
    (later.folder / "twin.py").write_text(text.replace(looked_up, f"    return None\n{looked_up}"), encoding="utf-8")
    expected, found = ours.outcomes("module_cases.py"), later.outcomes("module_cases.py")
    asked_of_a_mode = 6
    assert expected["identities"].pop(asked_of_a_mode) == 0 != found["identities"].pop(asked_of_a_mode)
    assert _differences(expected, found) == []


@pytest.mark.heavy
def test_what_is_recorded_is_what_pybind11_does(classic: Callable[..., Built]) -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert _differences(recorded, classic("twin", "module.cpp").outcomes("module_cases.py")) == []


def _run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def _says(folder: Path, code: str) -> list[str]:
    done = _run(folder, code)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_library_that_is_only_loaded_has_its_operators_under_their_names(ours: Built) -> None:
    said = _says(
        ours.folder,
        """\
import importlib.util, torch
torch.ops.load_library(importlib.util.find_spec("twin").origin)
ops, x = torch.ops.twin_lib, torch.ones(2)
print(ops.scaled(x, 2.0).sum().item(), ops.declared(x, 3).sum().item(), ops.inferred(x, 2.0).sum().item())
print(ops.as_type(x).dtype, ops.as_type(x, torch.half).dtype, ops.copy(x, x * 2, 1), x.sum().item(), len(ops.both(x)))
print(ops.keyed(x) is x, torch.ops.twin_more.same(4), torch.ops.twin_old.scaled(x, 2.0).sum().item())
print(torch.ops.twin_old.same(x) is x)
try:
    ops.raises(x)
except ValueError as error:
    print(error)
unit = torch.jit.CompilationUnit(
    "def scripted(a: Tensor): return torch.ops.twin_lib.inferred(a, 2.0) + torch.ops.twin_lib.scaled(a, 1.0)\\n"
)
print(unit.scripted(x).sum().item())
import twin
print(twin.small(5))
""",
    )
    assert said == [
        *("4.0", "6.0", "4.0", "torch.float32", "torch.float16", "None", "4.0", "2"),
        *("False", "4", "8.0", "True", "a", "value", "12.0", "5"),
    ]


def test_operators_take_and_give_dictionaries(ours: Built) -> None:
    said = _run(
        ours.folder,
        """\
import importlib.util, torch
torch.ops.load_library(importlib.util.find_spec("twin").origin)
ops, x = torch.ops.twin_dicts, torch.ones(2)
for each in (ops.doubled.default, ops.counted.default, ops.missing.default, ops.inferred.default):
    print(each._schema)
out = ops.doubled({"b": x, "a": x + 1}, {"a": [2]})
print(list(out), out["b"].tolist(), out["a"].tolist(), ops.doubled({}, {}), ops.inferred({"c": x}, {})["c"].tolist())
counts, same = ops.counted(x, {7: 1.0, 2: 2.0})
print(counts, same is x, ops.counted(x)[0], ops.counted(x, more=None)[0])
def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])
edges = [("a", "to", "bcd"), ("", "x", "yz")]
print(ops.lengths(edges, (7, 1.5)), ops.inferred_lengths(edges, (7, 1.5)), ops.inferred_lengths.default._schema)
print(ops.named(x, by={"x": 3.0}).tolist(), ops.named(x, by={"x": 3.0}, twice=True).tolist())
raised(ops.missing, {"there": 1.0})
raised(ops.doubled, {"b": 1}, {})
unit = torch.jit.CompilationUnit(
    "def scripted(a: Dict[str, Tensor]) -> Dict[str, Tensor]: return torch.ops.twin_dicts.doubled(a, {'k': [3]})\\n"
)
print({key: each.tolist() for key, each in unit.scripted({"k": x}).items()})
leaf = torch.ones(2, requires_grad=True)
ops.doubled({"k": leaf}, {})["k"].sum().backward()
print(leaf.grad.tolist())
""",
    )
    assert said.returncode == 0, said.stderr
    lengths = "[[7], [1, 2, 3], [0, 1, 2]]"
    refused = "Expected a value of type 'Dict[str, Tensor]' for argument 'all' but instead found type 'dict'."
    assert said.stdout.splitlines() == [
        "twin_dicts::doubled(Dict(str, Tensor) all, Dict(str, int[]) times) -> Dict(str, Tensor)",
        "twin_dicts::counted(Tensor x, Dict(int, float)? more=None) -> (Dict(int, float), Tensor)",
        "twin_dicts::missing(Dict(str, float) _0) -> float",
        "twin_dicts::inferred(Dict(str, Tensor) _0, Dict(str, int[]) _1) -> Dict(str, Tensor)",
        "['b', 'a'] [2.0, 2.0] [4.0, 4.0, 4.0, 4.0] {} [2.0, 2.0]",
        "{2: 3.0, 7: 2.0} True {2: 1.5} {2: 1.5}",
        f"{lengths} {lengths} twin_dicts::inferred_lengths((str, str, str)[] _0, (int, float) _1) -> int[][]",
        "[6.0, 6.0] [12.0, 12.0]",
        "IndexError Argument passed to at() was not in the map.",
        f"RuntimeError twin_dicts::doubled() {refused}",
        "{'k': [2.0, 2.0, 2.0, 2.0, 2.0, 2.0]}",
        "[2.0, 2.0]",
    ]


def test_functions_that_relied_on_the_gil_exclude_each_other_also_in_a_forked_child(ours: Built) -> None:
    said = _says(
        ours.folder,
        """\
import os, threading, twin
def race(function):
    twin.reset()
    threads = [threading.Thread(target=lambda: [function() for _ in range(10)]) for _ in range(4)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    return twin.count()
print(race(twin.racing), race(twin.racing_free) < 40, flush=True)
busy = threading.Thread(target=lambda: [twin.racing() for _ in range(50)])
busy.start()
child = os.fork()
if child == 0:
    twin.reset()
    print(twin.racing(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
""",
    )
    assert said == ["40", "True", "1"]


def test_a_module_is_found_reloaded_and_sent_to_other_processes_as_an_extension_module(ours: Built) -> None:
    said = _says(
        ours.folder,
        """\
import glob, importlib, importlib.util, multiprocessing, twin
if __name__ == "__main__":
    before = twin.small
    importlib.reload(twin)
    print(twin.small is before, twin.__file__.endswith("/twin.so"), len(glob.glob("twin*.so")))
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(twin.small, [1, 2]) == [1, 2])
""",
    )
    assert said == ["True", "True", "1", "True", "True"]


def test_two_extensions_of_one_name_and_two_versions_of_a_wheel(ours: Built, tmp_path: Path) -> None:
    for package in ("a", "b"):
        (tmp_path / package).mkdir()
        for file in ours.folder.glob("*twin.*"):
            (tmp_path / package / file.name).write_bytes(file.read_bytes())
    said = _run(tmp_path, "import a.twin; print(a.twin.small(3), a.twin.small.__module__, flush=True); import b.twin")
    # Each has TORCH_LIBRARY(twin_lib, m): that cannot be there twice, and says so.
    assert said.stdout.split() == ["3", "a.twin"]
    assert "ImportError: b.twin: TORCH_LIBRARY(twin_lib): Only a single TORCH_LIBRARY can be used" in said.stderr
    # Nothing is imported by this: what fails is told where the library is loaded.
    loads = "import torch, a.twin; torch.ops.load_library('b/libtwin.so')"
    assert "TORCH_LIBRARY(twin_lib): Only a single TORCH_LIBRARY can be used" in _run(tmp_path, loads).stderr


def test_a_torch_below_the_floor_is_one_import_error(ours: Built) -> None:
    said = _run(ours.folder, "import torch; torch.__version__ = '2.9.1'; import twin")
    assert said.stderr.splitlines()[-1] == "ImportError: twin needs torch >= 2.10 (torch 2.9.1 is installed)"


def test_keys_lengths_words_of_torch_and_errors_of_earlier_calls(ours: Built) -> None:
    said = _says(
        ours.folder,
        """\
import torch, twin
print(repr(twin.keys()).replace(" ", ""))
print(twin.lengths("\u00e4b", b"\\xff\\xfe"), twin.is_null(), len(torch.ops.twin_lib.views(torch.ones(1))))
def kind(*args):
    try:
        return twin.small(*args)
    except Exception as error:
        return type(error).__name__
print(kind(torch.int8), kind(torch.channels_last), kind(torch.strided), kind(3))
try:
    torch.ops.twin_lib.raises(torch.ones(1))
except ValueError:
    print(kind("a"), kind(torch.ones(3)))
""",
    )
    assert said == [
        *("{(1,2):1,(1,3):2,1:5}", "[2,", "2]", "True", "1"),
        *("TypeError", "TypeError", "TypeError", "3", "TypeError", "TypeError"),
    ]


def test_a_library_is_asked_beside_those_of_cuda_whatever_it_prints(
    tmp_path: Path, compat: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "loud.cpp"
    source.write_text(
        """\
#include <torch/extension.h>
#include <cublas_v2.h>
#include <cstdio>
static int loud = std::printf("loaded\\n");
int64_t created() { cublasHandle_t handle = nullptr; return cublasCreate(&handle); }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("created", &created); }
""",
        encoding="utf-8",
    )
    monkeypatch.setattr("compat_modules.PYPROJECT", PYPROJECT + 'libraries = ["cublas"]\n')
    built = compat("loud", source)
    assert "def created() -> int: ..." in (built.folder / "loud.pyi").read_text(encoding="utf-8")
