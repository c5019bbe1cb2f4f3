"""Device code: which GPUs find something that they can run, and what it costs."""

from __future__ import annotations

from elf_files import MACHINES, Part, placed, sectioned
from hostile import container, entry

from corpus.cases import case
from corpus.wheels import CODE, LIBC, TAG, WheelFile, library, wheel
from gpuwheel.model.findings import Severity

_CUDA12 = "nvidia-cuda-runtime-cu12"
_SPECIFIC, _FAMILY = 0x100000, 0x200000
_LZ4, _ZSTD = 0x2000, 0x8000
_PTX, _LTO = 1, 8
_DEBUG = 2


def machine_code(*archs: int, flags: int = 0) -> bytes:
    return b"".join(entry(bytes(64), arch=arch, flags=flags) for arch in archs)


def ptx(arch: int, *, flags: int = 0, isa: tuple[int, int] = (7, 8)) -> bytes:
    return entry(b".version 7.8", kind=_PTX, arch=arch, flags=flags, isa=isa)


def _holding(code: bytes, *, tag: str = TAG, machine: str = "x86_64", section: str = ".nv_fatbin") -> WheelFile:
    return wheel({"ops/_C.so": library(sections={section: code}, machine=machine)}, tag=tag)


@case("arch-hole", severity=Severity.WARNING)
def _nothing_for_newer_gpus() -> tuple[WheelFile, WheelFile]:
    return _holding(container(machine_code(70, 80))), _holding(container(machine_code(70, 80) + ptx(80)))


@case("arch-hole", severity=Severity.WARNING, sneaky=True)
def _ptx_of_one_gpu_alone_for_newer_ones() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(75, 80, 90)
    return _holding(container(cubins + ptx(90, flags=_SPECIFIC))), _holding(container(cubins + ptx(90)))


@case("arch-hole", severity=Severity.WARNING, sneaky=True)
def _a_generation_left_out_in_the_middle() -> tuple[WheelFile, WheelFile]:
    newest = ptx(120)
    return _holding(container(machine_code(75, 80, 100, 120) + newest)), _holding(
        container(machine_code(75, 80, 90, 100, 120) + newest)
    )


@case("arch-hole", severity=Severity.WARNING, sneaky=True)
def _code_for_a_linker_in_place_of_ptx() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(80, 90)
    return _holding(container(cubins + entry(bytes(64), kind=_LTO, arch=90))), _holding(container(cubins + ptx(90)))


@case("arch-hole", severity=Severity.WARNING, sneaky=True)
def _the_gpu_of_an_arm_machine_alone() -> tuple[WheelFile, WheelFile]:
    tag = TAG.replace("x86_64", "aarch64")
    older, whole = (
        container(machine_code(75, 80, 90, 100, 120)),
        container(machine_code(75, 80, 90, 100, 110, 120) + ptx(120)),
    )
    return _holding(older, tag=tag, machine="aarch64"), _holding(whole, tag=tag, machine="aarch64")


@case("arch-specific-alone", severity=Severity.WARNING)
def _arch_specific_code_without_a_fallback() -> tuple[WheelFile, WheelFile]:
    others = machine_code(75, 80, 90, 120) + ptx(120)
    return (
        _holding(container(others + machine_code(100, flags=_SPECIFIC))),
        _holding(container(others + machine_code(100, flags=_FAMILY))),
    )


@case("arch-specific-alone", severity=Severity.WARNING, sneaky=True)
def _arch_specific_code_in_relocatable_form() -> tuple[WheelFile, WheelFile]:
    others = machine_code(75, 80, 90, 120) + ptx(120)
    code = (
        container(others + machine_code(100, flags=_SPECIFIC)),
        container(others + machine_code(100, 103, flags=_SPECIFIC)),
    )
    return _holding(code[0], section="__nv_relfatbin"), _holding(code[1], section="__nv_relfatbin")


@case("ptx-missing", severity=Severity.NOTE)
def _no_ptx_for_gpus_to_come() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(75, 80, 90, 100, 120)
    return _holding(container(cubins)), _holding(container(cubins + ptx(120)))


@case("code-lost")
def _device_code_removed_from_a_library() -> tuple[WheelFile, WheelFile]:
    def linked(**sections: bytes) -> WheelFile:
        imports = {**LIBC, "__cudaRegisterFatBinary": ("libcudart.so.12", "libcudart.so.12")}
        needed, runpath = ("libcudart.so.12", "libc.so.6"), "$ORIGIN/../nvidia/cuda_runtime/lib"
        made = library(imports=imports, needed=needed, runpath=runpath, sections=sections)
        return wheel({"ops/_C.so": made}, requires=[_CUDA12])

    return linked(), linked(**{".nv_fatbin": CODE})


@case("arch-redundant", severity=Severity.NOTE)
def _machine_code_that_the_same_gpus_have_already() -> tuple[WheelFile, WheelFile]:
    others = machine_code(90, 100, 120, flags=_ZSTD) + ptx(120)
    large = [entry(bytes(10_000_000), arch=arch, flags=_ZSTD) for arch in (80, 86)]
    packed = [_with_packed_size(one, 10_000_000) for one in large]
    return _holding(container(b"".join(packed) + others)), _holding(container(packed[0] + others))


@case("arch-redundant", severity=Severity.NOTE, sneaky=True)
def _machine_code_twice_in_pieces() -> tuple[WheelFile, WheelFile]:
    others = machine_code(90, 100, 120, flags=_ZSTD) + ptx(120)

    def pieces(arch: int) -> bytes:
        one = _with_packed_size(entry(bytes(2_100_000), arch=arch, flags=_ZSTD), 2_100_000)
        return one * 5

    return _holding(container(pieces(86) + pieces(80) + others)), _holding(container(pieces(80) + others))


@case("code-uncompressed", severity=Severity.NOTE)
def _device_code_that_is_not_compressed() -> tuple[WheelFile, WheelFile]:
    others = machine_code(90, 100, 120, flags=_ZSTD) + ptx(120)
    packed = _with_packed_size(entry(bytes(11_000_000), arch=80, flags=_ZSTD), 11_000_000)
    return _holding(container(entry(bytes(11_000_000), arch=80) + others)), _holding(container(packed + others))


@case("code-uncompressed", severity=Severity.NOTE, sneaky=True)
def _uncompressed_device_code_in_many_files() -> tuple[WheelFile, WheelFile]:
    others = machine_code(90, 100, 120, flags=_ZSTD) + ptx(120)
    piece = library(sections={".nv_fatbin": container(entry(bytes(6_000_000), arch=80) + others)}, exports=())
    return wheel({"ops/liba.so": piece, "ops/libb.so": piece}), wheel({"ops/liba.so": piece})


@case("code-debug", severity=Severity.WARNING)
def _device_code_for_a_debugger() -> tuple[WheelFile, WheelFile]:
    others = machine_code(80, 90, 100, 120) + ptx(120)
    return _holding(container(machine_code(75, flags=_DEBUG) + others)), _holding(container(machine_code(75) + others))


@case("code-debug", severity=Severity.WARNING, sneaky=True)
def _compressed_ptx_for_a_debugger() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(80, 90, 100, 120)
    broken, twin = (ptx(120, flags=flags) for flags in (_ZSTD | _DEBUG, _ZSTD))
    return _holding(container(cubins + broken)), _holding(container(cubins + twin))


def _cubin(*sections: str) -> bytes:
    """Machine code with these sections; the version in its flags is that of sm_75."""
    parts = [Part(name, 1, bytes(16), loaded=False) for name in (".text.k", *sections)]
    placed(parts, 0)
    return sectioned(parts, machine=MACHINES["cuda"])


def _named(image: bytes) -> bytes:
    """An entry that names its source, whose length is at byte 36, as nvcc writes with -lineinfo."""
    return image[:36] + (6).to_bytes(4, "little") + image[40:]


@case("code-line-info", severity=Severity.NOTE)
def _device_code_that_names_its_sources() -> tuple[WheelFile, WheelFile]:
    others = machine_code(80, 90, 100, 120) + ptx(120)
    # nvFatbin writes a name for other reasons: the code itself tells.
    broken, twin = (_named(entry(_cubin(*sections), arch=75)) for sections in ((".debug_line",), ()))
    return _holding(container(broken + others)), _holding(container(twin + others))


def _linked_to_12(code: bytes) -> WheelFile:
    needed, runpath = ("libcudart.so.12", "libc.so.6"), "$ORIGIN/../nvidia/cuda_runtime/lib"
    made = library(needed=needed, runpath=runpath, sections={".nv_fatbin": container(code)})
    return wheel({"ops/_C.so": made}, requires=[_CUDA12])


@case("compression-driver", severity=Severity.WARNING)
def _compression_that_drivers_of_its_cuda_do_not_read() -> tuple[WheelFile, WheelFile]:
    return _linked_to_12(machine_code(80, flags=_ZSTD) + ptx(80)), _linked_to_12(machine_code(80, flags=_LZ4) + ptx(80))


@case("ptx-driver", severity=Severity.WARNING)
def _ptx_that_drivers_of_its_cuda_do_not_compile() -> tuple[WheelFile, WheelFile]:
    return _linked_to_12(ptx(80, isa=(8, 8))), _linked_to_12(ptx(80, isa=(7, 8)))


@case("compression-driver", severity=Severity.WARNING, sneaky=True)
def _one_image_compressed_otherwise_than_its_neighbours() -> tuple[WheelFile, WheelFile]:
    others = machine_code(75, 80, 90, 100, 120, flags=_LZ4)
    broken, twin = (ptx(120, flags=flags, isa=(7, 8)) for flags in (_ZSTD, _LZ4))
    return _linked_to_12(others + broken), _linked_to_12(others + twin)


@case("ptx-driver", severity=Severity.WARNING, sneaky=True)
def _new_ptx_beside_machine_code_of_other_gpus() -> tuple[WheelFile, WheelFile]:
    # Machine code for 9.0 serves no 10.0: of those GPUs the PTX is all there is.
    cubins = machine_code(75, 80, 90)
    return _linked_to_12(cubins + ptx(100, isa=(8, 8))), _linked_to_12(cubins + ptx(90, isa=(7, 8)))


@case("ptx-missing", severity=Severity.NOTE, sneaky=True)
def _ptx_of_a_family_alone() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(75, 80, 90, 100, 120)
    return _holding(container(cubins + ptx(120, flags=_FAMILY))), _holding(container(cubins + ptx(120)))


@case("code-lost", sneaky=True)
def _device_code_removed_from_one_library_of_two() -> tuple[WheelFile, WheelFile]:
    imports = {**LIBC, "__cudaRegisterFatBinary": ("libcudart.so.12", "libcudart.so.12")}
    needed, runpath = ("libcudart.so.12", "libc.so.6"), "$ORIGIN/../nvidia/cuda_runtime/lib"

    def linked(code: bytes, exports: tuple[str, ...] = ()) -> bytes:
        # An empty section is what objcopy leaves of one whose contents it was told to drop.
        sections = {".nv_fatbin": code}
        return library(imports=imports, needed=needed, runpath=runpath, sections=sections, exports=exports)

    whole = linked(CODE, ("PyInit__C",))
    broken, twin = (
        wheel({"ops/_C.so": whole, "ops/libk.so": linked(code)}, requires=[_CUDA12]) for code in (b"", CODE)
    )
    return broken, twin


@case("code-line-info", severity=Severity.NOTE, sneaky=True)
def _ptx_that_names_its_sources() -> tuple[WheelFile, WheelFile]:
    cubins = machine_code(75, 80, 90, 100, 120)
    head = b".version 7.8\n.target sm_75\n.address_size 64\n"
    broken, twin = (
        _named(entry(head + lines, kind=_PTX, arch=75, isa=(7, 8))) for lines in (b'.file 1 "k.cu"\n.loc 1 2 3\n', b"")
    )
    return _holding(container(cubins + broken)), _holding(container(cubins + twin))


def _with_packed_size(made: bytes, size: int) -> bytes:
    """An entry of `hostile.entry` that says how much it holds as compressed."""
    return made[:16] + size.to_bytes(4, "little") + made[20:]


def _of_cuda(toolkit: int, *archs: int, flags: int = 0) -> bytes:
    """Machine code in the format that a toolkit writes for GPUs before Blackwell."""
    version = (1, 8) if toolkit >= 13 else (1, 7)
    return b"".join(entry(bytes(64), arch=arch, flags=flags, isa=version) for arch in archs)


_NEWER = entry(bytes(64), arch=100, isa=(1, 8)) + entry(bytes(64), arch=120, isa=(1, 8))
"""For Blackwell, CUDA 12.8 writes the new format as well."""


@case("cubin-driver", severity=Severity.WARNING)
def _machine_code_of_cuda_13_beside_the_runtime_of_12() -> tuple[WheelFile, WheelFile]:
    broken, twin = (_linked_to_12(_of_cuda(toolkit, 75, 80, 90) + _NEWER + ptx(120)) for toolkit in (13, 12))
    return broken, twin


@case("cubin-driver", severity=Severity.WARNING, sneaky=True)
def _one_image_of_cuda_13_among_those_of_12() -> tuple[WheelFile, WheelFile]:
    others = _of_cuda(12, 75, 80, 90, flags=_LZ4) * 20 + _NEWER + ptx(120)
    broken, twin = (_linked_to_12(others + _of_cuda(toolkit, 86, flags=_LZ4)) for toolkit in (13, 12))
    return broken, twin


@case("cubin-driver", severity=Severity.WARNING, sneaky=True)
def _machine_code_of_cuda_13_in_a_wheel_named_for_12() -> tuple[WheelFile, WheelFile]:
    # The runtime is linked in statically: what the wheel calls itself is all that tells.
    def named(toolkit: int) -> WheelFile:
        code = container(_of_cuda(toolkit, 75, 80, 90) + _NEWER + ptx(120))
        made = library(sections={".nv_fatbin": code})
        return wheel({"ops_cu12/_C.so": made}, name="ops_cu12")

    return named(13), named(12)


@case("cubin-driver", severity=Severity.WARNING, sneaky=True)
def _a_loose_cubin_of_cuda_13_beside_requirements_of_12() -> tuple[WheelFile, WheelFile]:
    def loose(toolkit: int) -> WheelFile:
        # OS ABI, its version, the toolkit, and the flags: as nvcc 13.0 and 12.8 write them for sm_75.
        abi, version, flags = (b"\x41\x08", 1, 0x6004B04) if toolkit == 13 else (b"\x33\x07", 128, 0x4B054B)
        made = bytearray(_cubin())
        made[7:9], made[20:24], made[48:52] = abi, version.to_bytes(4, "little"), flags.to_bytes(4, "little")
        files = {"ops/k.cubin": bytes(made), "ops/_C.so": library(sections={".nv_fatbin": CODE})}
        return wheel(files, requires=[_CUDA12])

    return loose(13), loose(12)
