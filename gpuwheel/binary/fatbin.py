"""Device code in fat binaries, as nvcc and nvFatbin write them.

NVIDIA does not document the format. The fields below were read off files that nvFatbin 12.9 and nvcc 13.0 made from
known inputs, and agree with what cuobjdump lists for them; the tests repeat both. A container is a 16-byte header and
entries one after the other; an entry is a header and its image, which may be compressed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._endings import because, reading
from gpuwheel._limits import DEVICE_IMAGES
from gpuwheel.binary.extent import Extent, extent
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from gpuwheel.binary.elf import ElfFile

__all__ = [
    "CODEC_MASK",
    "CODE_SECTIONS",
    "CONTAINER",
    "CONTAINER_MAGIC",
    "ENTRY",
    "MAGIC",
    "Image",
    "arch_of",
    "find_containers",
    "in_a_row",
    "library_images",
    "read_fatbin",
    "skip_zeros",
]

CODE_SECTIONS = (".nv_fatbin", "__nv_relfatbin")
"""Where CUDA's tools look for device code in a library; the second holds relocatable code."""

CONTAINER = struct.Struct("<IHHQ")
"""Magic, version, header size, size of the entries."""
CONTAINER_MAGIC = 0xBA55ED50
MAGIC = struct.pack("<I", CONTAINER_MAGIC)
"""The first bytes of a container."""
_CONTAINER_VERSION = 1

ENTRY = struct.Struct("<HHIQIIHHIIIQQQ")
"""Kind, version, header size, padded image size, compressed size, offset of the options, minor and major of the PTX ISA
or of the cubin's format, arch, offset and length of the name, flags, reserved, size before compression."""

# Other kinds are named by their number and kept: a newer tool's file is not damaged for what it adds.
_KINDS = {1: "ptx", 2: "cubin", 8: "lto"}
_CODECS = {0x2000: "LZ4", 0x8000: "zstd"}
CODEC_MASK = 0xE000
_BLOCK, _FORWARD = 1 << 16, 1 << 20
_ALIGNMENT = 64
"""Of each container in a file of several."""
_DEBUG = 0x2
_ARCH_SPECIFIC, _FAMILY_SPECIFIC = 0x100000, 0x200000


@dataclass(frozen=True, slots=True)
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
    version: MinorVersion | None = None
    """Of a cubin's format, for cubins only; `None` where it says none that is known."""
    payload: Extent | None = field(default=None, repr=False, compare=False)
    """Its bytes in the file, which can be read while that is open."""

    def __str__(self) -> str:
        return self.arch.compute if self.kind == "ptx" else self.arch.sm


class Container(NamedTuple):
    """Images that belong together: of them, a driver takes the one that fits best."""

    at: int
    end: int
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Search:
    """What was found in a file."""

    containers: tuple[Container, ...]
    false: Mapping[int, str]
    """Places that only begin like one -> what is wrong there."""
    name: str

    def images(self, sections: Mapping[str, Extent]) -> tuple[Image, ...]:
        """The images, in the order of the file.

        Raises:
            AuditError: a section of device code holds something else. Elsewhere that is chance.
        """
        starts = {container.at for container in self.containers}
        for key in CODE_SECTIONS:
            section = sections.get(key)
            if section is None:
                continue
            with _reading_fatbin(f"{self.name} section {key}"):
                for at in self.false:
                    if section.start <= at < section.start + len(section):
                        raise ValueError(self.false[at])
                first = skip_zeros(section, 0)
                if first < len(section) and section.start + first not in starts:
                    msg = f"other bytes at byte {first}"
                    raise ValueError(msg)
        return tuple(image for container in self.containers for image in container.images)


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
    """The device code in the sections of a library, in the order of the file.

    Raises:
        AuditError: a section of device code is damaged.
    """
    return tuple(
        image
        for section in CODE_SECTIONS
        if section in library.sections
        for image in read_fatbin(library.sections[section], f"{library.name} section {section}")
    )


def read_fatbin(data: bytes | memoryview | Extent, name: str) -> tuple[Image, ...]:
    """The images of every container in `data`: a `.fatbin` file or a section of a library; `name` is for messages.

    Raises:
        AuditError: `data` is not made of whole containers, or has too many images.
    """
    with _reading_fatbin(name):
        return tuple(image for container in _containers(extent(data)) for image in container.images)


def find_containers(file: Extent, name: str) -> Search:
    """Device code wherever it is in a file, which is read once from front to back: containers, by their first bytes.

    Raises:
        AuditError: there are too many images.
    """
    containers: list[Container] = []
    false: dict[int, str] = {}
    with _reading_fatbin(name):
        at = images = 0
        while (at := _find_magic(file, at)) >= 0:
            found = _tried(file, at)
            if isinstance(found, Container):
                containers.append(found)
                images += len(found.images)
                _hold(max(images, len(containers)))
                at = found.end - file.start
            else:
                false[file.start + at] = found
                _hold(len(false))
                at += len(MAGIC)
    return Search(tuple(containers), false, name)


def _reading_fatbin(name: str) -> AbstractContextManager[None]:
    """What goes wrong inside is told of this fatbin."""
    subject, expected = f"{name} is not a readable fatbin", "device code as nvFatbin writes it"
    return reading(subject, expected, hint="build the wheel again")


def _hold(count: int) -> None:
    if count > DEVICE_IMAGES.value:
        msg = DEVICE_IMAGES.passed("more")
        raise ValueError(msg)


def _containers(file: Extent) -> Iterator[Container]:
    """Those of a file that is made of them alone."""
    at, count, images = 0, 0, 0
    while (at := skip_zeros(file, at)) < len(file):
        container = _container(file, at)
        count, images = count + 1, images + len(container.images)
        _hold(max(count, images))
        yield container
        at = container.end - file.start


def _tried(file: Extent, at: int) -> Container | str:
    """What is there; where it is no container, why."""
    try:
        return _container(file, at)
    except (ValueError, struct.error) as damage:
        return because(damage)


def _find_magic(file: Extent, at: int) -> int:
    """The first magic from `at` on, or -1. Blocks are those that a member of an archive is read in."""
    while at < len(file):
        end = min((at // _FORWARD + 1) * _FORWARD, len(file))
        found = bytes(file.read(at, end - at)).find(MAGIC)
        if found >= 0:
            return at + found
        # Across the end of the block.
        tail = max(at, end - len(MAGIC) + 1)
        found = bytes(file.read(tail, 2 * len(MAGIC) - 2)).find(MAGIC) if end < len(file) else -1
        if found >= 0:
            return tail + found
        at = end
    return -1


def _container(file: Extent, at: int) -> Container:
    magic, version, header_size, size = CONTAINER.unpack_from(file.read(at, CONTAINER.size))
    end = at + header_size + size
    # A header that claims less than it is would let `end` stand still, and the walk never end.
    if header_size < CONTAINER.size:
        msg = f"a container's header of {header_size} bytes"
        raise ValueError(msg)
    if magic != CONTAINER_MAGIC:
        msg = f"magic {magic:#x} at byte {at}"
        raise ValueError(msg)
    if version != _CONTAINER_VERSION:
        msg = f"container version {version}"
        raise ValueError(msg)
    if end > len(file):
        msg = f"{end - len(file)} bytes are missing at its end"
        raise ValueError(msg)
    entries = file.part(at + header_size, size)
    return Container(file.start + at, file.start + end, tuple(_entries(entries)))


def skip_zeros(file: Extent, offset: int) -> int:
    """Containers are aligned: zeros lie between them, and may end the section."""
    size = _ALIGNMENT
    while offset < len(file):
        # By blocks: a file that is all zeros would keep a loop over bytes busy for minutes.
        block = bytes(file.read(offset, size))
        rest = block.lstrip(b"\0")
        offset += len(block) - len(rest)
        if rest:
            break
        size = _BLOCK
    return offset


def _entries(file: Extent) -> Iterator[Image]:
    offset, count = 0, 0
    while offset < len(file):
        fields = ENTRY.unpack_from(file.read(offset, ENTRY.size))
        kind, _, header_size, padded, compressed, _, isa_minor, isa_major, arch, _, named, flags, _, raw = fields
        if header_size < ENTRY.size or offset + header_size + padded > len(file):
            msg = f"an entry of {header_size} + {padded} bytes does not fit"
            raise ValueError(msg)
        count += 1
        _hold(count)
        # An unknown codec is for a rule of the audit to judge, which says which drivers read it; the sizes are right
        # without.
        codec = _CODECS.get(flags & CODEC_MASK, "none" if not flags & CODEC_MASK else f"codec {flags:#x}")
        name = _KINDS.get(kind, f"kind {kind}")
        size = padded if codec == "none" else compressed
        yield Image(
            kind=name,
            arch=arch_of(arch, flags),
            codec=codec,
            size=size,
            raw_size=padded if codec == "none" else raw,
            isa=_isa(isa_major, isa_minor) if name == "ptx" else None,
            version=_isa(isa_major, isa_minor) if name == "cubin" and isa_major == 1 else None,
            debug=bool(flags & _DEBUG),
            line_info=bool(flags & _DEBUG or named),
            payload=file.part(offset + header_size, min(size, padded)),
        )
        offset += header_size + padded


@cache
def arch_of(number: int, flags: int) -> Arch:
    """What an image is for, by the number and the flags of its entry."""
    suffix = "a" if flags & _ARCH_SPECIFIC else "f" if flags & _FAMILY_SPECIFIC else ""
    return Arch(number // 10, number % 10, suffix)


@cache
def _isa(major: int, minor: int) -> MinorVersion:
    return MinorVersion(major, minor)
