"""Stand-ins for torch and for packages with headers: enough for what a setup.py asks of them."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from .setuptools_modules import Command, Extension

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .notes import Notes

__all__ = ["install_packages", "install_torch"]

_COMMON_NVCC_FLAGS = [  # torch/utils/cpp_extension.py in torch 2.15
    *("-D__CUDA_NO_HALF_OPERATORS__", "-D__CUDA_NO_HALF_CONVERSIONS__", "-D__CUDA_NO_BFLOAT16_CONVERSIONS__"),
    *("-D__CUDA_NO_HALF2_OPERATORS__", "--expt-relaxed-constexpr"),
]


class _TorchVersion(str):
    """Compares as a version with strings and tuples, as `torch.__version__` does."""

    __slots__ = ()

    def _key(self, other: object) -> tuple[Version, Version]:
        text = ".".join(map(str, other)) if isinstance(other, tuple) else str(other)
        return Version(str.__str__(self)), Version(text)

    def __lt__(self, other: object) -> bool:
        mine, theirs = self._key(other)
        return mine < theirs

    def __le__(self, other: object) -> bool:
        mine, theirs = self._key(other)
        return mine <= theirs

    def __gt__(self, other: object) -> bool:
        return not self <= other

    def __ge__(self, other: object) -> bool:
        return not self < other

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, str(other))

    def __hash__(self) -> int:
        return str.__hash__(self)


def _module(name: str, folder: str, **attributes: Any) -> ModuleType:  # noqa: ANN401
    """A module that is found by `import`, and says of itself that it is none where it lacks a name."""
    module = ModuleType(name, f"gpuwheel's stand-in for {name}")
    module.__path__ = [os.path.join(folder, *name.split("."))]
    module.__file__ = os.path.join(module.__path__[0], "__init__.py")
    module.__dict__.update(attributes)

    def missing(attribute: str) -> Any:  # noqa: ANN401
        msg = f"gpuwheel's stand-in for {name} has no {attribute}"
        raise AttributeError(msg)

    module.__dict__["__getattr__"] = missing
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, module)
    return module


class BuildExtension(Command):
    """The command of torch's that compiles; nothing is compiled here."""

    @classmethod
    def with_options(cls, **options: object) -> type[BuildExtension]:
        """The same, whatever the options: they say how to compile."""
        del options
        return cls


def _extension(kind: str) -> type[Extension]:
    """A function of torch's, as a class: a setup.py only calls it."""
    return type(kind, (Extension,), {})


def install_torch(request: Mapping[str, Any], notes: Notes) -> None:
    """Put modules `torch` and those below it where `import` finds them first."""
    site = request["site"]
    version = _TorchVersion(request["torch"])
    _module("torch", site, __version__=version, compiled_with_cxx11_abi=lambda: True)
    _module("torch.version", site, __version__=version, cuda=request["toolkit"], hip=None, xpu=None, debug=False)
    _module("torch.__config__", site, parallel_info=lambda: "ATen parallel backend: OpenMP", show=lambda: "")
    _module("torch._C", site, _GLIBCXX_USE_CXX11_ABI=True)
    _module("torch.torch_version", site, TorchVersion=_TorchVersion)
    _module("torch.backends", site)
    _module("torch.backends.cuda", site, is_built=lambda: True)
    _module("torch.backends.cudnn", site, is_available=lambda: True, version=lambda: 91002)
    _module("torch.backends.mps", site, is_available=lambda: False, is_built=lambda: False)
    _module("torch.xpu", site, is_available=lambda: False)
    _module("torch.utils", site, cmake_prefix_path=os.path.join(site, "torch", "share", "cmake"))
    _module("torch.utils.hipify", site)
    _module("torch.utils.hipify.hipify_python", site, hipify=_nothing)
    _install_cuda(request, notes)
    _install_cpp_extension(site, request["cuda"], notes)


def _nothing(*arguments: object, **keywords: object) -> list[str]:
    del arguments, keywords
    return []


def _install_cuda(request: Mapping[str, Any], notes: Notes) -> None:
    """`torch.cuda`, with one GPU."""

    def capability(*arguments: object) -> tuple[int, int]:
        del arguments
        notes.add("asks", "get_device_capability")
        major, minor = request["device"]
        return major, minor

    def properties(*arguments: object) -> SimpleNamespace:
        major, minor = capability(*arguments)
        return SimpleNamespace(name="NVIDIA GPU", major=major, minor=minor, multi_processor_count=1, total_memory=2**34)

    _module(
        *("torch.cuda", request["site"]),
        is_available=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        init=lambda: None,
        get_arch_list=lambda: list(request["torch_archs"]),
        get_device_capability=capability,
        get_device_properties=properties,
        get_device_name=lambda *_: "NVIDIA GPU",
    )


def _install_cpp_extension(site: str, cuda: str, notes: Notes) -> None:
    """`torch.utils.cpp_extension`, whose extensions only remember what they are given."""

    def load(*arguments: object, **keywords: object) -> None:
        del arguments, keywords
        notes.add("runs", "torch.utils.cpp_extension.load")

    include, library = os.path.join(site, "torch", "include"), os.path.join(site, "torch", "lib")
    _module(
        *("torch.utils.cpp_extension", site),
        CUDA_HOME=cuda,
        CUDNN_HOME=None,
        ROCM_HOME=None,
        HIP_HOME=None,
        SYCL_HOME=None,
        ROCM_VERSION=None,
        IS_HIP_EXTENSION=False,
        IS_WINDOWS=False,
        IS_MACOS=False,
        IS_LINUX=True,
        TORCH_LIB_PATH=library,
        COMMON_NVCC_FLAGS=list(_COMMON_NVCC_FLAGS),
        BuildExtension=BuildExtension,
        CUDAExtension=_extension("CUDAExtension"),
        CppExtension=_extension("CppExtension"),
        load=load,
        load_inline=load,
        include_paths=lambda *_, **__: [include, os.path.join(cuda, "include")],
        library_paths=lambda *_, **__: [library, os.path.join(cuda, "lib64")],
        is_ninja_available=lambda: True,
        verify_ninja_availability=lambda: None,
        get_default_build_root=lambda: site,
        _get_cuda_arch_flags=_nothing,
        _find_cuda_home=lambda: cuda,
        _join_cuda_home=lambda *parts: os.path.join(cuda, *parts),
    )


def install_packages(site: str, folders: Mapping[str, str]) -> None:
    """Stand in for packages that only say where their headers are, by `get_include()`."""

    def including(folder: str) -> Any:  # noqa: ANN401
        return lambda *_, **__: os.path.join(site, folder)

    for name, folder in folders.items():
        _module(name, site, get_include=including(folder), __version__="0")
    if "pybind11" in folders:
        _module(
            *("pybind11.setup_helpers", site),
            Pybind11Extension=_extension("Pybind11Extension"),
            build_ext=type("build_ext", (Command,), {}),
            intree_extensions=lambda *_: [],
        )
