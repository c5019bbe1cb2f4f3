"""The generated launchers: what Python sees of a kernel, and what is refused."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.launchers.kernel_package import launcher_files
from gpuwheel.compile.launchers.launcher_types import canonical, python_type
from gpuwheel.errors import CompileError
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import BuiltImage, BuiltKernel, CompiledGroup, Parameter
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CUDA_12, CUDA_13 = MinorVersion(12, 9), MinorVersion(13, 0)
SCALE_FLOAT, SCALE_HALF = "_ZN4tiny5scaleIfEEvPT_PKS1_xf", "_ZN4tiny5scaleI6__halfEEvPT_PKS2_xf"
SCALE = (8, 8, 8, 4)
SOURCE = """\
namespace tiny {
// out = x * factor.
template <typename T> __global__ void scale(T* out, const T* x, int64_t n, float factor) {}
}
extern "C" __global__ void fill(float* out, long long n, bool on) {}
"""


def kernel(symbol: str, sizes: Sequence[int]) -> BuiltKernel:
    return BuiltKernel(symbol, tuple(Parameter(8 * index, size) for index, size in enumerate(sizes)))


def group(
    root: Path, *kernels: BuiltKernel, name: str = "tiny", source: str = SOURCE, cuda: str = "12.9"
) -> CompiledGroup:
    (root / "csrc").mkdir(exist_ok=True)
    (root / "csrc" / "scale.cu").write_text(source, encoding="utf-8")
    fatbin = root / f"{name}.{cuda}"
    fatbin.write_bytes(b"image of " + cuda.encode())
    image = BuiltImage("csrc/scale.cu", offset=0, size=64, kernels=kernels)
    return CompiledGroup(name, fatbin, {}, (Arch(8, 0), Arch(9, 0)), (Arch(9, 0),), images=(image,))


def module(root: Path, *kernels: BuiltKernel, source: str = SOURCE) -> str:
    files = launcher_files("tiny_ops._kernels", [{CUDA_12: group(root, *kernels, source=source)}], root)
    text = files["tiny_ops/_kernels/__init__.py"].decode()
    ast.parse(text)
    return text


def function(text: str, name: str) -> ast.FunctionDef:
    (found,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return found


def test_one_typed_function_for_each_kernel(tmp_path: Path) -> None:
    text = module(tmp_path, kernel(SCALE_FLOAT, SCALE), kernel(SCALE_HALF, SCALE), kernel("fill", (8, 8, 1)))
    arguments = function(text, "scale_half").args
    assert {a.arg: ast.unparse(a.annotation) for a in arguments.args if a.annotation} == {
        "out": "Tensor | None",
        "x": "Tensor | None",
        "n": "int",
        "factor": "float",
    }
    assert [a.arg for a in arguments.kwonlyargs] == ["grid", "block", "shared_bytes", "cluster", "cooperative"]
    assert [a.arg for a in function(text, "fill").args.args] == ["out", "n", "on"]
    exported = ast.literal_eval(text.partition("__all__ = ")[2].partition("]")[0] + "]")
    assert exported == ["Operators", "fill", "preload", "scale_float", "scale_half"]


def test_it_is_documented_from_the_source(tmp_path: Path) -> None:
    doc = ast.get_docstring(function(module(tmp_path, kernel(SCALE_FLOAT, SCALE)), "scale_float")) or ""
    assert doc.startswith("Launch `tiny::scale<float>` of csrc/scale.cu.\n\nout = x * factor.\n\nArgs:\n")
    assert "    out: `float*`.\n    x: `float const*`.\n    n: `long long`.\n    factor: `float`.\n" in doc


def test_text_of_a_comment_cannot_end_the_documentation(tmp_path: Path) -> None:
    source = 'int x;\n// """ + evil() + """ and a \\ at the end\\\n__global__ void scale(float* out) {}'
    text = module(tmp_path, kernel("_Z5scalePf", (8,)), source=source)
    assert "evil" in (ast.get_docstring(function(text, "scale")) or "")


def test_dtypes_are_checked_where_the_pointer_has_one(tmp_path: Path) -> None:
    text = module(tmp_path, kernel(SCALE_HALF, SCALE), kernel("_Z4copyPvPKN4tiny3RowE", (8, 8)))
    assert '_r.address("scale_half", "x", x, torch.float16, device)' in text
    assert '_r.untyped_address("copy", "p1", p1, device)' in text


def test_namespaces_come_in_where_names_are_equal(tmp_path: Path) -> None:
    text = module(tmp_path, kernel("_ZN3one4stepEf", (4,)), kernel("_ZN3two4stepEf", (4,)), kernel("_Z4stopf", (4,)))
    assert [function(text, name).name for name in ("one_step", "two_step", "stop")]


def test_names_that_mean_something_in_python(tmp_path: Path) -> None:
    text = module(tmp_path, kernel("_Z6lambdaf", (4,)), kernel("_Z1rf", (4,)))
    assert [function(text, name).name for name in ("lambda_", "r")] == ["lambda_", "r"]


def test_equal_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"has the name of a name of the module in Python \(preload\)"):
        module(tmp_path, kernel("_Z7preloadf", (4,)))


def test_a_structure_by_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"kernel f takes a tiny::Shape by value \(24 bytes") as caught:
        module(tmp_path, kernel("_Z1fN4tiny5ShapeE", (24,)))
    assert "mode embed" in (caught.value.hint or "")


def test_c_linkage_needs_a_source_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r'kernel hidden of csrc/scale.cu is extern "C"'):
        module(tmp_path, kernel("hidden", (8,)))


# --- Several toolkits -------------------------------------------------------------------------------------------------


def test_the_newest_toolkit_is_tried_first(tmp_path: Path) -> None:
    one = kernel(SCALE_FLOAT, SCALE)
    both = {CUDA_12: group(tmp_path, one), CUDA_13: group(tmp_path, one, cuda="13.0")}
    files = launcher_files("tiny_ops._kernels", [both], tmp_path)
    folder = "tiny_ops/_kernels"
    assert list(files) == [f"{folder}/{n}" for n in ("__init__.py", "_runtime.py", *_fatbins)]
    assert files[f"{folder}/tiny.cu13.0.fatbin"] == b"image of 13.0"
    text = files[f"{folder}/__init__.py"].decode()
    newest, older = (text.index(f'_r.Variant("{name}", 0, 64, driver=') for name in reversed(_fatbins))
    assert newest < older
    assert 'tiny.cu13.0.fatbin", 0, 64, driver=(13, 0))' in text


_fatbins = ("tiny.cu12.9.fatbin", "tiny.cu13.0.fatbin")


def test_ptx_is_for_drivers_of_its_own_toolkit(tmp_path: Path) -> None:
    one = kernel(SCALE_FLOAT, SCALE)
    groups = {cuda: group(tmp_path, one, cuda=str(cuda)) for cuda in (CUDA_12, MinorVersion(13, 2))}
    assert all(built.ptx_archs for built in groups.values())
    text = launcher_files("tiny_ops._kernels", [groups], tmp_path)["tiny_ops/_kernels/__init__.py"].decode()
    assert 'tiny.cu13.2.fatbin", 0, 64, driver=(13, 2))' in text
    assert 'tiny.cu12.9.fatbin", 0, 64, driver=(12, 0))' in text


def test_toolkits_must_agree(tmp_path: Path) -> None:
    both = {
        CUDA_12: group(tmp_path, kernel(SCALE_FLOAT, SCALE)),
        CUDA_13: group(tmp_path, kernel(SCALE_FLOAT, (8, 8, 8, 8)), cuda="13.0"),
    }
    with pytest.raises(CompileError, match=r"kernels of csrc/scale.cu differ between toolkits"):
        launcher_files("tiny_ops._kernels", [both], tmp_path)


# --- Types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const float * __restrict__", "float*"),
        ("float const*", "float*"),
        ("std::int64_t", "int64_t"),
        ("unsigned  long long const", "unsigned long long"),
        ("fused::Mode", "fused::Mode"),
    ],
)
def test_spellings(text: str, expected: str) -> None:
    assert canonical(text) == expected


@pytest.mark.parametrize(
    ("cpp", "size", "annotation", "convert"),
    [
        ("int", 4, "int", "_r.int32"),
        ("unsigned long", 8, "int", "_r.uint64"),
        ("long", 4, "int", "_r.uint32"),  # the image decides
        ("bool", 1, "bool", "bool"),
        ("double", 8, "float", "_r.float64"),
        ("__nv_bfloat16", 2, "float", "_r.bfloat16"),
        ("fused::Mode", 4, "int", "_r.uint32"),
        ("float*", 8, "Tensor | None", ""),
        ("void*", 8, "Tensor | int | None", ""),
        ("float**", 8, "Tensor | int | None", ""),
    ],
)
def test_how_python_passes_a_parameter(cpp: str, size: int, annotation: str, convert: str) -> None:
    found = python_type(cpp, size, "kernel")
    assert (found.annotation, found.convert) == (annotation, convert)
