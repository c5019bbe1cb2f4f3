"""The torch SDK: headers of the stable ABI cut out of a wheel on the index, and an empty library to link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.binary.elf import MACHINES
from gpuwheel.binary.stub import stub_library
from gpuwheel.model.toolchain import TorchSdk
from gpuwheel.toolchain.headers import find_headers
from gpuwheel.toolchain.linking.kept_stubs import keep_stubs
from gpuwheel.toolchain.probes.machine import probe_platform

if TYPE_CHECKING:
    from gpuwheel.index.context import Context
    from gpuwheel.model.pins import HeadersPin

__all__ = ["find_torch_sdk"]

_SONAME, _PYTHON_SONAME = "libtorch.so", "libtorch_python.so"


def find_torch_sdk(pin: HeadersPin, *, context: Context, classic: bool = False, machine: str | None = None) -> TorchSdk:
    """The headers that `pin` names and an empty `libtorch.so` for each machine, from the cache or the index.

    Args:
        pin: of the stable headers, or of the classic ones of one release.
        context: cache, environment, reporter.
        classic: whether there is to be a `libtorch_python.so` too, for modules that take at::Tensor from Python.
        machine: the CPU architecture to link for; without it, that of this machine.

    Raises:
        NetworkError: the headers have to be downloaded and cannot, or are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    sonames = (_SONAME, _PYTHON_SONAME) if classic else (_SONAME,)
    # For every machine at once: a folder of a few kilobytes, with one key.
    stubs = {f"lib/{machine}/{name}": stub_library(name, machine) for machine in MACHINES for name in sonames}
    headers = find_headers(pin, context=context)
    folder = keep_stubs(stubs, context) / "lib" / (machine or probe_platform().machine)
    return TorchSdk(
        version=pin.version,
        include_dir=headers.include_dir,
        library=folder / _SONAME,
        digest=pin.digest,
        found_via=headers.found_via,
        python_library=folder / _PYTHON_SONAME if classic else None,
    )
