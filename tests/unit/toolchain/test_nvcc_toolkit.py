"""Which CUDA toolkit is taken for nvcc, and which is refused before anything is compiled. The toolkits are folders of
text: what the real ones say of themselves is in their programs and headers.
"""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ToolchainError
from gpuwheel.model.pins import LibraryPin, NvccPin, contents_digest
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.host_versions import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit
from gpuwheel.toolchain.python_headers import find_python_headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from package_index import IndexServer, Log

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.model.toolchain import CudaToolchain

TABLES = load_tables()
PINNED, UNPINNED, CUDA_12 = (TABLES.cuda[MinorVersion.parse(text)] for text in ("13.0", "13.1", "12.8"))


def members(release: str, **other: str) -> dict[str, bytes]:
    """The parts of a toolkit by path; `other` gives some of them another release."""
    versions = dict.fromkeys(("nvcc", "ptxas", "nvvm", "cudafe", "cuda", "cudart"), release) | other

    def banner(part: str) -> bytes:
        return f"\0Cuda compilation tools, release {versions[part]}, V{versions[part]}.88\n".encode()

    def macro(name: str, part: str) -> bytes:
        major, minor = versions[part].split(".")
        return f"#define {name}   {int(major) * 1000 + int(minor) * 10}\n".encode()

    return {
        "bin/nvcc": banner("nvcc"),
        "bin/ptxas": banner("ptxas"),
        "bin/cudafe++": banner("cudafe"),
        "nvvm/bin/cicc": banner("nvvm"),
        "include/cuda.h": macro("CUDA_VERSION", "cuda"),
        "include/cuda_runtime_api.h": macro("CUDART_VERSION", "cudart"),
        "include/cuda_runtime.h": b"\n",
    }


def toolkit_in(root: Path, release: str, **other: str) -> Path:
    for path, data in members(release, **other).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / "bin" / "nvcc").chmod(0o755)
    return root


def find(row: CudaToolkit, context: Context, environ: Mapping[str, str], *roots: Path) -> CudaToolchain:
    asked = Context(context.cache, {**context.environ, "PATH": "/nowhere", **environ}, context.reporter)
    return find_cuda_toolkit(row, context=asked, system_roots=[str(root) for root in roots])


@pytest.fixture
def pinned(index: IndexServer) -> CudaToolkit:
    """13.0 as it comes from an index: two wheels, without permissions, lib64 and names for -l."""
    root = "nvidia/cu13/"
    compiler = {root + path: data for path, data in members("13.0").items() if not path.startswith("include/")}
    runtime = {root + path: data for path, data in members("13.0").items() if path.startswith("include/")}
    runtime |= {root + "lib/libcudart_static.a": b"!<arch>\n", root + "lib/libcudart.so.13": b"\x7fELF"}
    runtime |= {root + "lib/libnvvm.so.4": b"large"}
    pins = (
        NvccPin("nvidia-cuda-nvcc", "13.0.88", (index.publish("nvidia-cuda-nvcc", "13.0.88", compiler),)),
        NvccPin("nvidia-cuda-runtime", "13.0.96", (index.publish("nvidia-cuda-runtime", "13.0.96", runtime),)),
    )
    headers = {"cublasLt.h": b"// cublasLt\n"}
    wheel = index.publish(
        "nvidia-cublas", "13.1.1.3", {f"{root}include/{name}": data for name, data in headers.items()}
    )
    library = LibraryPin(
        *("nvidia-cublas", "13.1.1.3", (wheel,), f"{root}include/", ("cublasLt.h",), contents_digest(headers), 1),
        sonames=(("cublasLt", "libcublasLt.so.13"),),
    )
    return replace(PINNED, nvcc=pins, libraries=(library,))


def test_wheels_become_a_toolkit_that_nvcc_and_cmake_accept(pinned: CudaToolkit, context: Context, log: Log) -> None:
    found = find(pinned, context, {})
    assert found.found_via == "index, cached"
    assert os.access(found.nvcc, os.X_OK)
    assert os.access(found.root / "nvvm" / "bin" / "cicc", os.X_OK)
    assert (found.root / "lib64" / "libcudart.so").resolve().name == "libcudart.so.13"
    assert not list(found.root.rglob("libnvvm*"))
    assert found.pins == ("nvidia-cuda-nvcc==13.0.88", "nvidia-cuda-runtime==13.0.96")
    assert any("downloading nvcc of CUDA 13.0" in line for line in log.lines)
    again = find(pinned, context, {})
    assert (again.root, again.found_via) == (found.root, "cache")


def test_a_damaged_toolkit_in_the_cache_is_fetched_again(pinned: CudaToolkit, context: Context, log: Log) -> None:
    found = find(pinned, context, {})
    (found.root / "bin" / "ptxas").unlink()
    assert (find(pinned, context, {}).root / "bin" / "ptxas").is_file()
    assert any("damaged" in line for line in log.lines)


def test_a_pinned_toolkit_is_not_replaced_by_one_of_the_machine(
    pinned: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    near = toolkit_in(tmp_path / "cuda-13.0", "13.0")
    assert find(pinned, context, {"PATH": str(near / "bin"), "CONDA_PREFIX": str(near)}, near).pins


def test_a_library_is_headers_and_a_name(pinned: CudaToolkit, context: Context) -> None:
    asked = Context(context.cache, context.environ, context.reporter)
    (library,) = find_cuda_toolkit(pinned, context=asked, libraries=["cublasLt"]).libraries
    assert (library.soname, library.requirement) == ("libcublasLt.so.13", "nvidia-cublas>=13.1,<14")
    assert b"libcublasLt.so.13" in library.path.read_bytes()
    assert (library.include_dir / "cublasLt.h").is_file()
    with pytest.raises(ToolchainError, match="libraries names 'cublasLT'"):
        find_cuda_toolkit(pinned, context=asked, libraries=["cublasLT"])


def test_headers_of_a_library_come_where_a_source_includes_them(pinned: CudaToolkit, context: Context) -> None:
    assert [found.name for found in find_cuda_toolkit(pinned, context=context, includes=["cublasLt.h"]).libraries]
    assert not find_cuda_toolkit(pinned, context=context, includes=["vector"]).libraries


# --- For another CPU architecture -------------------------------------------------------------------------------------

OTHER = "aarch64" if platform.machine() == "x86_64" else "x86_64"
LIBRARIES = {f"lib/{name}": f"!<arch>\n{OTHER}".encode() for name in ("libcudart_static.a", "libcudadevrt.a")}


@pytest.fixture
def pinned_for_both(pinned: CudaToolkit, index: IndexServer) -> CudaToolkit:
    """With a wheel of libraries for another machine too."""
    nvcc, runtime = pinned.nvcc
    members = {f"nvidia/cu13/{path}": data for path, data in LIBRARIES.items()}
    members["nvidia/cu13/lib/libcudart.so.13"] = OTHER.encode()
    there = index.publish_for(OTHER, "nvidia-cuda-runtime", "13.0.96", members)
    return replace(pinned, nvcc=(nvcc, replace(runtime, files=(*runtime.files, there), linked=True)))


def test_libraries_of_the_other_machine_are_fetched_and_all_else_is_of_this_one(
    pinned_for_both: CudaToolkit, context: Context, log: Log
) -> None:
    native = find_cuda_toolkit(pinned_for_both, context=context)
    found = find_cuda_toolkit(pinned_for_both, context=context, machine=OTHER, libraries=["cublasLt", "cudart"])
    assert any(f"downloading libraries of CUDA 13.0 for {OTHER}" in line for line in log.lines)
    assert (found.machine, native.machine) == (OTHER, platform.machine())
    assert found.digest != native.digest
    for name in ("bin/nvcc", "bin/ptxas", "nvvm/bin/cicc", "include/cuda_runtime.h"):
        assert (found.root / name).samefile(native.root / name)
    for folder in ("lib", "lib64"):
        assert OTHER.encode() in (found.root / folder / "libcudart_static.a").read_bytes()
    cublas, runtime = sorted(found.libraries, key=lambda library: library.name)
    assert cublas.path.parent.name == OTHER
    assert (runtime.soname, runtime.path.read_bytes()) == ("libcudart.so.13", OTHER.encode())
    again = find_cuda_toolkit(pinned_for_both, context=context, machine=OTHER)
    assert again.root == found.root


def test_libraries_of_the_other_machine_that_are_damaged_are_fetched_again(
    pinned_for_both: CudaToolkit, context: Context, log: Log
) -> None:
    library = find_cuda_toolkit(pinned_for_both, context=context, machine=OTHER).root / "lib64" / "libcudart_static.a"
    library.resolve().unlink()
    find_cuda_toolkit(pinned_for_both, context=context, machine=OTHER)
    assert library.is_file()
    assert any("damaged" in line for line in log.lines)


def test_a_machine_that_no_wheel_is_for(pinned_for_both: CudaToolkit, context: Context) -> None:
    with pytest.raises(ToolchainError, match=r"nvidia-cuda-runtime==13.0.96 has no file for riscv64 \(found nvidia"):
        find_cuda_toolkit(pinned_for_both, context=context, machine="riscv64")


def test_a_toolkit_of_the_machine_has_libraries_for_another_one_or_says_which_package_has(
    context: Context, tmp_path: Path
) -> None:
    root = toolkit_in(tmp_path / "mine", "13.0")
    asked = Context(context.cache, {"PATH": "/nowhere", "CUDA_HOME": str(root)}, context.reporter)
    with pytest.raises(ToolchainError, match=rf"\(CUDA_HOME\) has no libraries for {OTHER} \(expected lib") as caught:
        find_cuda_toolkit(PINNED, context=asked, machine=OTHER)
    assert "cuda-cross-" in str(caught.value.hint)
    target = root / "targets" / {"aarch64": "sbsa-linux", "x86_64": "x86_64-linux"}[OTHER]
    for path, data in LIBRARIES.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
    found = find_cuda_toolkit(PINNED, context=asked, machine=OTHER)
    assert found.found_via == "CUDA_HOME"
    assert (found.root / "lib64" / "libcudart_static.a").samefile(target / "lib" / "libcudart_static.a")
    assert (found.root / "bin" / "nvcc").samefile(root / "bin" / "nvcc")
    with pytest.raises(
        ToolchainError, match=rf"has no library 'cublas' for {OTHER} \(libcublas.so is missing in .*target"
    ):
        find_cuda_toolkit(PINNED, context=asked, machine=OTHER, libraries=["cublas"])


def test_host_code_and_cuda_sources_are_for_one_machine(tmp_path: Path) -> None:
    shim = compiler_that_says(tmp_path, r"#define __GNUC__ 15\n", target=f"{OTHER}-linux-gnu")
    environ = {**os.environ, "CUDAHOSTCXX": str(shim)}
    with pytest.raises(ToolchainError, match=rf"CUDAHOSTCXX is not for the machine .*found {OTHER}, expected"):
        find_nvcc_host_compiler(environ, PINNED, TABLES.cuda)
    assert find_nvcc_host_compiler({**environ, "CXX": str(shim)}, PINNED, TABLES.cuda).machine == OTHER


def test_a_module_for_one_python_is_for_the_machine_of_that_python() -> None:
    with pytest.raises(ToolchainError, match=rf"compiled by that Python .*expected {OTHER}") as caught:
        find_python_headers(OTHER, limited=False)
    assert 'python = "abi3"' in str(caught.value.hint)
    assert find_python_headers(OTHER, limited=True) == find_python_headers(platform.machine(), limited=False)


# --- On the machine ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["CUDAToolkit_ROOT", "CUDA_HOME", "CUDA_PATH", "CUDACXX"])
def test_a_toolkit_that_the_environment_names_is_used(variable: str, context: Context, tmp_path: Path) -> None:
    root = toolkit_in(tmp_path / "mine", "13.0")
    found = find(PINNED, context, {variable: str(root / "bin" / "nvcc" if variable == "CUDACXX" else root)})
    assert (found.root, found.found_via, found.pins) == (root, variable, ())


def test_a_named_toolkit_of_another_release_is_an_error(context: Context, tmp_path: Path) -> None:
    root = toolkit_in(tmp_path / "mine", "13.1")
    with pytest.raises(ToolchainError, match=r"CUDA_HOME names CUDA 13.1 and the project asks for 13.0") as caught:
        find(PINNED, context, {"CUDA_HOME": str(root)})
    assert "-C gpuwheel.cuda=13.1" in str(caught.value.hint)


@pytest.mark.parametrize("part", ["ptxas", "nvvm", "cudafe", "cuda", "cudart"])
def test_a_toolkit_of_mixed_releases_is_refused(part: str, context: Context, tmp_path: Path) -> None:
    root = toolkit_in(tmp_path / "mixed", "13.0", **{part: "13.5"})
    with pytest.raises(ToolchainError, match=r"mixes releases \(found nvcc 13.0, .*13.5.*expected 13.0") as caught:
        find(PINNED, context, {"CUDA_HOME": str(root)})
    assert "cuda-toolkit[nvcc,cccl,cudart]==13.0.*" in str(caught.value.hint)


def test_crt_headers_of_another_release_are_told_by_the_installers_record(context: Context, tmp_path: Path) -> None:
    root = toolkit_in(tmp_path / "site-packages" / "nvidia" / "cu13", "13.0")
    (tmp_path / "site-packages" / "nvidia_cuda_crt-13.5.37.dist-info").mkdir()
    with pytest.raises(ToolchainError, match=r"mixes releases .*crt 13.5"):
        find(PINNED, context, {"CUDA_HOME": str(root)})


@pytest.mark.parametrize(("folder", "hint"), [("missing", "does not exist"), ("empty", "bin/nvcc")])
def test_a_folder_without_a_toolkit(folder: str, hint: str, context: Context, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ToolchainError, match=r"is not complete \(found nothing") as caught:
        find(PINNED, context, {"CUDA_HOME": str(tmp_path / folder)})
    assert hint in str(caught.value.hint)


def test_wheels_of_cuda_12_hold_parts_of_a_toolkit(context: Context, tmp_path: Path) -> None:
    root = toolkit_in(tmp_path / "wheels", "12.8")
    (root / "bin" / "nvcc").unlink()
    with pytest.raises(ToolchainError, match=r"not complete \(found ptxas 12.8, .*expected nvcc too"):
        find(CUDA_12, context, {"CUDA_HOME": str(root)})


def test_cuda_12_without_a_toolkit_names_the_ways_to_one(context: Context, tmp_path: Path) -> None:
    other = toolkit_in(tmp_path / "cuda", "12.6")
    with pytest.raises(ToolchainError, match=r"no package index has nvcc of CUDA 12.8.*found 12.6 in") as caught:
        find(CUDA_12, context, {}, tmp_path / "none", other)
    hint = str(caught.value.hint)
    assert all(way in hint for way in ("container", "conda install", "CUDA_HOME", 'mode = "embed"'))


def test_what_no_index_serves_is_found_on_the_machine_by_its_exact_release(context: Context, tmp_path: Path) -> None:
    conda, path, system = (toolkit_in(tmp_path / name, "12.8") for name in ("conda", "path", "system"))
    other = toolkit_in(tmp_path / "other", "12.9")
    on_path = {"PATH": str(path / "bin")}
    assert find(CUDA_12, context, {"CONDA_PREFIX": str(conda), **on_path}, system).found_via == "conda"
    assert find(CUDA_12, context, {"CONDA_PREFIX": str(other), **on_path}, system).found_via == "PATH"
    assert find(CUDA_12, context, {}, other, system).found_via == "system"


def test_a_toolkit_that_is_not_pinned_is_not_brought(context: Context) -> None:
    with pytest.raises(ToolchainError, match=r"does not pin nvcc of CUDA 13.1") as caught:
        find(UNPINNED, context, {})
    assert "CUDA_HOME" in str(caught.value.hint)


def compiler_that_says(folder: Path, macros: str, target: str = f"{platform.machine()}-linux-gnu") -> Path:
    shim = folder / "compiler"
    answers = f"*-dM*) printf '{macros}';; *--version*) echo 'shim 99';; *) echo {target};;"
    shim.write_text(f'#!/bin/sh\ncase "$*" in {answers} esac\n', encoding="utf-8")
    shim.chmod(0o755)
    return shim


@pytest.mark.parametrize(
    ("macros", "row", "message", "hint"),
    [
        (r"#define __GNUC__ 99\n", PINNED, "does not take gcc 99 .*up to 15", "CXX=g++-15"),
        (r"#define __GNUC__ 16\n", PINNED, "does not take gcc 16", 'cuda = "13.4", which takes gcc 16'),
        (r"#define __clang_major__ 99\n#define __GNUC__ 4\n", PINNED, "does not take clang 99", "CXX=clang++-20"),
        (r"#define OTHER 1\n", PINNED, "neither gcc nor clang", "CUDAHOSTCXX"),
    ],
)
@pytest.mark.parametrize("variable", ["CXX", "CUDAHOSTCXX"])
def test_a_host_compiler_outside_of_the_toolkits_range(
    variable: str, macros: str, row: CudaToolkit, message: str, hint: str, tmp_path: Path
) -> None:
    environ = {**os.environ, variable: str(compiler_that_says(tmp_path, macros))}
    with pytest.raises(ToolchainError, match=message) as caught:
        find_nvcc_host_compiler(environ, row, TABLES.cuda)
    assert hint in str(caught.value.hint)


def test_a_host_compiler_inside_of_the_range(tmp_path: Path) -> None:
    shim = compiler_that_says(tmp_path, r"#define __GNUC__ 15\n")
    host = find_nvcc_host_compiler({**os.environ, "CUDAHOSTCXX": str(shim)}, PINNED, TABLES.cuda)
    assert (host.path, host.found_via) == (shim, "CUDAHOSTCXX")
