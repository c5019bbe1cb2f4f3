"""What stands in for `torch.utils.cpp_extension`: its extensions only remember what they are given."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from .setuptools_modules import Command, Extension

if TYPE_CHECKING:
    from .notes import Notes

__all__ = ["cpp_extension"]

# torch/utils/cpp_extension.py in torch 2.15
_COMMON_NVCC_FLAGS = (
    *("-D__CUDA_NO_HALF_OPERATORS__", "-D__CUDA_NO_HALF_CONVERSIONS__", "-D__CUDA_NO_BFLOAT16_CONVERSIONS__"),
    *("-D__CUDA_NO_HALF2_OPERATORS__", "--expt-relaxed-constexpr"),
)
_COMMON_HIP_FLAGS = ("-D__HIP_PLATFORM_AMD__=1", "-DUSE_ROCM=1", "-DHIPBLAS_V2")
_COMMON_HIPCC_FLAGS = ("-DCUDA_HAS_FP16=1", "-D__HIP_NO_HALF_OPERATORS__=1", "-D__HIP_NO_HALF_CONVERSIONS__=1")
_WARNINGS = (
    "WRONG_COMPILER_WARNING",
    "ABI_INCOMPATIBILITY_WARNING",
    "CUDA_MISMATCH_MESSAGE",
    "CUDA_MISMATCH_WARN",
    "CUDA_NOT_FOUND_MESSAGE",
)
_COMPILES = ("load", "load_inline", "_jit_compile", "_run_ninja_build", "_write_ninja_file_and_build_library")
_SILENT = (
    *("_write_ninja_file", "_write_ninja_file_and_compile_objects", "_write_ninja_file_to_build_library"),
    *("_maybe_write", "_check_cuda_version", "remove_extension_h_precompiler_headers", "verify_ninja_availability"),
    *("_set_hipcc_runtime_lib", "_import_module_from_library"),
)


class _Options(Command):
    """The command of torch's that compiles; nothing is compiled here."""

    @classmethod
    def with_options(cls, **options: object) -> type[_Options]:
        """This build command, with its options to be read."""
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "with_options_given": options}
        return type(cls.__name__, (cls,), names)


BuildExtension = type("BuildExtension", (_Options,), {"__module__": _Options.__module__})


def _extension_kind(kind: str) -> type[Extension]:
    """A function of torch's, as a class: a setup.py only calls it."""
    return type(kind, (Extension,), {"__module__": Extension.__module__})


def cpp_extension(site: str, cuda: str, notes: Notes) -> dict[str, Any]:
    """Names of the module.

    Args:
        site: the folder that stands for site-packages.
        cuda: the one that stands for the toolkit.
        notes: where it is written down if something would be compiled at once.
    """
    torch = os.path.join(site, "torch")

    def compiles(name: str) -> Any:  # noqa: ANN401
        def compile_now(*_: object, **__: object) -> None:
            notes.add("runs", f"torch.utils.cpp_extension.{name}")

        return compile_now

    return {
        **_constants(torch, cuda),
        **_questions(torch, cuda),
        **{name: compiles(name) for name in _COMPILES},
        **{name: lambda *_, **__: None for name in _SILENT},
        "BuildExtension": BuildExtension,
        **{name: _extension_kind(name) for name in ("CUDAExtension", "CppExtension", "SyclExtension")},
    }


def _constants(torch: str, cuda: str) -> dict[str, Any]:
    return {
        "CUDA_HOME": cuda,
        "CUDNN_HOME": None,
        "ROCM_HOME": None,
        "HIP_HOME": None,
        "SYCL_HOME": None,
        "ROCM_VERSION": None,
        "IS_HIP_EXTENSION": False,
        "IS_WINDOWS": False,
        "IS_MACOS": False,
        "IS_LINUX": True,
        "LIB_EXT": ".so",
        "EXEC_EXT": "",
        "CLIB_PREFIX": "lib",
        "CLIB_EXT": ".so",
        "SHARED_FLAG": "-shared",
        "_TORCH_PATH": torch,
        "TORCH_LIB_PATH": os.path.join(torch, "lib"),
        "WINDOWS_CUDA_HOME": None,
        "min_supported_cpython": "0x030A0000",
        "SUBPROCESS_DECODE_ARGS": (),
        "MINIMUM_GCC_VERSION": (5, 0, 0),
        "MINIMUM_CLANG_VERSION": (3, 3, 0),
        "MINIMUM_MSVC_VERSION": (19, 0, 24215),
        "CUDA_GCC_VERSIONS": {},
        "CUDA_CLANG_VERSIONS": {},
        "COMMON_NVCC_FLAGS": [*_COMMON_NVCC_FLAGS],
        "COMMON_HIP_FLAGS": ["-fPIC", *_COMMON_HIP_FLAGS],
        "COMMON_HIPCC_FLAGS": [*_COMMON_HIPCC_FLAGS],
        "COMMON_MSVC_FLAGS": [],
        "MSVC_IGNORE_CUDAFE_WARNINGS": [],
        "_COMMON_SYCL_FLAGS": [],
        "_SYCL_DLINK_FLAGS": [],
        "PLAT_TO_VCVARS": {},
        **dict.fromkeys(_WARNINGS, ""),
    }


def _questions(torch: str, cuda: str) -> dict[str, Any]:
    include, library = os.path.join(torch, "include"), os.path.join(torch, "lib")
    api = os.path.join(include, "torch", "csrc", "api", "include")

    def build_directory(name: str, verbose: bool = False) -> str:  # noqa: FBT001, FBT002
        del verbose
        return os.path.join(os.path.expanduser("~"), ".cache", "torch_extensions", name)

    return {
        "include_paths": lambda *_, **__: [include, api, os.path.join(cuda, "include")],
        "library_paths": lambda *_, **__: [library, os.path.join(cuda, "lib64")],
        "is_ninja_available": lambda: True,
        "get_default_build_root": lambda: build_directory(""),
        "get_cxx_compiler": lambda: os.environ.get("CXX", "c++"),
        "check_compiler_ok_for_platform": lambda *_: True,
        "check_compiler_is_gcc": lambda *_: True,
        "get_compiler_abi_compatibility_and_version": lambda *_: (True, "13.3.0"),
        "_accepted_compilers_for_platform": lambda: ["g++", "gcc", "gnu-c++", "gnu-cc", "clang++", "clang"],
        "_is_binary_build": lambda: True,
        "_is_cuda_file": lambda path: os.path.splitext(path)[1] in {".cu", ".cuh"},
        "_is_sycl_file": lambda _: False,
        "_find_cuda_home": lambda: cuda,
        "_find_rocm_home": lambda: None,
        "_find_sycl_home": lambda: None,
        "_join_cuda_home": lambda *parts: os.path.join(cuda, *parts),
        "_join_rocm_home": lambda *parts: os.path.join("/opt/rocm", *parts),
        "_join_sycl_home": lambda *parts: os.path.join("/opt/intel", *parts),
        "_get_hipcc_path": lambda: shutil.which("hipcc") or "hipcc",
        "_get_build_directory": build_directory,
        "_get_num_workers": lambda *_: (
            int(os.environ["MAX_JOBS"]) if os.environ.get("MAX_JOBS", "").isdigit() else None
        ),
        "_get_pybind11_abi_build_flags": list,
        "_get_cuda_arch_flags": lambda *_: [],
        "_get_rocm_arch_flags": lambda *_: [],
        "_prepare_ldflags": lambda flags, *_, **__: [*(flags or ())],
        "_get_exec_path": lambda name, path: os.path.join(path, name),
        "_nt_quote_args": lambda args: [*(args or ())],
        "_wrap_compiler": lambda compiler: [compiler] if isinstance(compiler, str) else compiler,
        "_shell_join": " ".join,
    }
