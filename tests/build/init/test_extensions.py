"""Extensions of setup.py files of different kinds, as tables of `[tool.gpuwheel]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from setup_projects import CLASSIC, KERNEL, OPERATORS, SIMPLE, STABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from setup_projects import Project


def test_a_simple_extension(project: Callable[..., Project]) -> None:
    document = project(SIMPLE).adopted()
    assert document == {
        "build-system": {"requires": ["gpuwheel"], "build-backend": "gpuwheel.backend"},
        "project": {"name": "ops", "version": "1.2", "requires-python": ">=3.10", "dynamic": ["dependencies"]},
        "tool": {
            "gpuwheel": {
                "dependencies": ["numpy>=1.20"],
                "extensions": {"ops._C": {"mode": "nvcc", "abi": "compat", "sources": ["csrc/ops.cpp", "csrc/ops.cu"]}},
            }
        },
    }


FLAGS = """\
import os
import torch
from setuptools import setup, find_packages
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

here = os.path.dirname(os.path.abspath(__file__))
setup(
    name="ops",
    version="1.2",
    packages=find_packages(exclude=["tests"]),
    python_requires=">=3.8",
    ext_modules=[
        CUDAExtension(
            "ops._C",
            ["csrc/ops.cpp", os.path.join(here, "csrc", "ops.cu")],
            include_dirs=[os.path.join(here, "csrc"), os.path.join(here, "third_party", "cutlass", "include")],
            libraries=["cublas", "cuda", "z"],
            define_macros=[("WITH_CUDA", None), ("WIDTH", "4")],
            extra_compile_args={
                "cxx": "-O3 -std=c++20 -DBOTH -DHOST -Wall -march=native -fopenmp -include cmath".split(),
                "nvcc": [
                    "-O3",
                    "-std=c++20",
                    "-DBOTH",
                    "-U__CUDA_NO_HALF_OPERATORS__",
                    "--expt-relaxed-constexpr",
                    "--use_fast_math",
                    "-Xcompiler",
                    "-Wextra",
                    "-Xptxas",
                    "--warn-on-spills",
                    "-lineinfo",
                    "--threads",
                    "4",
                    "-rdc=true",
                    "-gencode",
                    "arch=compute_80,code=sm_80",
                    "-gencode=arch=compute_90a,code=sm_90a",
                    "--generate-code=arch=compute_120,code=[sm_120,compute_120]",
                    "-gencode",
                    "arch=compute_70,code=sm_70",
                    "-gencode",
                    "arch=compute_100f,code=sm_100",
                ],
            },
            extra_link_args=["-s", "-lcublasLt", "-Wl,-z,defs", "-Wl,-rpath,/opt/lib"],
        )
    ],
    cmdclass={"build_ext": BuildExtension.with_options(use_ninja=True)},
)
"""


def test_each_option_goes_to_its_key(project: Callable[..., Project]) -> None:
    made = project(FLAGS)
    left = made.left()
    document = made.adopted()
    settings = document["tool"]["gpuwheel"]
    assert settings["archs"] == ["8.0", "9.0a", "10.0f", "12.0+PTX"]
    assert settings["extensions"]["ops._C"] == {
        "mode": "nvcc",
        "abi": "compat",
        "sources": ["csrc/ops.cpp", "csrc/ops.cu"],
        "include-dirs": ["csrc"],
        "defines": ["WITH_CUDA", "WIDTH=4", "BOTH"],
        "flags": ["-Wall", "-fopenmp", "-include", "cmath", "-DHOST"],
        "nvcc-flags": [
            "-U__CUDA_NO_HALF_OPERATORS__",
            "--use_fast_math",
            "-Xcompiler=-Wextra",
            "-Xptxas=--warn-on-spills",
        ],
        "link-flags": ["-Wl,-z,defs"],
        "std": "c++20",
        "rdc": True,
        "libraries": ["cublasLt", "cublas", "cuda"],
    }
    assert left == {
        "python_requires >=3.8": "setup.py:11",
        "third_party/cutlass/include": "setup.py:13",
        "library z of ops._C": "setup.py:17",
        "-march=native": "setup.py:20",
        "-lineinfo": "setup.py:32",
        "architecture 7.0": "setup.py:41",
        "-Wl,-rpath,/opt/lib": "setup.py:46",
    }


GLOBS = """\
import glob, os, os.path as osp
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, CppExtension, BuildExtension
from torch.utils.cpp_extension import CUDA_HOME

sources = glob.glob(osp.join("csrc", "*.cpp"))
make = CppExtension
if CUDA_HOME is not None or os.getenv("FORCE_CUDA"):
    make = CUDAExtension
    sources += glob.glob(osp.join("csrc", "cuda", "*.cu"))
setup(name="ops", version="1", ext_modules=[make("ops._C", sources)], cmdclass={"build_ext": BuildExtension})
"""


def test_sources_by_glob_include_those_of_cuda(project: Callable[..., Project]) -> None:
    made = project(GLOBS, **{"csrc/b.cpp": OPERATORS, "csrc/a.cpp": "", "csrc/cuda/k.cu": KERNEL})
    (table,) = made.adopted()["tool"]["gpuwheel"]["extensions"].values()
    assert table == {"mode": "nvcc", "abi": "compat", "sources": ["csrc/a.cpp", "csrc/b.cpp", "csrc/cuda/k.cu"]}


MACHINE = """\
import os, subprocess, torch
from packaging.version import parse
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension, CUDA_HOME

raw = subprocess.check_output([CUDA_HOME + "/bin/nvcc", "-V"], universal_newlines=True).split()
release = parse(raw[raw.index("release") + 1].split(",")[0])
if torch.version.hip or release < parse("11.6") or parse(torch.version.cuda) < parse("12.0"):
    raise RuntimeError("not supported")
if not torch.__version__ >= "2.10" or not torch.cuda.is_available():
    raise RuntimeError("not supported")
major, minor = torch.cuda.get_device_capability()
flags = ["-arch=sm_%d%d" % (major, minor)]
setup(
    name="ops", version="1+cu130", packages=["ops"],
    ext_modules=[CUDAExtension("ops._C", ["csrc/ops.cpp", "csrc/ops.cu"], extra_compile_args={"nvcc": flags})],
    cmdclass={"build_ext": BuildExtension},
)
"""


def test_what_depends_on_the_machine_sees_one_and_leaves_no_trace(project: Callable[..., Project]) -> None:
    made = project(MACHINE)
    left = made.left()
    document = made.adopted()
    assert document["project"]["version"] == "1"
    assert "archs" not in document["tool"]["gpuwheel"]
    assert left == {
        "ROCm": "setup.py:8",
        "compiles for the GPU of the machine": "setup.py:12",
        "version +cu130": "setup.py:15",
    }


SEVERAL = """\
import os, pybind11
from setuptools import Extension, setup
from torch.utils.cpp_extension import CUDAExtension, BuildExtension, include_paths

os.environ["TORCH_CUDA_ARCH_LIST"] = "8.0 9.0+PTX"
setup(
    name="my-ops",
    version="1",
    package_dir={"": "src"},
    packages=["ops", "ops.sub", "tools"],
    ext_modules=[
        CUDAExtension("ops._stable", ["csrc/stable.cpp", "csrc/k.cu"], py_limited_api=True, dlink=True),
        CUDAExtension(
            "ops._hopper",
            ["csrc/hopper.cu"],
            extra_compile_args={"nvcc": ["-gencode", "arch=compute_90a,code=sm_90a"]},
        ),
        Extension("tools._pure", ["csrc/pure.cpp"], include_dirs=[pybind11.get_include(), *include_paths()]),
        Extension("tools._cython", ["csrc/x.pyx"]),
    ],
    cmdclass={"build_ext": BuildExtension},
)
"""


def test_several_extensions_each_with_its_own_interface(project: Callable[..., Project]) -> None:
    made = project(
        SEVERAL,
        **{
            "csrc/stable.cpp": '#include "module.h"\n' + STABLE,
            "csrc/module.h": "#include <Python.h>\nPyMODINIT_FUNC PyInit__stable(void);\n",
            "csrc/k.cu": KERNEL,
            "csrc/hopper.cu": KERNEL,
            "csrc/pure.cpp": "#include <pybind11/pybind11.h>\nPYBIND11_MODULE(_pure, m) {}\n",
            "csrc/x.pyx": "",
            "src/ops/__init__.py": "",
            "src/ops/sub/__init__.py": "",
            "src/tools/__init__.py": "",
        },
    )
    left = made.left()
    document = made.adopted()
    assert document["build-system"]["requires"] == ["gpuwheel", "pybind11"]
    assert document["tool"]["scikit-build"] == {"wheel": {"packages": ["src/ops", "src/tools"]}}
    settings = document["tool"]["gpuwheel"]
    assert settings["archs"] == ["8.0", "9.0+PTX"]
    assert settings["sources"] == {"csrc/hopper.cu": {"archs": ["9.0a"]}}
    assert settings["extensions"] == {
        "ops._hopper": {
            "mode": "nvcc",
            "abi": "none",
            "sources": ["csrc/hopper.cu"],
            "nvcc-flags": ["--expt-relaxed-constexpr"],
        },
        "ops._stable": {
            "mode": "nvcc",
            "python": "abi3",
            "sources": ["csrc/k.cu", "csrc/stable.cpp"],
            "nvcc-flags": ["--expt-relaxed-constexpr"],
            "rdc": True,
        },
        "tools._pure": {
            "mode": "nvcc",
            "abi": "none",
            "python": "version",
            "sources": ["csrc/pure.cpp"],
            "include-packages": ["pybind11/pybind11/include"],
        },
    }
    assert left == {"csrc/x.pyx": "setup.py:19", "tools._cython": "setup.py:19"}


@pytest.mark.parametrize(
    ("asked", "torch"),
    [("torch", None), ("torch>=2.12", ">=2.12"), ("torch>=2.4", None)],
)
def test_the_stable_abi_takes_the_floor_of_the_project(
    project: Callable[..., Project], asked: str, torch: str | None
) -> None:
    made = project(
        SIMPLE.replace('"torch"', f'"{asked}"'),
        **{"csrc/ops.cpp": STABLE, "csrc/ops.cu": KERNEL, "ops/__init__.py": ""},
    )
    assert made.adopted()["tool"]["gpuwheel"].get("torch") == torch


@pytest.mark.parametrize(
    ("asked", "torch", "left"),
    [
        ("torch==2.13.*", "==2.13.*", set()),
        ("torch<2.13", "==2.12.*", set()),
        ("torch==2.4", "==2.14.*", {"torch==2.4"}),
    ],
)
def test_the_cpp_abi_takes_the_newest_torch_that_the_project_allows(
    project: Callable[..., Project], asked: str, torch: str, left: set[str]
) -> None:
    made = project(SIMPLE.replace('"torch"', f'"{asked}"'))
    assert set(made.left()) == left
    assert made.adopted()["tool"]["gpuwheel"]["torch"] == torch


@pytest.mark.parametrize(
    ("code", "what", "advice"),
    [
        ("py::class_<Counter> made;\n", "py::class_", "types of Python are made with Python's C API"),
        ("auto& d = c10::Dispatcher::singleton();\n", "c10::Dispatcher", "torch_call_dispatcher"),
    ],
)
def test_a_line_that_no_header_covers_keeps_the_cpp_abi_and_is_listed(
    project: Callable[..., Project], code: str, what: str, advice: str
) -> None:
    made = project(SIMPLE, **{"csrc/ops.cpp": CLASSIC + code, "csrc/ops.cu": KERNEL, "ops/__init__.py": ""})
    (row,) = (row for row in made.report()["left"] if row["what"] == what)
    assert row["place"] == "csrc/ops.cpp:3"
    assert row["advice"].startswith("a wheel for each torch and Python, for abi")
    assert advice in row["advice"]
    settings = made.adopted()["tool"]["gpuwheel"]
    assert (settings["torch"], settings["extensions"]["ops._C"]["abi"]) == ("==2.14.*", "exact")
    assert settings["extensions"]["ops._C"]["python"] == "version"


@pytest.mark.parametrize(("macros", "abi"), [("", "compat"), (', define_macros=[("WITH_CLASSES", None)]', "exact")])
def test_macros_of_setup_py_decide_which_lines_count(project: Callable[..., Project], macros: str, abi: str) -> None:
    source = f"{CLASSIC}#ifdef WITH_CLASSES\npy::class_<Counter> made;\n#endif\n"
    files = {"csrc/ops.cpp": source, "csrc/ops.cu": KERNEL, "ops/__init__.py": ""}
    made = project(SIMPLE.replace('"csrc/ops.cu"]', f'"csrc/ops.cu"]{macros}'), **files)
    assert made.adopted()["tool"]["gpuwheel"]["extensions"]["ops._C"]["abi"] == abi


def test_sources_beside_python_files_stay_out_of_the_wheel(project: Callable[..., Project]) -> None:
    made = project(SIMPLE.replace("csrc/", "ops/csrc/"), **{"ops/csrc/ops.cpp": CLASSIC, "ops/csrc/ops.cu": KERNEL})
    made.write("ops/__init__.py", "")
    assert made.adopted()["tool"]["scikit-build"]["wheel"]["exclude"] == ["*.cpp", "*.cu"]
