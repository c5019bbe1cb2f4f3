"""Device code in files of its own: fatbins, cubins and PTX, told by what they hold and not by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel.binary.elf_reader import Elf
from gpuwheel.binary.fatbin import MAGIC, Image, find_containers, read_fatbin
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from gpuwheel.binary.extent import Extent

__all__ = ["cubin_image", "file_images", "is_cubin", "ptx_image"]

_EM_CUDA = 190
_MACHINE_AT = 18
"""Where an ELF header says e_machine."""
_FATBIN, _PTX = ".fatbin", ".ptx"
# What fills the header of a PTX file: directives in this order (PTX ISA, "Module Directives").
_PTX_HEAD = re.compile(
    rb"^[ \t]*\.version[ \t]+(\d+)\.(\d+)\b.{0,2000}?^[ \t]*\.target[ \t]+(sm_\d{2,3}[af]?)\b([^\n]*)",
    re.DOTALL | re.MULTILINE,
)
_HEAD = 1 << 16
_LINES = re.compile(rb"^[ \t]*\.(?:loc|file)[ \t]", re.MULTILINE)  # \s would go over lines, again from each

# e_flags of EM_CUDA, as `cuobjdump -elf` prints them for known files; ABI 8 came with CUDA 12.8.
_OLD_ABI = 7
_OLD_SPECIFIC, _SPECIFIC = 0x800, 0x8
_COMPILED_FOR = re.compile(rb"-arch(?:=| )sm_(\d+)([af])\b")
_TOOLS = ".note.nv.tkinfo"
"""Names of the tools that wrote it, and their options."""


def is_cubin(file: Extent) -> bool:
    """Whether an ELF file is device code."""
    return bytes(file.read(_MACHINE_AT, 2)) == _EM_CUDA.to_bytes(2, "little")


def file_images(file: Extent, name: str) -> tuple[Image, ...]:
    """Device code in a file that is no ELF file; archives of object files have some inside.

    Raises:
        AuditError: it is a damaged fatbin, or holds too many images.
    """
    if name.endswith(_FATBIN) or bytes(file.read(0, len(MAGIC))) == MAGIC:
        return read_fatbin(file, name)
    if name.endswith(_PTX):
        image = ptx_image(file)
        return () if image is None else (image,)
    return find_containers(file, name).images({})


def cubin_image(file: Extent, name: str) -> Image:
    """What a cubin is for; `name` is for messages.

    Raises:
        AuditError: it is damaged.
    """
    with reading(f"{name} is not a readable cubin", "code of one GPU architecture", hint="build the wheel again"):
        elf = Elf(file, errors="replace")
        old = elf.abi[1] <= _OLD_ABI
        number = elf.flags & 0xFF if old else elf.flags >> 8 & 0xFF
        suffix = "a" if elf.flags & (_OLD_SPECIFIC if old else _SPECIFIC) else ""
        tools = elf.section(_TOOLS)
        if tools is not None:
            told = _COMPILED_FOR.search(bytes(tools.extent.read(0, _HEAD)))
            suffix = told[2].decode() if told and int(told[1]) == number else suffix
        return Image(
            kind="cubin",
            arch=Arch(number // 10, number % 10, suffix),
            codec="none",
            size=len(file),
            raw_size=len(file),
            isa=None,
            debug=elf.section(".debug_info") is not None,
            line_info=elf.section(".debug_line") is not None,
            version=MinorVersion(1, elf.abi[1]),
            payload=file,
        )


def ptx_image(file: Extent) -> Image | None:
    """What a file of PTX is for; `None` for a text that is none, or a part of one."""
    head = _PTX_HEAD.search(bytes(file.read(0, _HEAD)))
    if head is None:
        return None
    return Image(
        kind="ptx",
        arch=Arch.parse(head[3].decode()),
        codec="none",
        size=len(file),
        raw_size=len(file),
        isa=MinorVersion(int(head[1]), int(head[2])),
        debug=b"debug" in head[4],
        line_info=_LINES.search(bytes(file.read(0, 1 << 20))) is not None,
        payload=file,
    )
