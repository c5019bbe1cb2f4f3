"""The torch SDK: headers of the stable ABI cut out of a wheel on the index, and an empty library to link."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gpuwheel.model.pins import tree_digest
from gpuwheel.model.toolchain import TorchSdk
from gpuwheel.toolchain.platforms import probe_platform
from gpuwheel.toolchain.stub import MACHINES, stub_library

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.pins import TorchSdkPin
    from gpuwheel.toolchain.context import Context

__all__ = ["find_torch_sdk"]

_SONAME = "libtorch.so"


def find_torch_sdk(pin: TorchSdkPin, *, context: Context) -> TorchSdk:
    """The headers that `pin` names and an empty `libtorch.so` for each machine, from the cache or the index.

    Raises:
        NetworkError: the headers have to be downloaded and cannot, or are not the pinned ones.
        CacheError: the cache cannot be written.
    """
    cache = context.cache
    cached = cache.lookup("sdk", pin.digest)
    if cached is not None:
        if _is_whole(cached, pin):
            return _sdk(cached, pin, "cache")
        context.reporter.warn(f"{cached} is damaged: cutting the torch SDK again")
        cache.remove("sdk", pin.digest)

    # HTTP and its libraries are loaded here, and not by a build that finds everything in place.
    from gpuwheel.toolchain.provision import provision_headers  # noqa: PLC0415

    found_via = "cache"

    def fill(folder: Path) -> None:
        nonlocal found_via
        found_via = provision_headers(pin, folder / "include", context)
        for machine in MACHINES:
            library = folder / "lib" / machine / _SONAME
            library.parent.mkdir(parents=True)
            library.write_bytes(stub_library(_SONAME, machine))

    def on_wait() -> None:
        context.reporter.info("waiting for another build that is downloading the torch SDK")

    return _sdk(cache.publish_tree("sdk", pin.digest, fill, on_wait=on_wait), pin, found_via)


def _sdk(root: Path, pin: TorchSdkPin, found_via: str) -> TorchSdk:
    return TorchSdk(
        version=pin.version,
        include_dir=root / "include",
        library=root / "lib" / probe_platform().machine / _SONAME,
        digest=pin.digest,
        found_via=found_via,
    )


def _is_whole(root: Path, pin: TorchSdkPin) -> bool:
    include = root / "include"
    files = [path for path in include.rglob("*") if path.is_file()]
    if len(files) != pin.file_count or not all((root / "lib" / name / _SONAME).is_file() for name in MACHINES):
        return False
    digests = {path.relative_to(include).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return tree_digest(digests) == pin.digest
