"""Whether the device code in a wheel is what was declared, and what its drivers can load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.binary.fatbin import Image
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.archs import Arch
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["DeclaredCode", "check_device_code", "size_by_arch"]


@dataclass(frozen=True)
class DeclaredCode:
    """What the manifest promises."""

    cubins: frozenset[Arch]
    ptx: frozenset[Arch]
    driver: DriverVersion
    """Oldest driver."""


def check_device_code(images: Sequence[Image], subject: str, declared: DeclaredCode, tables: Tables) -> list[Finding]:
    """What is wrong with the images of a wheel; empty where they are exactly what was declared.

    Args:
        images: Every image of every library.
        subject: What to call them in messages.
        declared: What the manifest promises.
        tables: What drivers can load.
    """
    cubins = {image.arch for image in images if image.kind == "cubin"}
    ptx = {image.arch for image in images if image.kind == "ptx"}
    return [
        *_check_archs(subject, {arch.sm for arch in declared.cubins}, {arch.sm for arch in cubins}),
        *_check_archs(subject, {arch.compute for arch in declared.ptx}, {arch.compute for arch in ptx}),
        *_check_codecs(images, subject, declared.driver, tables),
        *_check_ptx(images, subject, declared.driver, tables),
    ]


def size_by_arch(images: Sequence[Image]) -> dict[str, int]:
    """Bytes in the file per target ("sm_80", "compute_100"), largest first."""
    sizes: dict[str, int] = {}
    for image in images:
        sizes[str(image)] = sizes.get(str(image), 0) + image.size
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def _check_archs(subject: str, declared: set[str], found: set[str]) -> Iterator[Finding]:
    listed = f"found {', '.join(sorted(found)) or 'none'}, expected {', '.join(sorted(declared)) or 'none'}"
    if missing := sorted(declared - found):
        yield Finding(
            *("arch-missing", Severity.ERROR, subject),
            problem=f"lacks device code that the manifest declares: {', '.join(missing)} ({listed})",
            why="on GPUs that only this code serves, every kernel call would fail",
            fix="remove the build folder and build again",
        )
    if extra := sorted(found - declared):
        yield Finding(
            *("arch-undeclared", Severity.ERROR, subject),
            problem=f"holds device code that the manifest does not declare: {', '.join(extra)} ({listed})",
            why="tools and people read the manifest to learn where the wheel runs",
            fix="declare it in `archs`, or remove the build folder and build again",
        )


def _check_codecs(images: Sequence[Image], subject: str, floor: DriverVersion, tables: Tables) -> Iterator[Finding]:
    readable_from = {row.codec: row.driver for row in reversed(tables.compression)}
    for codec in sorted({image.codec for image in images} - {"none"}):
        driver = readable_from.get(codec)
        if driver is not None and driver <= floor:
            continue
        needs = "no known driver reads it" if driver is None else f"read by drivers from {driver} on"
        yield Finding(
            *("compression-driver", Severity.ERROR, subject),
            problem=f"holds device code compressed with {codec} ({needs}, expected one that driver {floor} reads)",
            why="older drivers reject the whole image: every kernel call would fail there",
            fix="build again without own -compress flags" if driver is None else f'set `driver = ">={driver}"`',
        )


def _check_ptx(images: Sequence[Image], subject: str, floor: DriverVersion, tables: Tables) -> Iterator[Finding]:
    cubins = [image.arch for image in images if image.kind == "cubin"]
    # Each source file of a group brings its own PTX; one finding for each target is enough.
    for image in {(image.arch, image.isa): image for image in images if image.kind == "ptx"}.values():
        needed = None if image.isa is None else _driver_of(image.isa, tables)
        # A floor of 575 means that branch, whichever its first release was.
        if needed is None or needed.parts[: len(floor.parts)] <= floor.parts:
            continue
        # Beside a cubin for the same GPUs the PTX only serves newer ones, whose drivers are newer too.
        beside = any(cubin.cubin_runs_on(image.arch) for cubin in cubins)
        yield Finding(
            *("ptx-driver", Severity.NOTE if beside else Severity.ERROR, subject),
            problem=f"holds {image} as PTX ISA {image.isa} (compiled by drivers from {needed} on, floor {floor})",
            why="an older driver cannot compile it"
            + (": GPUs without a cubin need the newer driver" if beside else ", and no cubin serves these GPUs"),
            fix="nothing to do while no promise is made for those GPUs"
            if beside
            else f'add the cubin: archs = ["{image.arch}+PTX"], or set `driver = ">={needed}"`',
        )


def _driver_of(isa: MinorVersion, tables: Tables) -> DriverVersion | None:
    """Driver of the first toolkit that writes this PTX ISA."""
    return next((toolkit.driver for toolkit in tables.cuda.values() if toolkit.ptx_isa >= isa), None)
