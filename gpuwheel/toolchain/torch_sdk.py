"""The torch SDK: headers of the stable ABI cut out of a wheel on the index, and an empty library to link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.model.toolchain import TorchSdk
from gpuwheel.toolchain.headers import find_headers
from gpuwheel.toolchain.platforms import probe_platform
from gpuwheel.toolchain.stub import MACHINES, stub_library

if TYPE_CHECKING:
    from gpuwheel.model.pins import HeadersPin
    from gpuwheel.toolchain.context import Context

__all__ = ["find_torch_sdk"]

_SONAME = "libtorch.so"


def find_torch_sdk(pin: HeadersPin, *, context: Context) -> TorchSdk:
    """The headers that `pin` names and an empty `libtorch.so` for each machine, from the cache or the index.

    Raises:
        NetworkError: the headers have to be downloaded and cannot, or are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    libraries = {machine: f"lib/{machine}/{_SONAME}" for machine in MACHINES}
    stubs = {path: stub_library(_SONAME, machine) for machine, path in libraries.items()}
    headers = find_headers(pin, context=context, beside=stubs)
    return TorchSdk(
        version=pin.version,
        include_dir=headers.include_dir,
        library=headers.root / libraries[probe_platform().machine],
        digest=pin.digest,
        found_via=headers.found_via,
    )
