"""One kernel group, compiled: sources to images, images to a fatbin each, and the files host code needs of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel._files import write_if_changed
from gpuwheel.binary.fatbin import in_a_row
from gpuwheel.binary.mangled import parse_signature
from gpuwheel.compile.device.header import EmbeddedImage, Launchable, assembly_text, header_text, image_identifiers
from gpuwheel.compile.device.keys import plan_group
from gpuwheel.compile.reuse.store import ContentStore, Stored, all_origins
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import BuiltGroup, BuiltImage, BuiltKernel, KernelCost, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compile.device.keys import GroupPlan, Program
    from gpuwheel.model.kernels import KernelGroup
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["compile_group"]


def compile_group(
    group: KernelGroup, compiler: DeviceCompiler, *, cache: Cache, out: Path, reporter: Reporter, jobs: int
) -> BuiltGroup:
    """Compile what is not in the cache, and write the group's files into `out`, touching only those that changed.

    Args:
        group: what to compile.
        compiler: with what.
        cache: where images are looked up and stored.
        out: folder for `NAME.fatbin`, `NAME.S` and `NAME.kernels.h`; made if needed.
        reporter: hears of progress and of the compiler's warnings.
        jobs: how many images are compiled at once.

    Raises:
        CompileError: a source does not compile, or its kernels cannot be launched from host code.
        ToolchainError: the device compiler does not work.
        CacheError: the cache cannot be written.
    """
    plan = plan_group(group, compiler)
    store = ContentStore(cache, "images", cache.tier)
    if plan.refusal is not None:
        reporter.info(f"kernel group {group.name} is not kept for other builds: {plan.paths.real(plan.refusal)}")
    # One look for the whole group, where nothing changed; images are looked for one by one only then.
    finished = None if plan.refusal else store.load(plan.key, of_parts=True)
    if finished is None:
        finished = _finish(plan, _images(plan, store, cache, reporter, jobs))
        if plan.refusal is None:
            store.save(plan.key, finished)
    # From the store as well: a warning that is told once and never again is forgotten.
    for warning in finished.facts["warnings"]:
        reporter.warn(plan.paths.real(warning))
    return _write(group, finished, out)


def _images(plan: GroupPlan, store: ContentStore, cache: Cache, reporter: Reporter, jobs: int) -> dict[Program, Stored]:
    """The fatbin of each program: from the store, or compiled."""
    asked = {program.key: program for program in plan.programs if program.refusal is None}
    found = store.find(asked, lambda key, stored: all(map(asked[key].is_told_by, stored.facts.values())), of_parts=True)
    images = {asked[key]: stored for key, stored in found.items()}
    missing = [program for program in plan.programs if program not in images]
    if missing:
        from gpuwheel.compile.device.images import ImageBuild  # noqa: PLC0415 (a kept build does without)

        with cache.scratch() as scratch:
            images |= ImageBuild(plan, store, reporter, scratch).run(missing, jobs)
    return images


def _finish(plan: GroupPlan, images: Mapping[Program, Stored]) -> Stored:
    """All fatbins of the group in a row, with what is written beside them and what the compiler warned of."""
    group = plan.group
    sources = {program.shown: images[program] for program in plan.programs}
    with_kernels = {source: stored for source, stored in sources.items() if any(True for _ in _kernels(stored))}
    if not with_kernels:
        msg = f"kernel group {group.name} has no kernel (in {', '.join(sources)})"
        hint = "write a __global__ function; templates need GPUWHEEL_INSTANTIATE(name<arguments>)"
        raise CompileError(msg, hint=hint)
    warnings = [*_warnings(plan, sources)]
    warnings += (f"{name} has no kernel and is left out of the image" for name in sources if name not in with_kernels)
    content, offsets = in_a_row(stored.content for stored in with_kernels.values())
    embedded = list(_embedded(group.name, with_kernels, offsets))
    targets = [arch.sm for arch in group.cubin_archs] + [arch.compute for arch in group.ptx_archs]
    facts = {
        "header": header_text(group.name, embedded, targets),
        "assembly": assembly_text(f"{group.name}.fatbin", embedded),
        "costs": _costs(with_kernels),
        "images": [asdict(_built_image(image)) for image in embedded],
        "warnings": warnings,
    }
    return Stored(facts, content, all_origins(sources.values()))


def _warnings(plan: GroupPlan, sources: Mapping[str, Stored]) -> Iterator[str]:
    """What the compiler warned of: said again on every build, as long as it is so."""
    from gpuwheel.compile.device.diagnostics import by_message  # noqa: PLC0415 (a kept build does without)

    for source, stored in sources.items():
        for message in by_message((target, facts["messages"]) for target, facts in stored.facts.items()):
            yield message if source in plan.paths.real(message) else f"{source}: {message}"


def _write(group: KernelGroup, finished: Stored, out: Path) -> BuiltGroup:
    built = BuiltGroup(
        name=group.name,
        fatbin=out / f"{group.name}.fatbin",
        header=out / f"{group.name}.kernels.h",
        assembly=out / f"{group.name}.S",
        kernels={
            name: {target: KernelCost(**cost) for target, cost in costs.items()}
            for name, costs in finished.facts["costs"].items()
        },
        cubin_archs=group.cubin_archs,
        ptx_archs=group.ptx_archs,
        images=tuple(map(_read_image, finished.facts["images"])),
    )
    write_if_changed(built.fatbin, finished.content)
    write_if_changed(built.assembly, finished.facts["assembly"].encode())
    write_if_changed(built.header, finished.facts["header"].encode())
    return built


def _built_image(image: EmbeddedImage) -> BuiltImage:
    kernels = tuple(BuiltKernel(kernel.symbol, kernel.parameters) for kernel in image.kernels)
    return BuiltImage(image.source, image.offset, image.size, kernels)


def _read_image(facts: dict[str, Any]) -> BuiltImage:
    kernels = tuple(
        BuiltKernel(kernel["symbol"], tuple(Parameter(**parameter) for parameter in kernel["parameters"]))
        for kernel in facts["kernels"]
    )
    return BuiltImage(facts["source"], facts["offset"], facts["size"], kernels)


def _kernels(stored: Stored) -> Iterator[tuple[str, dict[str, Any]]]:
    """(target, facts of one kernel)."""
    for target, facts in stored.facts.items():
        for kernel in facts["kernels"]:
            yield target, kernel


def _embedded(group: str, sources: Mapping[str, Stored], offsets: Iterable[int]) -> Iterator[EmbeddedImage]:
    names = image_identifiers(group, list(sources))
    for (source, stored), (identifier, title), offset in zip(sources.items(), names, offsets, strict=True):
        size = len(stored.content)
        yield EmbeddedImage(source, identifier, title, offset, size, tuple(_launchables(source, stored)))


def _launchables(source: str, stored: Stored) -> Iterator[Launchable]:
    """The kernels of one source over all targets, in order of symbol."""
    seen: dict[str, tuple[str, list[list[int]]]] = {}
    for target, kernel in _kernels(stored):
        other, parameters = seen.setdefault(kernel["symbol"], (target, kernel["parameters"]))
        # Host code is compiled once, and launches whichever image the device has.
        if parameters != kernel["parameters"]:
            msg = f"kernel {kernel['symbol']} of {source} has other parameters on {target} than on {other}"
            raise CompileError(msg, hint="declare parameters, and the types in them, the same for every __CUDA_ARCH__")
    for symbol in sorted(seen):
        yield Launchable(symbol, parse_signature(symbol), tuple(Parameter(*pair) for pair in seen[symbol][1]))


def _costs(sources: Mapping[str, Stored]) -> dict[str, dict[str, Any]]:
    """Demangled kernel name -> target -> fields of its `KernelCost`."""
    costs: dict[str, dict[str, Any]] = {}
    for stored in sources.values():
        for target, kernel in _kernels(stored):
            costs.setdefault(parse_signature(kernel["symbol"]).name, {})[target] = kernel["cost"]
    return {name: costs[name] for name in sorted(costs)}
