"""A stand-in for torch that answers what a setup.py asks of it: versions, ABI, GPUs, folders."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from .cpp_extension import cpp_extension
from .stand_ins import answering, defining, find_defining

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .notes import Notes

__all__ = ["install_torch"]

# What packages import that a setup.py imports, to be defined and not to be asked.
_DEFINING = (
    *("_C._distributed_c10d", "_custom_ops", "_dynamo", "_functorch", "_higher_order_ops", "_inductor", "_library"),
    *("_ops", "_prims", "_refs", "_subclasses", "_tensor", "_utils", "amp", "ao", "autograd", "compiler", "cuda.amp"),
    *("cuda.graphs", "cuda.memory", "cuda.nvtx", "cuda.random", "cuda.streams", "distributed", "distributions"),
    *("export", "fft", "func", "functional", "futures", "fx", "hub", "jit", "library", "linalg", "masked"),
    *("multiprocessing", "nested", "nn", "onnx", "optim", "overrides", "package", "profiler", "quantization", "random"),
    *("serialization", "signal", "sparse", "special", "storage", "testing", "types", "utils._pytree"),
    *("utils._python_dispatch", "utils.benchmark", "utils.checkpoint", "utils.collect_env", "utils.data"),
    *("utils.dlpack", "utils.model_zoo", "utils.tensorboard", "utils.weak"),
)
_NAMES = (
    *("BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "Generator"),
    *("HalfTensor", "IntTensor", "LongTensor", "ScriptModule", "ShortTensor", "Size", "SymBool", "SymFloat", "SymInt"),
    *("Tensor", "TensorType", "as_tensor", "arange", "bfloat16", "bool", "cat", "channels_last", "classes", "compile"),
    *("complex128", "complex64", "device", "double", "dtype", "empty", "empty_like", "enable_grad", "float", "float16"),
    *("float32", "float64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "full", "half"),
    *("inference_mode", "int", "int16", "int32", "int64", "int8", "is_tensor", "layout", "long", "manual_seed"),
    *("memory_format", "no_grad", "ones", "ops", "rand", "randint", "randn", "set_grad_enabled", "short", "stack"),
    *("strided", "tensor", "uint16", "uint32", "uint64", "uint8", "zeros", "zeros_like", "get_default_dtype"),
)
_CUDA_NAMES = (
    *("BoolTensor", "CUDAGraph", "Device", "DoubleTensor", "Event", "FloatTensor", "HalfTensor", "OutOfMemoryError"),
    *("Stream", "StreamContext", "current_blas_handle", "current_stream", "default_stream", "device", "device_of"),
    *("empty_cache", "get_device", "graph", "ipc_collect", "max_memory_allocated", "mem_get_info", "memory_allocated"),
    *("set_device", "set_stream", "stream", "synchronize"),
)
# What those of them are asked on the way: nothing is traced, scripted or distributed in a setup.py.
_ANSWERS = {
    "compiler": {"is_compiling": False, "is_dynamo_compiling": False, "is_exporting": False},
    "distributed": {
        "is_available": True,
        "is_initialized": False,
        "is_nccl_available": True,
        "is_mpi_available": False,
    },
    "jit": {"is_scripting": False, "is_tracing": False},
    "onnx": {"is_in_onnx_export": False},
}
_OTHER_DEVICES = ("xpu", "mps", "mtia", "hpu", "accelerator", "cpu")
_CONFIG = """\
PyTorch built with:
  - GCC 13.3
  - C++ Version: 201703
  - OpenMP 201511 (a.k.a. OpenMP 4.5)
  - CUDA Runtime {cuda}
  - CuDNN 91.0.2
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release, CUDA_VERSION={cuda}, USE_CUDA=ON, USE_CUDNN=ON, USE_NCCL=1
"""


class TorchVersion(str):
    """Compares as a version with strings and tuples, as `torch.__version__` does."""

    __slots__ = ()

    def _key(self, other: object) -> tuple[Version, Version]:
        text = ".".join(map(str, other)) if isinstance(other, tuple) else str(other)
        return Version(str.__str__(self)), Version(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(Version(str.__str__(self)), name)  # `major`, `release` and others of packaging's

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


def install_torch(request: Mapping[str, Any], notes: Notes) -> None:
    """Put modules `torch` and those below it where `import` finds them first."""
    site, cuda = request["site"], request["toolkit"]
    version = TorchVersion(request["torch"])
    find_defining([f"torch.{name}" for name in _DEFINING], site)
    answering(
        *("torch", site, _NAMES),
        __version__=version,
        compiled_with_cxx11_abi=lambda: True,
        get_num_threads=lambda: os.cpu_count() or 1,
        set_num_threads=lambda _: None,
        _running_with_deploy=lambda: False,
    )
    for name, answers in _ANSWERS.items():
        defining(f"torch.{name}", site, **{each: _always(answer) for each, answer in answers.items()})
    for name, attributes in _facts(version, cuda, site).items():
        make = defining if name in _OTHER_DEVICES else answering
        make(f"torch.{name}", site, **attributes)
    _install_cuda(request, notes)
    answering("torch.utils", site, cmake_prefix_path=os.path.join(site, "torch", "share", "cmake"))
    answering("torch.utils.hipify", site)
    answering("torch.utils.hipify.hipify_python", site, hipify=lambda *_, **__: {})
    answering("torch.utils.cpp_extension", site, **cpp_extension(site, request["cuda"], notes))


def _always(answer: bool) -> Callable[..., bool]:  # noqa: FBT001 (it is the value)
    return lambda *_, **__: answer


def _facts(version: TorchVersion, cuda: str, site: str) -> dict[str, dict[str, Any]]:
    """Modules that only say how torch was built."""
    number = int(cuda.partition(".")[0]) * 1000 + int(cuda.partition(".")[2] or 0) * 10
    show = _CONFIG.format(cuda=cuda)

    def absent(**more: Any) -> dict[str, Any]:  # noqa: ANN401
        names = ("is_available", "is_built", "_is_compiled", "is_initialized")
        return {**{name: lambda *_: False for name in names}, "device_count": lambda: 0, **more}

    return {
        "version": {
            "__version__": version,
            "cuda": cuda,
            "hip": None,
            "rocm": None,
            "xpu": None,
            "debug": False,
            "git_version": "0" * 40,
        },
        "__config__": {"show": lambda: show, "parallel_info": lambda: "ATen parallel backend: OpenMP"},
        "_C": {
            "_GLIBCXX_USE_CXX11_ABI": True,
            "_PYBIND11_COMPILER_TYPE": "_gcc",
            "_PYBIND11_STDLIB": "_libstdcpp",
            "_PYBIND11_BUILD_ABI": "_cxxabi1016",
            "_cuda_getCompiledVersion": lambda: number,
            "_show_config": lambda: show,
            "_get_cxx_flags": lambda: "",
            "has_cuda": True,
            "has_openmp": True,
            "_cuda_getDeviceCount": lambda: 1,
            "_has_mkldnn": True,
            "__file__": os.path.join(site, "torch/_C.so"),
        },
        "torch_version": {"TorchVersion": TorchVersion, "__version__": version},
        "backends": {},
        "backends.cuda": {"is_built": lambda: True},
        "backends.cudnn": {"is_available": lambda: True, "version": lambda: 91002, "enabled": True},
        "backends.mkl": {"is_available": lambda: True},
        "backends.mkldnn": {"is_available": lambda: True},
        "backends.openmp": {"is_available": lambda: True},
        "backends.mps": absent(),
        **{name: absent() for name in _OTHER_DEVICES[:4]},
        "accelerator": absent(is_available=lambda: True, device_count=lambda: 1),
        "cpu": {"is_available": lambda: True, "_is_avx512_supported": lambda: False},
    }


def _install_cuda(request: Mapping[str, Any], notes: Notes) -> None:
    """`torch.cuda`, with one GPU."""
    major, minor = request["device"]

    def capability(*_: object, **__: object) -> tuple[int, int]:
        notes.add("asks", "get_device_capability")
        return major, minor

    def properties(*_: object, **__: object) -> SimpleNamespace:
        notes.add("asks", "get_device_properties")
        sizes = {"multi_processor_count": 132, "total_memory": 80 * 2**30, "warp_size": 32, "is_integrated": 0}
        return SimpleNamespace(name="NVIDIA GPU", major=major, minor=minor, gcnArchName="", **sizes)

    answering(
        *("torch.cuda", request["site"], _CUDA_NAMES),
        is_available=lambda: True,
        is_initialized=lambda: False,
        is_bf16_supported=lambda *_, **__: True,
        _is_compiled=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        init=lambda: None,
        get_arch_list=lambda: list(request["torch_archs"]),
        get_gencode_flags=lambda: "",
        get_device_capability=capability,
        get_device_properties=properties,
        get_device_name=lambda *_: "NVIDIA GPU",
    )
    answering("torch.cuda.nccl", request["site"], version=lambda: (2, 27, 5), is_available=lambda *_: True)
