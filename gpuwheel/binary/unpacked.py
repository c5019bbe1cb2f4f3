"""Device code as a driver sees it: unpacked from what fatbins compress it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel._limits import UNPACKED_IMAGE
from gpuwheel.binary.lz4_block import lz4_block
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from gpuwheel.binary.fatbin import Image

__all__ = ["unpacked_image"]


def unpacked_image(image: Image, subject: str) -> bytes:
    """The bytes of an image before compression, while the file that holds it is open.

    Raises:
        AuditError: it is damaged, too large, or compressed by something that this Python cannot unpack.
    """
    if image.payload is None:
        msg = f"{subject} is not at hand"
        raise AuditError(msg)
    if image.raw_size > UNPACKED_IMAGE.value:
        msg = f"{subject} is too large ({UNPACKED_IMAGE.passed(f'{image.raw_size:,} bytes')})"
        raise AuditError(msg)
    data = bytes(image.payload)
    with reading(f"{subject} cannot be unpacked", f"{image.codec} as nvcc writes it"):
        if image.codec == "none":
            return data
        if image.codec == "LZ4":
            return lz4_block(data, image.raw_size)
        if image.codec == "zstd":
            return _zstd(data, image.raw_size, subject)
        msg = f"codec {image.codec}"
        raise ValueError(msg)


def _zstd(data: bytes, size: int, subject: str) -> bytes:
    try:
        import zstandard  # noqa: PLC0415 (of an extra)
    except ImportError:
        msg = f"{subject} is compressed by zstd, which needs a package that is not installed"
        raise AuditError(msg, hint="pip install 'gpuwheel[image]'") from None
    try:
        # Streamed: the frame may state no size, padding may follow it, and a damaged one could become anything.
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            found: bytes = stream.read(size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(found) != size:
        msg = f"{len(found)} bytes of {size}"
        raise ValueError(msg)
    return found
