"""Device code in fat binaries, as nvcc and nvFatbin write them.

NVIDIA does not document the format. The fields below were read off files that nvFatbin 12.9 and nvcc 13.0 made from
known inputs, and agree with what cuobjdump lists for them; the tests repeat both. A container is a 16-byte header and
entries one after the other; an entry is a header and its image, which may be compressed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from gpuwheel._endings import reading
from gpuwheel._limits import DEVICE_IMAGES
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.binary.elf import ElfFile

__all__ = ["CODE_SECTIONS", "Image", "in_a_row", "library_images", "read_fatbin"]

CODE_SECTIONS = (".nv_fatbin", "__nv_relfatbin")
"""Where CUDA's tools look for device code in a library; the second holds relocatable code."""

_CONTAINER = struct.Struct("<IHHQ")
"""Magic, version, header size, size of the entries."""
_CONTAINER_MAGIC = 0xBA55ED50
_CONTAINER_VERSION = 1

_ENTRY = struct.Struct("<HHIQIIHHIIIQQQ")
"""Kind, version, header size, padded image size, compressed size, offset of the options, ISA minor, ISA major, arch,
offset and length of the name, flags, reserved, size before compression."""

# Other kinds are named by their number and kept: a newer tool's file is not damaged for what it adds.
_KINDS = {1: "ptx", 2: "cubin", 8: "lto"}
_CODECS = {0x2000: "LZ4", 0x8000: "zstd"}
_CODEC_MASK = 0xE000
_BLOCK = 1 << 16
_ALIGNMENT = 64
"""Of each container in a file of several."""
_DEBUG = 0x2
_ARCH_SPECIFIC, _FAMILY_SPECIFIC = 0x100000, 0x200000


@dataclass(frozen=True)
class Image:
    """One piece of device code."""

    kind: str
    """ "cubin" (machine code of one GPU), "ptx" (compiled by the driver), "lto" (for a linker) or "kind 64"."""
    arch: Arch
    codec: str
    """ "none", "LZ4" or "zstd"."""
    size: int
    """Bytes in the file, without padding."""
    raw_size: int
    """Bytes before compression."""
    isa: MinorVersion | None
    """PTX ISA version, for PTX only."""
    debug: bool = False
    """Whether it was compiled for a debugger (`nvcc -G`), without optimisation."""
    line_info: bool = False
    """Whether it names lines of its source (`nvcc -lineinfo`, which `-G` implies): the tools write the name of the
    source for these alone."""

    def __str__(self) -> str:
        return self.arch.compute if self.kind == "ptx" else self.arch.sm


def in_a_row(fatbins: Iterable[bytes]) -> tuple[bytes, tuple[int, ...]]:
    """One file of several fatbins, and the byte at which each begins.

    One for each program, since a driver takes a single best match out of a fatbin: two in one would hide each other.
    """
    row, offsets = bytearray(), []
    for fatbin in fatbins:
        offsets.append(len(row))
        row += fatbin + bytes(-len(fatbin) % _ALIGNMENT)
    return bytes(row), tuple(offsets)


def library_images(library: ElfFile) -> tuple[Image, ...]:
    """The device code of a library, in the order of the file.

    Raises:
        AuditError: a section of device code is damaged.
    """
    return tuple(
        image
        for section in CODE_SECTIONS
        if section in library.sections
        for image in read_fatbin(memoryview(library.sections[section].read()), f"{library.name} section {section}")
    )


def read_fatbin(data: bytes | memoryview, name: str) -> tuple[Image, ...]:
    """The images of every container in `data`: a `.fatbin` file or a section of a library; `name` is for messages.

    Raises:
        AuditError: `data` is not made of whole containers, or has too many images.
    """
    subject = f"{name} is not a readable fatbin"
    with reading(subject, "device code as nvFatbin writes it", hint="build the wheel again"):
        containers = _bounded(_containers(memoryview(data)))
        return tuple(_bounded(image for container in containers for image in _entries(container)))


_Item = TypeVar("_Item")


def _bounded(items: Iterator[_Item]) -> Iterator[_Item]:
    for count, item in enumerate(items, 1):
        if count > DEVICE_IMAGES.value:
            msg = DEVICE_IMAGES.passed("more")
            raise ValueError(msg)
        yield item


def _containers(view: memoryview) -> Iterator[memoryview]:
    offset = 0
    while (offset := _skip_zeros(view, offset)) < len(view):
        magic, version, header_size, size = _CONTAINER.unpack_from(view, offset)
        end = offset + header_size + size
        # A header that claims less than it is would let `end` stand still, and the walk never end.
        if header_size < _CONTAINER.size:
            msg = f"a container's header of {header_size} bytes"
            raise ValueError(msg)
        if magic != _CONTAINER_MAGIC:
            msg = f"magic {magic:#x} at byte {offset}"
            raise ValueError(msg)
        if version != _CONTAINER_VERSION:
            msg = f"container version {version}"
            raise ValueError(msg)
        if end > len(view):
            msg = f"{end - len(view)} bytes are missing at its end"
            raise ValueError(msg)
        yield view[offset + header_size : end]
        offset = end


def _skip_zeros(view: memoryview, offset: int) -> int:
    """Containers are aligned: zeros lie between them, and may end the section."""
    while offset < len(view) and not view[offset]:
        # By blocks: a file that is all zeros would keep a loop over bytes busy for minutes.
        block = bytes(view[offset : offset + _BLOCK])
        rest = block.lstrip(b"\0")
        offset += len(block) - len(rest)
        if rest:
            break
    return offset


def _entries(view: memoryview) -> Iterator[Image]:
    offset = 0
    while offset < len(view):
        fields = _ENTRY.unpack_from(view, offset)
        kind, _, header_size, padded, compressed, _, isa_minor, isa_major, arch, _, named, flags, _, raw = fields
        if header_size < _ENTRY.size or offset + header_size + padded > len(view):
            msg = f"an entry of {header_size} + {padded} bytes does not fit"
            raise ValueError(msg)
        offset += header_size + padded
        # An unknown codec is for a rule of the audit to judge, which says which drivers read it; the sizes are right
        # without.
        codec = _CODECS.get(flags & _CODEC_MASK, "none" if not flags & _CODEC_MASK else f"codec {flags:#x}")
        suffix = "a" if flags & _ARCH_SPECIFIC else "f" if flags & _FAMILY_SPECIFIC else ""
        name = _KINDS.get(kind, f"kind {kind}")
        yield Image(
            kind=name,
            arch=Arch(arch // 10, arch % 10, suffix),
            codec=codec,
            size=padded if codec == "none" else compressed,
            raw_size=padded if codec == "none" else raw,
            isa=MinorVersion(isa_major, isa_minor) if name == "ptx" else None,
            debug=bool(flags & _DEBUG),
            line_info=bool(flags & _DEBUG or named),
        )
