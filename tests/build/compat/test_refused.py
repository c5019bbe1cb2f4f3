"""What the table says nothing stands in for is refused by the headers: line by line, in one run of the compiler."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from compat_modules import PYPROJECT

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.compat.header_tree import compat_headers
from gpuwheel.config.survey import load_facts, survey_sources
from gpuwheel.errors import GpuwheelError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.pipeline import Build
from gpuwheel.toolchain import Context, find_torch_sdk
from gpuwheel.toolchain.cuda.toolkit import machine_toolkit

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compiler, pytest.mark.network]

HEAD = """\
#include <Python.h>
#include <torch/extension.h>
#if __has_include(<cuda_runtime.h>)
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif
struct Counter { int n = 0; };
at::Tensor good(at::Tensor x) { return at::add(x, x); }
extern "C" PyObject* PyInit_empty(void) {
  static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "empty", NULL, -1, NULL};
  return PyModule_Create(&module);
}
PyMODINIT_FUNC PyInit_none(void) { return NULL; }
"""
REFUSED = {
    "c10::Dispatcher": ["void f() { c10::Dispatcher::singleton(); }", "void f() { c10::DispatchKeySet keys; }"],
    "CppFunction::makeFallthrough": ["void f() { torch::CppFunction::makeFallthrough(); }"],
    "at::native": ["void f(at::Tensor& x) { at::native::add(x, x); }", "void f() { at::TensorIteratorConfig config; }"],
    "at::_ops": ["void f(at::Tensor& x) { at::_ops::add_Tensor::call(x, x, 1); }"],
    "c10d": ["void f(c10d::Store* store) {}"],
    "torch::class_": ["torch::class_<Counter> f;", "void f() { c10::intrusive_ptr<Counter> held; }"],
    "py::class_": ['void f(py::module_& m) { py::class_<Counter>(m, "C"); }'],
    "py::enum_": ['void f(py::module_& m) { py::enum_<Counter>(m, "E"); }'],
    "Python objects": [
        "void f() { py::array_t<float> a; }",
        'void f() { py::module_::import("math"); }',
        'void f() { py::print("x"); }',
        "void f() { py::cpp_function b; }",
        "void f() { py::capsule b; }",
        'void f() { py::exec("x"); }',
        "void f() { py::buffer b; b.request(); }",
        "void f(py::function called) { called(1); }",
        "void f() { THPVariable_Wrap(at::Tensor()); }",
    ],
    "Python's C API": [
        "void f() { PyLong_FromLong(1); }",
        "void f() { PyObject* o = nullptr; Py_DECREF(o); }",
        "static PyMethodDef f[2];",
        "void f(PyObject* m) { PyModule_AddIntConstant(m, 0, 1); }",
    ],
    "torch::jit": ["void f() { torch::jit::Module m; }"],
    "c10::cuda::CUDACachingAllocator": ["void f() { c10::cuda::CUDACachingAllocator::get(); }"],
    "TensorImpl": ["void f(at::TensorImpl* x) {}", "void f(c10::StorageImpl* x) {}"],
    "ATen/TensorIndexing.h internals": ["void f() { at::functorch::vmap(); }"],
    "ATen/cudnn": ["void f() { at::native::getCudnnHandle(); }"],
    "ATen/cuda handles": ["void f() { at::cuda::getCurrentCUDASparseHandle(); }"],
    "torch::nn modules": ["struct Net : torch::nn::Module {};"],
}


def test_every_row_of_the_table_is_refused_in_its_line(tmp_path: Path, compat_cache: Path) -> None:
    assert set(REFUSED) == {api.name for api in load_facts().apis if api.match}
    rows = [(name, code) for name, codes in REFUSED.items() for code in codes]
    # Each in a namespace of its own: they are all called f.
    lines = [f"namespace n{number} {{ {code} }}" for number, (_, code) in enumerate(rows)]
    source = tmp_path / "refused.cpp"
    source.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(compat_cache)}
    cache = Cache.from_environment(environ)
    sdk = find_torch_sdk(load_tables().torch_sdk, context=Context(cache, environ, SilentReporter()))
    tree = compat_headers(cache)
    # With the toolkit's headers, where the machine has some: else nothing of CUDA is there to refuse or to take.
    toolkit = machine_toolkit(load_tables().cuda[MinorVersion(13, 0)], environ)
    cuda = [f"-I{toolkit.root / 'include'}"] if toolkit is not None else []
    done = run(
        [
            *("c++", "-std=c++17", "-fsyntax-only", "-fmax-errors=0", "-fdiagnostics-color=never"),
            *(f"-I{tree}", f"-I{sdk.include_dir}", *cuda),
            *("-DTORCH_TARGET_VERSION=0x020a000000000000ULL", "-DTORCH_EXTENSION_NAME=refused", source),
        ],
        env=environ,
        check=False,
    )
    told = {int(line) for line in re.findall(r"refused\.cpp:(\d+):\d+: +(?:error|required from)", done.output)}
    first = HEAD.count("\n") + 1
    taken = [rows[number - first] for number in range(first, first + len(rows)) if number not in told]
    fatal = [line for line in done.output.splitlines() if "fatal error" in line]
    assert (fatal, taken) == ([], [])
    assert min(told) == first, done.output[:2000]
    # The survey names them before the compiler does.
    named = {line.place: line.uses for line in survey_sources("refused", tmp_path, [source], []).lines if line.refused}
    assert [named.get(f"refused.cpp:{first + number}") for number in range(len(rows))] == [name for name, _ in rows]


@pytest.mark.parametrize(
    ("code", "says", "hint"),
    [
        (
            "at::Tensor f(at::Tensor x) { return at::who_knows(x); }",
            "gaps.cpp:2: who_knows is not in gpuwheel's",
            "exact",
        ),
        ("void f(c10d::Store* store) {}", "gaps.cpp:2 uses c10d, which abi = ", 'set abi = "exact" in'),
    ],
)
def test_a_build_ends_with_one_error_that_names_api_line_and_way(
    tmp_path: Path, compat_cache: Path, code: str, says: str, hint: str
) -> None:
    (tmp_path / "gaps.cpp").write_text(f"#include <torch/extension.h>\n{code}\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        PYPROJECT.format(name="gaps", sources='"gaps.cpp"', defines="[]"), encoding="utf-8"
    )
    build = Build(tmp_path, {**os.environ, "GPUWHEEL_CACHE_DIR": str(compat_cache)}, {}, SilentReporter())
    with pytest.raises(GpuwheelError) as caught:
        build.wheel(tmp_path / "out")
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")
