"""Each character in each key: the library that comes out has it, or it is refused by name before anything compiles."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.config import load_config
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "words"
version = "1.0"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.0"
archs = ["8.0"]

[tool.gpuwheel.wheel]
platform = "system"

[tool.gpuwheel.extensions."words._C"]
mode = "nvcc"
abi = "none"
"""
"""A library for ctypes; keys of its table follow."""

CHARACTERS = " ;$#'\"`\\,[](){}<>|&*?!~^%@:=+é\t\n"
SPOKEN = {"\n": "a newline", "\t": "a tab"}
IN_NO_PATH = set(";$'\"`\\<>|&*?^\t\n[]")  # a bracket has no partner here
REFUSED = {
    "defines": {"\n"},
    "flags": {"\n"},
    "nvcc-flags": set("\n$`"),
    "link-flags": IN_NO_PATH,
    "sources.cpp": IN_NO_PATH,
    "sources.cu": IN_NO_PATH | {"#", ","},
    "include-dirs": IN_NO_PATH | {"#"},
}
KEYS = {"sources.cpp": "sources", "sources.cu": "sources"}
CELLS = [(key, number, char) for key in REFUSED for number, char in enumerate(CHARACTERS)]


def literal(text: str) -> str:
    """As a string in C++."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def source(name: str, value: str) -> str:
    """A function that returns a string."""
    return f'extern "C" const char* {name}() {{ return {value}; }}\n'


def write_cell(root: Path, key: str, number: int, char: str) -> tuple[str, str]:
    """Files of one cell; the word that its key holds, and the source that returns its character."""
    name, text = f"{key.replace('-', '_').replace('.', '_')}_{number}", f"a{char}b"
    if key in {"defines", "flags", "nvcc-flags"}:
        option = f"{name.upper()}={literal(text)}"
        word = option if key == "defines" else f"-D{option}"
        if key == "nvcc-flags":  # nvcc takes quotes away that no backslash stands before, and splits -D at commas
            word = word.replace("\\", "\\\\").replace('"', '\\"').replace(",", "\\,")
        return word, source(name, name.upper())
    if key == "include-dirs":
        (root / "include" / text).mkdir(parents=True)
        (root / "include" / text / f"{name}.h").write_text(f"#define {name.upper()} {literal(text)}\n")
        return f"include/{text}", f"#include <{name}.h>\n" + source(name, name.upper())
    if key == "link-flags":
        compiled = root / f"{name}.o"
        run(
            ["g++", "-fPIC", "-xc++", "-", "-c", "-o", compiled],
            stdin=source(f"{name}_inside", literal(text).replace("\n", "\\n")),
        )
        compiled.rename(root / f"{text}.o")
        return f"{text}.o", f'extern "C" const char* {name}_inside();\n' + source(name, f"{name}_inside()")
    suffix = key.rpartition(".")[2]
    (root / "csrc").mkdir(exist_ok=True)
    # With its number: CMake names objects of some characters alike, which is refused.
    (root / "csrc" / f"{text}{number}.{suffix}").write_text(source(name, literal(text)))
    return f"csrc/{text}{number}.{suffix}", ""


def pyproject(words: dict[str, list[str]]) -> str:
    """The configuration, with keys of the extension."""
    lines = [f"{key} = {json.dumps(words[key], ensure_ascii=False)}\n" for key in words]
    return PYPROJECT + "".join(lines)


@pytest.mark.parametrize(("key", "number", "char"), CELLS)
def test_a_character_is_refused_by_name_where_no_tool_takes_it(
    tmp_path: Path, key: str, number: int, char: str
) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "first.cu").write_text("")
    word, _ = write_cell(tmp_path, key, number, char)
    name = KEYS.get(key, key)
    words = {"sources": ["csrc/first.cu"], name: [f"csrc/*.{key[-2:]}" if "u" in key[-2:] else "csrc/*"]}
    if name != "sources":
        words[name] = [word]
    (tmp_path / "pyproject.toml").write_text(pyproject(words), encoding="utf-8")
    load = partial(load_config, tmp_path, environ={}, config_settings={})
    if char not in REFUSED[key]:
        load()
        return
    with pytest.raises(ConfigError) as refused:
        load()
    assert f'extensions."words._C".{name}' in refused.value.message
    assert SPOKEN.get(char, repr(char)) in refused.value.message
    assert refused.value.hint


def test_every_other_character_reaches_the_library(tmp_path: Path, project_at: Callable[[Path], Project]) -> None:
    root = tmp_path / "project, of [1] é"
    (root / "csrc").mkdir(parents=True)
    words: dict[str, list[str]] = {}
    host, device = "", ""
    for key, number, char in CELLS:
        if char in REFUSED[key]:
            continue
        word, text = write_cell(root, key, number, char)
        words.setdefault(KEYS.get(key, key), []).append(word)
        if key == "nvcc-flags":
            device += text
        else:
            host += text
        if key in {"defines", "include-dirs"}:
            device += text.replace('"C" const char* ', '"C" const char* cuda_')
    (root / "csrc" / "host.cpp").write_text(host)
    (root / "csrc" / "device.cu").write_text(device + "__global__ void kernel() {}\n")
    words["sources"] += ["csrc/host.cpp", "csrc/device.cu"]
    (root / "pyproject.toml").write_text(pyproject(words), encoding="utf-8")
    wheel = project_at(root).wheel(tmp_path / "out")
    library = ctypes.CDLL(str(wheel.root / "words" / "_C.so"))
    for key, number, char in CELLS:
        if char in REFUSED[key]:
            continue
        name = f"{key.replace('-', '_').replace('.', '_')}_{number}"
        for prefix in ("", "cuda_") if key in {"defines", "include-dirs"} else ("",):
            function = getattr(library, prefix + name)
            function.restype = ctypes.c_char_p
            assert function().decode() == f"a{char}b", (key, char)


def test_words_come_as_often_and_in_the_order_that_they_are_written(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    root = tmp_path / "project"
    files = {
        "csrc/a.cu": '#include "there.h"\nextern "C" const char* name() { return NAME; }\n__global__ void kernel() {}\n'
        'extern "C" int device() { return THERE * 1000 + K * 100 + FIRST * 10 + LAST; }\n',
        "csrc/b.cpp": '#include "there.h"\nextern "C" int host() { return FIRST * 100 + LAST * 10 + THERE; }\n',
        "first.h": "#define FIRST 1\n",
        "last.h": "#define LAST 2\n",
        "include/there.h": "#define THERE 3\n",
        "pyproject.toml": PYPROJECT
        + 'sources = ["csrc/*"]\n'
        + 'flags = ["-include", "first.h", "-include", "last.h", "-Iinclude", "-include", "cstdint"]\n'
        + 'nvcc-flags = ["-Xptxas", "-v", "-Xptxas", "-O1", "-include", "first.h", "-include", "last.h", '
        + r"""'-D', 'K=4', '-Xcompiler', '-DNAME="x y"', '-Xcompiler=-Iinclude', '-ftz=true']"""
        + "\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    project = project_at(root)
    wheel = project.wheel(tmp_path / "out")
    library = ctypes.CDLL(str(wheel.root / "words" / "_C.so"))
    library.name.restype = ctypes.c_char_p
    assert (library.device(), library.host(), library.name()) == (3412, 123, b"x y")


def test_a_macro_may_have_the_name_of_what_cmake_calls_its_lists(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text('extern "C" int value() { return RDC + SOURCES + FN(1) + TWICE; }\n')
    macros = ["RDC", "SOURCES=2", "FN(x)=x+4", "TWICE=8", "TWICE=16", "LINK_FLAGS"]
    # a macro that is defined twice has its last value, with a warning
    (tmp_path / "pyproject.toml").write_text(pyproject({"sources": ["csrc/*"], "defines": macros}))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    assert ctypes.CDLL(str(wheel.root / "words" / "_C.so")).value() == 1 + 2 + 1 + 4 + 16


LINKED = [
    ["vendor/libdep.a"],
    ["-Lvendor", "-ldep"],
    ["-L", "vendor", "-l", "dep"],
    ["-l:libdep.a", "-Lvendor"],
    ["-Wl,-Lvendor", "-Wl,-ldep"],
    ["-Wl,--start-group", "vendor/libdep.a", "vendor/libother.a", "-Wl,--end-group"],
    ["-Wl,--whole-archive", "vendor/libdep.a", "-Wl,--no-whole-archive"],
    ["-Xlinker", "--whole-archive", "-Xlinker", "vendor/libdep.a", "-Xlinker", "--no-whole-archive"],
    ["vendor/libother.a", "vendor/libdep.a", "vendor/libother.a"],
    ["-static-libgcc", "vendor/dep.o"],
]


def test_link_flags_give_what_the_sources_ask_for(tmp_path: Path, project_at: Callable[[Path], Project]) -> None:
    """Extensions whose modules share a name, one for each way to link the same archive."""
    (tmp_path / "vendor").mkdir()
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text(
        'extern "C" int dep();\nextern "C" int value() { return dep() + ADDED; }\n'
    )
    for name in ("dep", "other"):
        (tmp_path / "vendor" / f"{name}.cpp").write_text(f'extern "C" int {name}() {{ return 1; }}')
        run(["g++", "-fPIC", "-c", f"{name}.cpp"], cwd=tmp_path / "vendor")
        run(["ar", "rcs", f"lib{name}.a", f"{name}.o"], cwd=tmp_path / "vendor")
    tables = [
        f'[tool.gpuwheel.extensions."words.p{number}._C"]\nmode = "nvcc"\nabi = "none"\nsources = ["csrc/a.cpp"]\n'
        f'defines = ["ADDED={number}"]\nlink-flags = {json.dumps(flags)}\n'
        for number, flags in enumerate(LINKED)
    ]
    head = PYPROJECT.partition("[tool.gpuwheel.extensions")[0]
    (tmp_path / "pyproject.toml").write_text(head + "".join(tables))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    for number, flags in enumerate(LINKED):
        library = ctypes.CDLL(str(wheel.root / "words" / f"p{number}" / "_C.so"))
        assert library.value() == 1 + number, flags


def test_a_system_library_of_link_flags_is_one_that_the_library_needs(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    (tmp_path / "csrc").mkdir()
    text = 'extern "C" int deflateEnd(void*);\nextern "C" int value() { return deflateEnd(nullptr); }\n'
    (tmp_path / "csrc" / "a.cpp").write_text(text)
    (tmp_path / "libz.so").symlink_to("/lib/x86_64-linux-gnu/libz.so.1")  # as the development package has it
    (tmp_path / "pyproject.toml").write_text(
        pyproject({"sources": ["csrc/a.cpp"], "link-flags": ["-L.", "-lz", "-lm"]})
    )
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    library = wheel.root / "words" / "_C.so"
    assert ctypes.CDLL(str(library)).value() == -2  # Z_STREAM_ERROR
    needed = run(["readelf", "-d", library]).stdout
    assert "[libz.so.1]" in needed
    assert "[libm.so.6]" not in needed  # nothing of it is used


MODULE = """\
#include <Python.h>
#include <torch/csrc/stable/library.h>
#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define REGISTER_EXTENSION(NAME)                                                               \\
  PyMODINIT_FUNC JOINED(PyInit_, NAME)() {                                                     \\
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, STRING(NAME), VALUE, 0, nullptr}; \\
    return PyModule_Create(&module);                                                           \\
  }
REGISTER_EXTENSION(TORCH_EXTENSION_NAME)
"""


@pytest.mark.torch
def test_two_modules_of_one_name_register_as_the_kernels_of_the_hub_do(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    """The stable ABI and the limited API at once; sources of one name in two folders, and one with device code."""
    for package in ("a", "b"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.cpp").write_text(MODULE)
    (tmp_path / "b" / "kernels.cu").write_text("__global__ void kernel() {}\nvoid f() { kernel<<<1, 1>>>(); }\n")
    (tmp_path / "words").mkdir()
    tables = [
        f'[tool.gpuwheel.extensions."words.{package}._C"]\nmode = "nvcc"\nabi = "stable"\npython = "abi3"\n'
        f'sources = ["{package}/*"]\ndefines = ["VALUE=\\"{package}\\""]\n'
        for package in ("a", "b")
    ]
    head = PYPROJECT.partition("[tool.gpuwheel.extensions")[0]
    (tmp_path / "pyproject.toml").write_text(head + "".join(tables))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    for package in ("a", "b"):
        exported = run(["nm", "-D", "--defined-only", wheel.root / "words" / package / "_C.abi3.so"]).stdout
        assert "PyInit__C" in exported
    code = "import torch, words.a._C as a, words.b._C as b; print(a.__doc__, b.__doc__)"
    assert wheel.python(code).output == "a b\n"


def test_the_driver_api_links_and_the_library_loads_without_a_driver(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    text = (
        "#include <cuda.h>\n#include <cuda_runtime_api.h>\n"
        'extern "C" int driver(int* count) { int error = cuInit(0); return error ? error : cuDeviceGetCount(count); }\n'
        'extern "C" int runtime(int* version) { return cudaRuntimeGetVersion(version); }\n'
    )
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text(text)
    words = {"sources": ["csrc/a.cpp"], "libraries": ["cuda", "cudart"]}
    (tmp_path / "pyproject.toml").write_text(pyproject(words))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    library = wheel.root / "words" / "_C.so"
    needed = run(["readelf", "-d", library]).stdout
    assert "libcuda.so" not in needed
    assert "[libcudart.so.13]" in needed
    assert any(line.startswith("nvidia-cuda-runtime>=13.0") for line in wheel.requirements)


def test_calls_of_the_driver_api_reach_a_driver_that_is_there(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    text = (
        "#include <cuda.h>\n"
        'extern "C" int device_count() {\n'
        "  int n = -1;\n  if (int error = cuInit(0)) return -error;\n  cuDeviceGetCount(&n);\n  return n;\n}\n"
        'extern "C" const char* text() {\n'
        "  const char* it = nullptr;\n  cuGetErrorString(CUDA_ERROR_NO_DEVICE, &it);\n  return it;\n}\n"
        'extern "C" double many(double a, double b, double c, double d) {\n'
        "  using Many = double (*)(double, double, double, double, int, int, int, int, int, int, int);\n"
        "  auto call = reinterpret_cast<Many>(cuTensorMapEncodeTiled);\n"
        "  return call(a, b, c, d, 1, 2, 3, 4, 5, 6, 7);\n}\n"
    )
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text(text)
    (tmp_path / "pyproject.toml").write_text(pyproject({"sources": ["csrc/a.cpp"], "libraries": ["cuda"]}))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    library = wheel.root / "words" / "_C.so"
    assert "libcuda.so" not in run(["readelf", "-d", library]).stdout
    driver = (
        "int cuInit(unsigned flags) { return (int)flags; }\nint cuDeviceGetCount(int* n) { *n = 3; return 0; }\n"
        "double cuTensorMapEncodeTiled(double a, double b, double c, double d, int e, int f, int g, int h, int i,"
        " int j, int k) { return a + 10 * b + 100 * c + 1000 * d + e + f + g + h + i + j + 1e6 * k; }\n"
    )
    (tmp_path / "driver").mkdir()
    run(["gcc", "-shared", "-fPIC", "-xc", "-", "-o", tmp_path / "driver" / "libcuda.so.1"], stdin=driver)
    code = (
        "import ctypes\nlibrary = ctypes.CDLL('words/_C.so')\nlibrary.many.restype = ctypes.c_double\n"
        "library.text.restype = ctypes.c_char_p\nlibrary.many.argtypes = [ctypes.c_double] * 4\n"
        "print(library.device_count(), library.many(1, 2, 3, 4), library.text().decode())\n"
    )
    with_driver = run(
        [sys.executable, "-c", code], cwd=wheel.root, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path / "driver")}
    )
    assert with_driver.stdout == "3 7004342.0 no NVIDIA driver is on this machine\n"
    without = wheel.python(code.replace("library.many(1, 2, 3, 4)", "0"))
    assert without.output == "-100 0 no NVIDIA driver is on this machine\n"


LIBRARIES = {
    "cublas": ("cublas_v2.h", "cublasCreate_v2(nullptr)"),
    "cusolver": ("cusolverDn.h", "cusolverDnCreate(nullptr)"),
    "cusparse": ("cusparse.h", "cusparseCreate(nullptr)"),
    "cusparseLt": ("cusparseLt.h", "cusparseLtInit(nullptr)"),
    "cufft": ("cufft.h", "cufftDestroy(0)"),
    "curand": ("curand.h", "curandDestroyGenerator(nullptr)"),
    "nvrtc": ("nvrtc.h", "nvrtcVersion(nullptr, nullptr)"),
    "nvJitLink": ("nvJitLink.h", "nvJitLinkDestroy(nullptr)"),
    "cudnn": ("cudnn.h", "cudnnCreate(nullptr)"),
    "nccl": ("nccl.h", "ncclGetVersion(nullptr)"),
}
INCLUDED = (
    "curand_kernel.h",
    "cub/cub.cuh",
    "cusolverSp.h",
    "thrust/device_vector.h",
    "nvtx3/nvToolsExt.h",
    "cuda_fp16.h",
)


def test_each_library_of_cuda_links_and_comes_with_the_headers_that_its_own_include(
    tmp_path: Path, project_at: Callable[[Path], Project]
) -> None:
    """One extension for each library."""
    (tmp_path / "csrc").mkdir()
    tables = []
    for name, (header, call) in LIBRARIES.items():
        text = f'#include <{header}>\nextern "C" int value() {{ return static_cast<int>({call}); }}\n'
        (tmp_path / "csrc" / f"{name}.cpp").write_text(text)
        tables.append(
            f'[tool.gpuwheel.extensions."words.{name}"]\nmode = "nvcc"\nabi = "none"\n'
            f'sources = ["csrc/{name}.cpp"]\nlibraries = ["{name}"]\n'
        )
    text = "".join(f"#include <{header}>\n" for header in INCLUDED)
    (tmp_path / "csrc" / "headers.cu").write_text(f"{text}__global__ void kernel() {{}}\n")
    tables.append('[tool.gpuwheel.extensions."words.headers"]\nmode = "nvcc"\nabi = "none"\nsources = ["csrc/*.cu"]\n')
    head = PYPROJECT.partition("[tool.gpuwheel.extensions")[0]
    (tmp_path / "pyproject.toml").write_text(head + "".join(tables))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    folders = {"cudnn": "cudnn/lib", "nccl": "nccl/lib", "cusparseLt": "cusparselt/lib"}
    for name in LIBRARIES:
        dynamic = run(["readelf", "-d", wheel.root / "words" / f"{name}.so"]).stdout
        assert f"[lib{name}.so." in dynamic
        # And where later releases of those with a folder of their own are, which the requirement admits.
        places = dict.fromkeys((folders.get(name, "cu13/lib"), "cu13/lib"))
        assert f"[{':'.join(f'$ORIGIN/../nvidia/{place}' for place in places)}]" in dynamic
    assert any(line.startswith("nvidia-cudnn-cu13>=9.") for line in wheel.requirements)


@pytest.mark.parametrize(
    ("key", "said", "hint"),
    [
        ('libraries = ["caffe2"]', "names 'caffe2', which is of torch", "`abi` links what the extension needs"),
        ('libraries = ["c10"]', "names 'c10', which is of torch", "`abi` links what the extension needs"),
        ('link-flags = ["-lcuda"]', "link-flags links a library of CUDA (found '-lcuda')", 'libraries = ["cuda"]'),
        ('link-flags = ["-lnvrtc"]', "link-flags links a library of CUDA (found '-lnvrtc')", 'libraries = ["nvrtc"]'),
        ('link-flags = ["-Wl,-lcublas"]', "link-flags links a library of CUDA", 'libraries = ["cublas"]'),
        ('libraries = ["gromacs"]', "names 'gromacs', which gpuwheel does not pin", 'link-flags = ["-lgromacs"]'),
    ],
)
def test_a_library_in_a_key_that_does_not_link_it_is_sent_to_the_one_that_does(
    tmp_path: Path, project_at: Callable[[Path], Project], key: str, said: str, hint: str
) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text('extern "C" int value() { return 1; }\n')
    (tmp_path / "pyproject.toml").write_text(pyproject({"sources": ["csrc/a.cpp"]}) + key + "\n")
    result = project_at(tmp_path).build(tmp_path / "out")
    assert result.code in {4, 5}, result.output
    assert said in result.output
    assert hint in result.output
    assert "Configuring CMake" not in result.output


def test_headers_of_cusolver_bring_those_of_cublas(tmp_path: Path, project_at: Callable[[Path], Project]) -> None:
    (tmp_path / "csrc").mkdir()
    text = '#include <cusolverDn.h>\nextern "C" int value() { return static_cast<int>(cusolverDnCreate(nullptr)); }\n'
    (tmp_path / "csrc" / "a.cpp").write_text(text)
    (tmp_path / "pyproject.toml").write_text(pyproject({"sources": ["csrc/a.cpp"], "libraries": ["cusolver"]}))
    wheel = project_at(tmp_path).wheel(tmp_path / "out")
    assert "[libcusolver.so.12]" in run(["readelf", "-d", wheel.root / "words" / "_C.so"]).stdout
