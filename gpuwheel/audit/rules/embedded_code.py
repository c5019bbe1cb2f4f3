"""Which GPUs the device code of a wheel serves, and what it costs; whoever built it.

Which GPUs a wheel of gpuwheel's serves is what its project declares, and `gpuwheel plan` says before it is built.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import promised_driver, rule
from gpuwheel.binary.device_files import cubin_image, ptx_image
from gpuwheel.binary.extent import extent
from gpuwheel.binary.unpacked import unpacked_image
from gpuwheel.compatibility.gpu_names import gpus_beside
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Part, Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.model.archs import Arch

__all__ = ["EMBEDDED_CODE_RULES"]

_NEEDS = {Part.IMAGES, Part.LIBRARIES, Part.NAME}
_COMPATIBILITY = "CUDA C++ Programming Guide, Binary Compatibility and PTX Compatibility; `gpuwheel/data/cuda.toml`"
_REGISTERS = "__cudaRegisterFatBinary"
"""What host code of nvcc calls to hand the driver its images."""
_LOOKED_INTO = 8
"""Images of one file that are unpacked: those of one compilation are alike."""
_SHOWN_NAMES = 2
"""GPUs named as examples of one compute capability."""
_CODEC = "zstd"
"""Of `gpuwheel repair --compress`."""
_WORTH_SAVING = 10_000_000
"""Bytes of device code below which a saving is not worth a word: a hundredth of what large wheels hold."""
_LARGE = 100_000_000
"""Bytes from which it is more than a note: the default limit of PyPI for a whole file."""


def _runs(images: Iterable[Image], device: Arch) -> bool:
    return any(
        image.arch.cubin_runs_on(device) if image.kind == "cubin" else image.arch.ptx_runs_on(device)
        for image in images
        if image.kind in {"cubin", "ptx"}
    )


def _distinct(images: Iterable[Image]) -> tuple[Image, ...]:
    """One image of each kind and arch: thousands of files hold the same few."""
    return tuple({(image.kind, image.arch): image for image in images}.values())


def _machine(case: WheelCase) -> str:
    """The machine that the wheel is for; of pure ones and of mixed ones the one that has the fewest GPUs."""
    machines = {library.machine for library in case.wheel.libraries}
    return "aarch64" if machines == {"aarch64"} or case.wheel.tag.platform.endswith("aarch64") else "x86_64"


def _unserved(case: WheelCase) -> Mapping[Arch, Sequence[str]]:
    """GPUs that nothing in the wheel runs on, though something serves older ones: capability -> names."""
    images = _distinct(image for image in case.wheel.images if image.kind in {"cubin", "ptx"})
    if not images:
        return {}
    # Without the suffix: sm_90a and sm_90 begin at the same GPU.
    lowest = min((image.arch.major, image.arch.minor) for image in images)
    gpus = gpus_beside(_machine(case))
    return {
        device: names
        for device, names in sorted(gpus.items())
        if (device.major, device.minor) >= lowest and not _runs(images, device)
    }


def _specific(case: WheelCase, device: Arch) -> list[str]:
    """Arch-specific code for another GPU of the device's major: what misses it by its suffix alone."""
    return sorted(
        {
            str(image)
            for image in _distinct(case.wheel.images)
            if image.arch.suffix and image.arch.major == device.major and image.arch.minor < device.minor
        }
    )


def _listed(devices: Mapping[Arch, Sequence[str]]) -> str:
    return ", ".join(f"{device} ({', '.join(names[:_SHOWN_NAMES])})" for device, names in devices.items())


def _held(case: WheelCase) -> str:
    return ", ".join(sorted({str(image) for image in case.wheel.images if image.kind in {"cubin", "ptx"}}))


@rule(
    "arch-hole",
    needs=_NEEDS,
    why="on such a GPU each kernel call fails: no kernel image is available for execution on the device",
    fix="compile for them as well, or add PTX of the newest architecture, which drivers compile for newer GPUs",
    source=_COMPATIBILITY,
    severity=Severity.WARNING,
    profile=Profile.ANY,
)
def _arch_hole(case: WheelCase) -> Iterator[Found]:
    """GPUs on sale, newer than the oldest that the wheel serves, find no device code in it that they can run."""
    if devices := {device: names for device, names in _unserved(case).items() if not _specific(case, device)}:
        yield Found(
            case.wheel.name,
            f"holds no device code for compute capability {_listed(devices)} (found {_held(case)}, expected code that "
            "runs there)",
            facts={"unserved": [str(device) for device in devices]},
        )


@rule(
    "arch-specific-alone",
    needs=_NEEDS,
    why="code of a target with the suffix a runs on exactly its own compute capability, and each call fails on others",
    fix="compile for the plain or the family-specific target (sm_100 or sm_100f for sm_100a) as well, or add its PTX",
    source=_COMPATIBILITY,
    severity=Severity.WARNING,
    profile=Profile.ANY,
)
def _arch_specific_alone(case: WheelCase) -> Iterator[Found]:
    """GPUs of a generation find arch-specific device code alone, made for another GPU of the generation."""
    devices = {device: names for device, names in _unserved(case).items() if _specific(case, device)}
    if devices:
        targets = sorted({target for device in devices for target in _specific(case, device)})
        yield Found(
            case.wheel.name,
            f"holds arch-specific code without a fallback for compute capability {_listed(devices)} (found "
            f"{', '.join(targets)}, expected code that runs there)",
            facts={"unserved": [str(device) for device in devices], "targets": targets},
        )


@rule(
    "ptx-missing",
    needs=_NEEDS,
    why="on GPUs that come after those that are known now, each kernel call will fail",
    fix="add PTX of the newest architecture without a suffix, or nothing: a release for those GPUs will be needed",
    source=_COMPATIBILITY,
    severity=Severity.NOTE,
    profile=Profile.ANY,
)
def _ptx_missing(case: WheelCase) -> Iterator[Found]:
    """The wheel serves every GPU that is known, and holds no PTX for newer ones."""
    images = _distinct(case.wheel.images)
    plain = any(image.kind == "ptx" and not image.arch.suffix for image in images)
    if not plain and any(image.kind == "cubin" for image in images) and not _unserved(case):
        yield Found(case.wheel.name, f"holds no PTX for newer GPUs (found {_held(case)}, expected PTX of one of them)")


@rule(
    "code-lost",
    needs={Part.IMAGES, Part.LIBRARIES},
    why="every kernel call of it fails: the library registers images that are not in the file",
    fix="do not remove sections of the library (objcopy, strip, a packer); link it again",
    source="CUDA Binary Utilities: device code of a host binary is in its section .nv_fatbin",
)
def _code_lost(case: WheelCase) -> Iterator[Found]:
    """A library hands device code to the CUDA runtime, and holds none."""
    for library in case.wheel.libraries:
        registers = any(symbol.name == _REGISTERS for symbol in library.imports)
        if registers and not case.wheel.images_of.get(library.name):
            problem = f"holds no device code, and calls {_REGISTERS} for it (found none, expected that of its kernels)"
            yield Found(library.name, problem)


@rule(
    "arch-redundant",
    needs={Part.IMAGES},
    why="every user downloads and stores it, and it adds speed at best, never a GPU",
    fix="measure whether it is faster, and drop the architecture if not",
    source=_COMPATIBILITY,
    severity=Severity.NOTE,
)
def _arch_redundant(case: WheelCase) -> Iterator[Found]:
    """Cubins of one architecture lie beside cubins of an older one, which the same GPUs run."""
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    for images in case.wheel.images_of.values():
        cubins = [image for image in images if image.kind == "cubin" and not image.arch.suffix]
        archs = sorted({image.arch for image in cubins})
        for image in cubins:
            # The oldest of the major serves them all.
            older = next(arch for arch in archs if arch.cubin_runs_on(image.arch))
            if older != image.arch:
                sizes[image.arch.sm, older.sm] += image.size
    worth = {pair: size for pair, size in sorted(sizes.items()) if size >= _WORTH_SAVING}
    if worth:
        told = ", ".join(f"{size / 1e6:.0f} MB of {arch} beside {older}" for (arch, older), size in worth.items())
        yield Found(
            case.wheel.name,
            f"holds code that the same GPUs have already ({told}; expected one of each two)",
            facts={"redundant": [{"arch": arch, "beside": old, "bytes": size} for (arch, old), size in worth.items()]},
            command=f"gpuwheel repair {' '.join(f'--drop-arch {arch}' for arch, _ in worth)} WHEEL",
        )


@rule(
    "code-uncompressed",
    needs={Part.IMAGES},
    why="it takes several times the room on every disk that has the wheel installed, and in the page cache",
    fix="compile with -Xfatbinary=-compress-all, or with --compress-mode=size of nvcc 12.8 and newer",
    source="nvcc manual, --compress-mode; `compression` in `gpuwheel/data/cuda.toml`",
    severity=Severity.WARNING,
)
def _code_uncompressed(case: WheelCase) -> Iterator[Found]:
    """Device code is not compressed (a note below 100 MB)."""
    per_file = {
        name: sum(image.size for image in images if image.codec == "none")
        for name, images in case.wheel.images_of.items()
    }
    if (size := sum(per_file.values())) < _WORTH_SAVING:
        return
    largest = max(per_file, key=lambda name: per_file[name])
    yield Found(
        largest,
        f"holds device code that is not compressed ({size / 1e6:.0f} MB in the wheel, expected LZ4 or zstd)",
        severity=Severity.WARNING if size >= _LARGE else Severity.NOTE,
        facts={"bytes": size, "files": {name: count for name, count in per_file.items() if count}},
        command=_compressing(case),
        cause="",
    )


def _compressing(case: WheelCase) -> str:
    """The command that compresses it, which says so where it takes a newer driver than the wheel is known to have."""
    floor, _ = promised_driver(case.wheel, case.tables)
    readable = min(row.driver for row in case.tables.compression if row.codec == _CODEC)
    said = "" if floor is not None and readable <= floor else f"--driver {readable} "
    return f"gpuwheel repair --compress {said}WHEEL"


@rule(
    "code-debug",
    needs={Part.IMAGES},
    why="kernels compiled for a debugger are not optimised: they run many times slower, and take more registers",
    fix="compile without -G",
    source="nvcc manual, --device-debug",
    severity=Severity.WARNING,
)
def _code_debug(case: WheelCase) -> Iterator[Found]:
    """Device code was compiled for a debugger."""
    for member, images in case.wheel.images_of.items():
        if found := sorted({str(image) for image in images if image.debug}):
            yield Found(member, f"holds device code for a debugger ({', '.join(found)}, expected optimised code)")


@rule(
    "code-line-info",
    needs={Part.IMAGES},
    why="it names folders of the machine that compiled it, and takes room; profilers alone read it",
    fix="compile without -lineinfo",
    source="nvcc manual, --generate-line-info",
    severity=Severity.NOTE,
)
def _code_line_info(case: WheelCase) -> Iterator[Found]:
    """Device code says which lines of which sources it comes from."""
    for member, images in case.wheel.images_of.items():
        # In a fatbin the header tells of a name alone, which nvFatbin writes for other reasons: the code itself tells.
        named = [image for image in images if image.line_info and not image.debug][:_LOOKED_INTO]
        if any(_names_lines(image, member) for image in named):
            yield Found(member, "holds device code that names lines of its sources (found -lineinfo, expected none)")


def _names_lines(image: Image, member: str) -> bool:
    """Whether machine code or PTX does, once it is unpacked; not, where it cannot be."""
    subject = f"{member}: {image}"
    try:
        code = extent(unpacked_image(image, subject))
        found = cubin_image(code, subject) if image.kind == "cubin" else ptx_image(code)
    except AuditError:
        return False
    return found is not None and found.line_info


EMBEDDED_CODE_RULES = (
    _arch_hole,
    _arch_specific_alone,
    _ptx_missing,
    _code_lost,
    _arch_redundant,
    _code_uncompressed,
    _code_debug,
    _code_line_info,
)
"""About a whole wheel (`WheelCase`)."""
