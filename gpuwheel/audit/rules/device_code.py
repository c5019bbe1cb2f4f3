"""Whether device code is what was declared, and what its drivers can load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.contents.kernel_rows import kernel_rows
from gpuwheel.audit.kernel_manifests import MANIFEST
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.audit.cases import CodeCase, WheelCase
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.kernels import KernelCost
    from gpuwheel.model.versions import DriverVersion, MinorVersion

__all__ = ["DEVICE_CODE_RULES", "MANIFEST_CODE_RULES"]

_NEEDS = {Part.IMAGES, Part.MANIFESTS}


def _targets(case: CodeCase) -> Iterator[tuple[set[str], set[str], str]]:
    """`(declared, found, both for a message)` of cubins, then of PTX."""
    if case.declared is None:
        return
    declared = ({arch.sm for arch in case.declared.cubins}, {arch.compute for arch in case.declared.ptx})
    for wanted, found in zip(declared, (case.targets("cubin"), case.targets("ptx")), strict=True):
        listed = f"found {', '.join(sorted(found)) or 'none'}, expected {', '.join(sorted(wanted)) or 'none'}"
        yield wanted, found, listed


@rule(
    "arch-missing",
    needs=_NEEDS,
    why="on GPUs that only this code serves, every kernel call would fail",
    fix="remove the build folder and build again",
    source="CUDA C++ Programming Guide, Binary Compatibility",
)
def _arch_missing(case: CodeCase) -> Iterator[Found]:
    """The wheel lacks device code that its manifest declares."""
    for declared, found, listed in _targets(case):
        if missing := sorted(declared - found):
            problem = f"lacks device code that the manifest declares: {', '.join(missing)} ({listed})"
            yield Found(case.subject, problem)


@rule(
    "arch-undeclared",
    needs=_NEEDS,
    why="tools and people read the manifest to learn where the wheel runs",
    fix="declare it in `archs`, or remove the build folder and build again",
    source="the manifest's schema, `gpuwheel/data/kernels.schema.json`",
)
def _arch_undeclared(case: CodeCase) -> Iterator[Found]:
    """The wheel holds device code that its manifest does not declare."""
    for declared, found, listed in _targets(case):
        if extra := sorted(found - declared):
            problem = f"holds device code that the manifest does not declare: {', '.join(extra)} ({listed})"
            yield Found(case.subject, problem)


@rule(
    "compression-driver",
    needs={Part.IMAGES},
    why="older drivers reject the whole image: every kernel call would fail there",
    fix='set `driver = ">=..."` to the first that reads it, or build without own -compress flags',
    source="`compression` in `gpuwheel/data/cuda.toml`, with where each row was read",
)
def _compression_driver(case: CodeCase) -> Iterator[Found]:
    """Device code is compressed in a way that the oldest promised driver does not read (a warning without manifest)."""
    floor = case.driver
    # Reversed, so that of two rows with one codec the oldest driver is kept.
    readable_from = {row.codec: row.driver for row in reversed(case.tables.compression)}
    for codec in sorted({image.codec for image in case.images} - {"none"}):
        driver = readable_from.get(codec)
        if driver is not None and driver <= floor:
            continue
        needs = "no known driver reads it" if driver is None else f"read by drivers from {driver} on"
        why, severity = None, None
        if case.declared is None:
            fix = f"compile with --compress-mode=speed (LZ4), or tell users that the driver must be {driver} or newer"
            why, severity = "older drivers of its CUDA major reject it: every kernel call fails", Severity.WARNING
        elif driver is None:
            fix = "build again without own -compress flags"
        else:
            fix = f'set `driver = ">={driver}"`'
        problem = f"holds device code compressed with {codec} ({needs}, expected one that driver {floor} reads)"
        yield Found(case.subject, problem, why, fix, severity, facts={"codec": codec, "floor": str(floor)})


@rule(
    "ptx-driver",
    needs={Part.IMAGES},
    why="an older driver cannot compile it",
    fix="add a cubin for these GPUs to `archs`, or raise `driver`; beside a cubin there is nothing to do",
    source="PTX ISA, Release Notes: the driver of each version; `gpuwheel/data/cuda.toml`",
)
def _ptx_driver(case: CodeCase) -> Iterator[Found]:
    """PTX is newer than the oldest promised driver compiles (a note where cubins serve the same GPUs)."""
    floor = case.driver
    cubins = [image.arch for image in case.images if image.kind == "cubin"]
    # Each source file of a group brings its own PTX; one finding for each target is enough.
    for image in {(image.arch, image.isa): image for image in case.images if image.kind == "ptx"}.values():
        needed = None if image.isa is None else _driver_of(image.isa, case.tables)
        # A floor of 575 means that branch, whichever its first release was.
        if needed is None or needed.parts[: len(floor.parts)] <= floor.parts:
            continue
        problem = f"holds {image} as PTX ISA {image.isa} (compiled by drivers from {needed} on, floor {floor})"
        why = "an older driver cannot compile it"
        # Beside a cubin for the same GPUs the PTX only serves newer ones, whose drivers are newer too.
        if any(cubin.cubin_runs_on(image.arch) for cubin in cubins):
            why += ": GPUs without a cubin need the newer driver"
            fix = "nothing to do while no promise is made for those GPUs"
            yield Found(case.subject, problem, why, fix, Severity.NOTE)
        elif case.declared is None:
            fix = f"add a cubin for {image.arch}, or tell users that such a GPU takes driver {needed} or newer"
            yield Found(case.subject, problem, f"{why}, and no cubin serves these GPUs", fix, Severity.WARNING)
        else:
            fix = f'add the cubin: archs = ["{image.arch}+PTX"], or set `driver = ">={needed}"`'
            yield Found(case.subject, problem, f"{why}, and no cubin serves these GPUs", fix)


def _driver_of(isa: MinorVersion, tables: Tables) -> DriverVersion | None:
    """Driver of the first toolkit that writes this PTX ISA."""
    return next((toolkit.driver for toolkit in tables.cuda.values() if toolkit.ptx_isa >= isa), None)


@rule(
    "cubin-driver",
    needs={Part.IMAGES},
    why="NVIDIA has them load machine code of their own CUDA major and older ones alone: there kernel calls may fail",
    fix='set `driver = ">=..."` to the first of that CUDA, or compile with a toolkit of an older one',
    source="CUDA Compatibility, Minor Version Compatibility; `cubins` in `gpuwheel/data/cuda.toml`, measured",
)
def _cubin_driver(case: CodeCase) -> Iterator[Found]:
    """Machine code is of a newer CUDA than the oldest promised driver has to load (a warning without manifest)."""
    for row in case.tables.cubins:
        driver = case.tables.cuda[row.toolkit].driver_floor
        # GPUs from there on come with newer drivers, and older toolkits write the format for them.
        found = {str(one) for one in case.images if one.version == row.version and one.arch < row.below}
        if not found or driver <= case.driver:
            continue
        listed = f"{', '.join(sorted(found))}; for drivers from {driver} on, floor {case.driver}"
        fix, severity = None, None
        if case.declared is None:
            older = next(one for one, toolkit in case.tables.cuda.items() if toolkit.driver_floor == case.driver)
            fix = (
                f"compile with a toolkit of CUDA {older.major}, or tell users that the driver must be {driver} or newer"
            )
            severity = Severity.WARNING
        facts = {"archs": sorted(found), "toolkit": str(row.toolkit), "driver": str(driver), "floor": str(case.driver)}
        problem = f"holds machine code of CUDA {row.toolkit.major} ({listed})"
        yield Found(case.subject, problem, None, fix, severity, facts=facts)


@rule(
    "arch-library",
    needs=_NEEDS,
    why="on GPUs that only this code serves, every kernel call of the library would fail, whatever others hold",
    fix="remove the build folder and build again",
    source="the manifest's schema, `gpuwheel/data/kernels.schema.json`: in mode `nvcc` a group is a library",
)
def _arch_library(case: WheelCase) -> Iterator[Found]:
    """A library holds other device code than the manifest declares for it, though the wheel as a whole does not."""
    manifests = case.wheel.manifests
    if isinstance(manifests, ValueError):
        return
    for manifest in manifests:
        for name, declared in manifest.groups.items():
            for member in _of_group(manifest.folder, name, case.wheel.images_of):
                images = case.wheel.images_of[member]
                wanted = {arch.sm for arch in declared.cubins} | {arch.compute for arch in declared.ptx}
                found = {str(image) for image in images if image.kind in {"cubin", "ptx"}}
                if found != wanted:
                    listed = f"found {', '.join(sorted(found))}, expected {', '.join(sorted(wanted))}"
                    yield Found(member, f"holds other device code than the manifest declares for {name!r} ({listed})")


def _of_group(folder: str, name: str, members: Iterable[str]) -> Iterator[str]:
    """Libraries that a manifest's group is: of that name, with or without a tag of Python."""
    for member in members:
        place, _, file = member.rpartition("/")
        if place == folder and file.partition(".")[0] in {name, f"lib{name}"} and ".so" in file:
            yield member


@rule(
    "manifest-kernels",
    needs=_NEEDS,
    why="tools and people read from it what a kernel needs of a GPU: registers, shared memory, stack",
    fix="remove the build folder and build again; do not edit the manifest by hand",
    source="the manifest's schema, `gpuwheel/data/kernels.schema.json`; CUDA Binary Utilities, cuobjdump -res-usage",
)
def _manifest_kernels(case: WheelCase) -> Iterator[Found]:
    """The manifest declares a kernel, or a cost of one, that no machine code in the wheel has."""
    manifests = case.wheel.manifests
    if isinstance(manifests, ValueError) or not any(code.kernels for it in manifests for code in it.groups.values()):
        return
    unread: list[str] = []
    rows = kernel_rows(case.wheel.images_of, unread)
    if unread:
        return  # packed by what this Python cannot unpack: nothing can be told
    # Names are those of C++ there and mangled ones here: what a kernel costs on an architecture tells it apart.
    held = {(row.target, row.size, row.registers, row.shared, row.local) for row in rows}
    for manifest in manifests:
        declared = [
            (name, arch, cost)
            for code in manifest.groups.values()
            for name, costs in code.kernels.items()
            for arch, cost in costs.items()
        ]
        wrong = [one for one in declared if (one[1], *_held_as(one[2])) not in held]
        if wrong:
            name, arch, cost = wrong[0]
            told = f"{cut(name)} on {arch} with {cost.registers} registers and {cost.bytes} bytes"
            listed = f"{len(wrong)} of {len(declared)}: {told}; expected what the cubins hold"
            yield Found(f"{manifest.folder}/{MANIFEST}", f"declares kernels that the wheel does not hold so ({listed})")


def _held_as(cost: KernelCost) -> tuple[int, int, int, int]:
    return cost.bytes, cost.registers, cost.shared, cost.local


MANIFEST_CODE_RULES = (_arch_library, _manifest_kernels)
"""About a whole wheel (`WheelCase`)."""
DEVICE_CODE_RULES = (_arch_missing, _arch_undeclared, _compression_driver, _ptx_driver, _cubin_driver)
"""About one set of images (`CodeCase`)."""
