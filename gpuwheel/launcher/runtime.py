"""What the launchers of this package are made of: images, kernels, streams, and registration with torch.

Copied by gpuwheel into packages with kernels: no dependency but torch, and cuda-core for the first launch. Launch state
is cached, so that a launch costs Python about as much as torch's own operators do.
"""

from __future__ import annotations

import ctypes
import functools
import math
import operator
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Dimensions", "Image", "Kernel", "Operators", "Variant", "address", "bfloat16", "device_of", "float16",
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "untyped_address",
]  # fmt: skip

Dimensions: TypeAlias = "int | tuple[int, ...]"
"""Of a grid, a block or a cluster: x, or up to (x, y, z)."""

_FOLDER = Path(__file__).resolve().parent
_PACKAGE = __name__.partition(".")[0]
_MOST_STREAMS = 1024
_UNSERVED = ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA_ERROR_NO_BINARY_FOR_GPU", "CUDA_ERROR_INVALID_IMAGE")

# What torch's own generated code calls; the public functions do the same in several times the time.
_raw_stream: Callable[[int], int] = getattr(
    torch._C,  # noqa: SLF001
    "_cuda_getCurrentRawStream",
    lambda device: torch.cuda.current_stream(device).cuda_stream,
)
_current_device: Callable[[], int] = getattr(torch._C, "_cuda_getDevice", torch.cuda.current_device)  # noqa: SLF001


class Variant(NamedTuple):
    """The images of one CUDA toolkit, as a part of a file beside this one."""

    file: str
    offset: int
    size: int
    driver: tuple[int, int]
    """Oldest CUDA version of a driver that loads them."""


class Image:
    """The machine code of some kernels for several architectures. Loaded at first use, once for all devices."""

    def __init__(self, title: str, targets: str, variants: tuple[Variant, ...]) -> None:
        """`variants`: the newest toolkit first; the driver decides which one is loaded."""
        self.title = title
        self.targets = targets
        self.loaded: Variant | None = None
        """What the driver was given."""
        self._variants = variants
        self._code: Any = None

    def kernel(self, symbol: str) -> Any:  # noqa: ANN401 (cuda.core's, which may be absent)
        """The handle of a kernel.

        Raises:
            RuntimeError: cuda-core is missing, the driver is too old for every variant, or this process was forked
                from one that has used CUDA.
        """
        with _driver_use.lock():
            self._code = self._code or self._load()
        return self._code.get_kernel(symbol)

    def _load(self) -> Any:  # noqa: ANN401
        core = _cuda_core()
        version = _driver_version()
        variant = next((variant for variant in self._variants if variant.driver <= version), None)
        if variant is None:
            oldest = ".".join(map(str, self._variants[-1].driver))
            found = ".".join(map(str, version))
            message = f"kernels of {self.title} need a driver for CUDA {oldest} or newer (this one is for CUDA {found})"
            raise RuntimeError(message)
        with (_FOLDER / variant.file).open("rb") as file:
            file.seek(variant.offset)
            code = core.ObjectCode.from_fatbin(file.read(variant.size), name=self.title)
        self.loaded = variant
        return code


class Kernel:
    """One kernel of an image. Any thread may launch it, on any device."""

    def __init__(self, image: Image, symbol: str, name: str) -> None:
        self.image = image
        self.symbol = symbol
        self.name = name
        self._handle: Any = None
        self._submit: Any = None  # cuda.core's launch, once the kernel is loaded
        self._shared_bytes: dict[int, int] = {}
        """Device -> most dynamic shared memory that was asked for."""

    def preload(self) -> None:
        """Load the kernel now, for example before a CUDA graph is captured: a capture must not load code."""
        if self._submit is None:
            _driver_use.begin()
            try:
                self._handle = self.image.kernel(self.symbol)
            except RuntimeError:
                raise  # ours, and says what to do
            except Exception as error:
                raise self._told(_current_device(), error) from error
            self._submit = _cuda_core().launch

    def launch(self, device: int, config: tuple[Any, ...], arguments: tuple[Any, ...]) -> None:
        """Launch on the current stream of torch on `device`.

        Args:
            device: index, or -1 for the current one.
            config: grid, block, bytes of dynamic shared memory, cluster, cooperative.
            arguments: a Python int for 8 bytes, else ctypes values, in the order of the kernel's parameters.

        Raises:
            RuntimeError: the driver refuses; it names kernel and device.
        """
        if self._submit is None or _driver_use.is_forked:
            _driver_use.begin()
        current = _current_device()
        if device in {current, -1}:
            self._launch(current, config, arguments)
        else:
            with torch.cuda.device(device):
                self._launch(device, config, arguments)

    def _launch(self, device: int, config: tuple[Any, ...], arguments: tuple[Any, ...]) -> None:
        if self._submit is None:
            _cuda_core().Device(device).set_current()  # a context for the driver
            self.preload()
        if config[2]:
            self._allow_shared_bytes(device, config[2])
        handle = _raw_stream(device)
        stream = _streams.get(handle) or _stream(handle)
        try:
            self._submit(stream, _launch_config(config), self._handle, *arguments)
        except Exception as error:
            if "CUDA_ERROR_INVALID_CONTEXT" in str(error):  # a thread that has not used CUDA yet
                _cuda_core().Device(device).set_current()
                self._submit(stream, _launch_config(config), self._handle, *arguments)
                return
            raise self._told(device, error) from error

    def _told(self, device: int, error: Exception) -> RuntimeError:
        """What the driver refused, and the way out where the image does not serve the device."""
        text = f"{self.name} on device {device}: {error} ({self.image.title} has {self.image.targets})"
        if any(word in str(error) for word in _UNSERVED):
            major, minor = torch.cuda.get_device_capability(device)
            driver = ".".join(map(str, _driver_version()))
            newer = "install a newer driver, which compiles its PTX, or " if _UNSERVED[0] in str(error) else ""
            text += f"; device {device} is sm_{major}{minor}, the driver supports CUDA {driver}: {newer}"
            text += f'install a release of {_PACKAGE} for this GPU, or build it with "{major}.{minor}" in `archs`'
        return RuntimeError(text)

    def _allow_shared_bytes(self, device: int, size: int) -> None:
        if self._shared_bytes.get(device, 0) >= size:
            return
        from cuda.bindings import driver  # noqa: PLC0415 (with cuda-core, at the first launch)

        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        handle, of = driver.CUkernel(int(self._handle.handle)), driver.CUdevice(device)
        with _driver_use.lock():  # the limit only grows: another thread may be about to launch with more
            status, allowed = driver.cuKernelGetAttribute(attribute, handle, of)
            if int(status) == 0 and allowed < size:  # by default 48 KB less the kernel's static shared memory
                (status,) = driver.cuKernelSetAttribute(attribute, size, handle, of)
                allowed = size
        if int(status) != 0:
            message = f"{self.name} on device {device}: {size} bytes of dynamic shared memory are too many ({status!r})"
            raise RuntimeError(message)
        self._shared_bytes[device] = allowed


# --- Arguments --------------------------------------------------------------------------------------------------------


def address(kernel: str, name: str, tensor: torch.Tensor | None, dtype: torch.dtype, device: int) -> int:
    """The address of a tensor's data; 0 for none.

    Raises:
        TypeError: another dtype than the kernel's parameter has.
        ValueError: the tensor is not on `device`.
    """
    if tensor is None:
        return 0
    if tensor.dtype is not dtype:
        message = f"{kernel}: {name} has dtype {tensor.dtype}, {dtype} is expected"
        raise TypeError(message)
    if tensor.get_device() != device:
        message = f"{kernel}: {name} is on {tensor.device}, cuda:{device} is expected"
        raise ValueError(message)
    return int(tensor.data_ptr())


def untyped_address(kernel: str, name: str, value: torch.Tensor | int | None, device: int) -> int:
    """The address of a tensor's data, of any dtype, or an address as it is.

    Raises:
        ValueError: the tensor is not on `device`.
    """
    if isinstance(value, torch.Tensor):
        return address(kernel, name, value, value.dtype, device)
    return operator.index(value or 0)


def device_of(kernel: str, *tensors: torch.Tensor | int | None) -> int:
    """The device of the first tensor; -1, the current one, if there is none.

    Raises:
        ValueError: the tensor is not on a CUDA device.
    """
    for tensor in tensors:
        if isinstance(tensor, torch.Tensor):
            if not tensor.is_cuda:
                message = f"{kernel}: a tensor is on {tensor.device}, a CUDA device is expected"
                raise ValueError(message)
            return int(tensor.get_device())
    return -1


def _integer(of: Callable[[int], Any], bits: int, *, signed: bool) -> Callable[[int], Any]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def convert(value: int) -> Any:  # noqa: ANN401 (a ctypes value)
        if not low <= value <= high:
            message = f"{value} does not fit the kernel's parameter ({low} to {high})"
            raise OverflowError(message)
        return of(operator.index(value))

    return convert


int8 = _integer(ctypes.c_int8, 8, signed=True)
int16 = _integer(ctypes.c_int16, 16, signed=True)
int32 = _integer(ctypes.c_int32, 32, signed=True)
int64 = _integer(int, 64, signed=True)  # cuda.core passes a Python int as 8 bytes
uint8 = _integer(ctypes.c_uint8, 8, signed=False)
uint16 = _integer(ctypes.c_uint16, 16, signed=False)
uint32 = _integer(ctypes.c_uint32, 32, signed=False)
uint64 = _integer(ctypes.c_uint64, 64, signed=False)
float32 = ctypes.c_float
float64 = ctypes.c_double


def _packed(letter: str, value: float) -> bytes:
    """A float in a `struct` format; what is too large becomes an infinity, as in C++."""
    try:
        return struct.pack(f"<{letter}", float(value))
    except OverflowError:
        return struct.pack(f"<{letter}", math.copysign(math.inf, value))


def float16(value: float) -> Any:  # noqa: ANN401 (a ctypes value)
    """The bits of the nearest half."""
    return ctypes.c_uint16(int.from_bytes(_packed("e", value), "little"))


def bfloat16(value: float) -> Any:  # noqa: ANN401 (a ctypes value)
    """The bits of the nearest bfloat16, ties to even."""
    bits = int.from_bytes(_packed("f", value), "little")
    return ctypes.c_uint16(bits + 0x7FFF + (bits >> 16 & 1) >> 16 if value == value else 0x7FC0)  # noqa: PLR0124 (NaN)


# --- Launch state -----------------------------------------------------------------------------------------------------


class _DriverUse:
    """Who is in the driver to load or change something: one thread at a time, and none of a forked process."""

    is_forked = False
    has_begun = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def lock(self) -> threading.Lock:
        """To be held meanwhile; an error where the parent process has used CUDA, or was just about to."""
        if self.is_forked:
            message = "CUDA_ERROR_NOT_INITIALIZED: CUDA was used before this process was forked: start it by 'spawn'"
            raise RuntimeError(message)
        return self._lock

    def begin(self) -> None:
        """Start CUDA: the driver loads nothing before."""
        with self.lock():
            torch.cuda.init()
            self.has_begun = True

    def _in_child(self) -> None:
        # A thread that held the lock is not here to release it, and the driver works for nobody.
        self.is_forked, self._lock = self.has_begun or self._lock.locked(), threading.Lock()


_driver_use = _DriverUse()


@functools.cache
def _cuda_core() -> Any:  # noqa: ANN401
    """cuda.core, which is imported by the first launch.

    Raises:
        RuntimeError: it, or the bindings that belong to the installed torch, are missing.
    """
    try:
        import cuda.core  # noqa: PLC0415 (only CUDA needs it)
    except ImportError as error:
        major = (torch.version.cuda or "13").partition(".")[0]
        message = f"kernels are launched by cuda-core, which cannot be imported: pip install 'cuda-core[cu{major}]'"
        raise RuntimeError(message) from error
    return cuda.core


def _driver_version() -> tuple[int, int]:
    """The newest CUDA version that the driver supports."""
    from cuda.bindings import driver  # noqa: PLC0415 (with cuda-core, at the first launch)

    status, number = driver.cuDriverGetVersion()
    if int(status) != 0:
        message = f"the CUDA driver does not answer ({status!r})"
        raise RuntimeError(message)
    version = int(number)
    return version // 1000, version % 1000 // 10


_streams: dict[int, Any] = {}


def _stream(handle: int) -> Any:  # noqa: ANN401
    """Keep cuda.core's object for a stream of torch."""
    if len(_streams) >= _MOST_STREAMS:  # streams of torch are few; those of others may come and go
        _streams.clear()
    return _streams.setdefault(handle, _cuda_core().Stream.from_handle(handle))


@functools.lru_cache(maxsize=4096)
def _launch_config(config: tuple[Any, ...]) -> Any:  # noqa: ANN401
    grid, block, shared_bytes, cluster, cooperative = config
    return _cuda_core().LaunchConfig(
        grid=grid, block=block, shmem_size=shared_bytes, cluster=cluster, is_cooperative=cooperative
    )


# --- Registration -----------------------------------------------------------------------------------------------------


class Operators:
    """Operators of one namespace of `torch.ops`, written in Python.

    Registered through `torch.library.Library`, whose dispatch costs a fraction of `torch.library.custom_op`'s.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._library = torch.library.Library(namespace, "FRAGMENT")

    def register(
        self,
        schema: str,
        *,
        cuda: Callable[..., Any],
        cpu: Callable[..., Any],
        fake: Callable[..., Any],
        backward: Callable[..., Any] | None = None,
        setup_context: Callable[..., Any] | None = None,
    ) -> Any:  # noqa: ANN401 (torch has no type for it)
        """Define an operator and everything that torch must know of it; gives `torch.ops.NAMESPACE.NAME`.

        Args:
            schema: for example `"scale(Tensor x, float factor) -> Tensor"`.
            cuda: runs for CUDA tensors; nothing of CUDA is imported before.
            cpu: runs for CPU tensors.
            fake: gives empty results of the right shape, dtype and strides (`torch.library.register_fake`).
            backward: gives the gradients (`torch.library.register_autograd`).
            setup_context: keeps what `backward` needs.

        """
        name = schema.partition("(")[0].strip()
        self._library.define(schema)
        self._library.impl(name, cuda, "CUDA")
        self._library.impl(name, cpu, "CPU")
        torch.library.register_fake(f"{self.namespace}::{name}", fake, lib=self._library)
        if backward is not None:
            torch.library.register_autograd(
                f"{self.namespace}::{name}", backward, setup_context=setup_context, lib=self._library
            )
        return getattr(getattr(torch.ops, self.namespace), name).default
