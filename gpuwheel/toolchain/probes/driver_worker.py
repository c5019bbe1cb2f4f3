"""What the CUDA driver says of itself and its devices, as one JSON object on standard output.

Run as a script, in a process of its own: a driver may crash or hang, starts threads, and decides at its first call
which devices a process sees. It asks libcuda itself, which is there wherever kernels can run; cuda-python seldom is.
"""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path
from typing import Any

__all__ = ["report"]

_LIBRARY = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NAME_LENGTH = 256
_RELEASE = re.compile(r"\d{3,}\.\d+(?:\.\d+)?")
_KERNEL_MODULE = (Path("/sys/module/nvidia/version"), Path("/proc/driver/nvidia/version"))


def report() -> dict[str, Any]:
    """`library` (null: none), `release`, `kernel`, `cuda` (as 13000), `devices`, `problem` (null: none)."""
    found: dict[str, Any] = {"library": None, "release": None, "cuda": None, "devices": [], "problem": None}
    # Whatever the library says: in a container the two may be of different releases, which is then the problem.
    found["kernel"] = _kernel_release()
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        # dlopen has no code for "not there": a library that is there and broken has another text.
        missing = f"{_LIBRARY}: cannot open shared object file" in str(error)
        found["problem"] = None if missing else str(error)
        return found
    found["library"] = _path_of_library()
    found["release"] = _release_in(Path(found["library"]).resolve().name)
    try:
        found["cuda"] = _integer(cuda, "cuDriverGetVersion")
        _check(cuda, cuda.cuInit(0))
        found["devices"] = [_device(cuda, index) for index in range(_integer(cuda, "cuDeviceGetCount"))]
    except RuntimeError as error:
        found["problem"] = str(error)
    return found


def _check(cuda: ctypes.CDLL, status: int) -> None:
    if status:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        msg = f"{(text.value or b'unknown error').decode()} (CUDA error {status})"
        raise RuntimeError(msg)


def _integer(cuda: ctypes.CDLL, function: str, *arguments: int) -> int:
    """What a function writes into its first argument."""
    value = ctypes.c_int()
    _check(cuda, getattr(cuda, function)(ctypes.byref(value), *arguments))
    return value.value


def _device(cuda: ctypes.CDLL, index: int) -> dict[str, Any]:
    device = _integer(cuda, "cuDeviceGet", index)
    name = ctypes.create_string_buffer(_NAME_LENGTH)
    _check(cuda, cuda.cuDeviceGetName(name, _NAME_LENGTH, device))
    memory = ctypes.c_size_t()
    # _v2: the plain name in the library is the old one with 32 bits; cuda.h renames it.
    _check(cuda, cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    major, minor = (_integer(cuda, "cuDeviceGetAttribute", attribute, device) for attribute in (_MAJOR, _MINOR))
    return {"name": name.value.decode(errors="replace"), "arch": f"{major}.{minor}", "memory": memory.value}


def _path_of_library() -> str:
    """Where the loader found it."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    paths = (line.split(maxsplit=5)[-1] for line in maps.splitlines() if "libcuda.so" in line)
    return next(paths, _LIBRARY)


def _kernel_release() -> str | None:
    path = next((path for path in _KERNEL_MODULE if path.exists()), None)
    return _release_in(path.read_text(encoding="utf-8", errors="replace")) if path else None


def _release_in(text: str) -> str | None:
    match = _RELEASE.search(text)
    return match[0] if match else None


if __name__ == "__main__":
    print(json.dumps(report()))  # noqa: T201  # the answer to the process that started this one
