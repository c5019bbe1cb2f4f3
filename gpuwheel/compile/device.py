"""One kernel group, compiled: sources to images, images to a fatbin each, and the files host code needs of them."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel.compile.costs import check_budget, summary
from gpuwheel.compile.cubin import read_cubin
from gpuwheel.compile.diagnostics import by_message, compile_failure, read_log
from gpuwheel.compile.header import EmbeddedImage, Launchable, assembly_text, header_text, image_identifiers
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.names import parse_signature
from gpuwheel.compile.options import Target, VirtualPaths, command_line, shipped_include_dirs
from gpuwheel.compile.store import ImageStore, StoredImage, content_key
from gpuwheel.compile.worker_client import CompileJob, LinkJob, LinkMember, worker
from gpuwheel.errors import CompileError
from gpuwheel.model.kernels import BuiltGroup, KernelCost, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compile.worker_client import Event
    from gpuwheel.model.kernels import KernelGroup
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["check_budget", "compile_group", "summary"]

_FACTS = 1
"""Version of the facts beside an image; part of every key."""
_ALIGNMENT = 64


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
    plan = _plan(group, compiler)
    store = ImageStore(cache)
    programs = {program: store.load(program.key) for program in plan.programs}
    missing = [program for program, stored in programs.items() if stored is None]
    if missing:
        with cache.scratch() as scratch:
            build = _Build(group, compiler, store, reporter, scratch, plan.paths)
            programs.update(build.run(missing, jobs))
        _refuse_changed(plan, _plan(group, compiler))
    return _write(group, {program: stored for program, stored in programs.items() if stored is not None}, out, reporter)


@dataclass(frozen=True)
class _Program:
    """One source, with the keys of what it becomes."""

    source: Path
    name: str
    """Virtual."""
    images: Mapping[Target, tuple[str, tuple[str, ...]]]
    """Target -> (key, options)."""
    key: str
    """Of the fatbin."""

    def __hash__(self) -> int:
        return hash((self.source, self.key))


@dataclass(frozen=True)
class _Plan:
    programs: tuple[_Program, ...]
    paths: VirtualPaths


def _plan(group: KernelGroup, compiler: DeviceCompiler) -> _Plan:
    """Keys from contents: what an image depends on, and nothing of where it lies or when it was written."""
    targets = [Target(arch, ptx=False) for arch in group.cubin_archs]
    targets += [Target(arch, ptx=True) for arch in group.ptx_archs]
    paths = VirtualPaths.of(group, compiler)
    shipped = shipped_include_dirs()
    scanner = IncludeScanner(group.include_dirs, (*shipped, *compiler.include_dirs))
    toolchain = {"facts": _FACTS, "compiler": compiler.digest, "headers": _tree_digest(shipped[0])}
    programs = []
    for source in group.sources:
        name = paths.name(source)
        closure = sorted((paths.name(file.path), file.sha256) for file in scanner.closure(source))
        images = {}
        for target in targets:
            options = command_line(group, source, target, paths)
            key = content_key({**toolchain, "name": name, "closure": closure, "options": options})
            images[target] = (key, options)
        key = content_key({**toolchain, "images": [key for key, _ in images.values()], "fatbin": group.compression})
        programs.append(_Program(source, name, images, key))
    return _Plan(tuple(programs), paths)


def _tree_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _refuse_changed(before: _Plan, after: _Plan) -> None:
    """NVRTC reads headers by itself: what it read is what the key says only if nothing changed meanwhile."""
    for old, new in zip(before.programs, after.programs, strict=True):
        if old.key != new.key:
            msg = f"{before.paths.real(old.name)} or a header it includes changed while it was being compiled"
            raise CompileError(msg, hint="build again")


class _Build:
    """One run of the worker."""

    def __init__(
        self,
        group: KernelGroup,
        compiler: DeviceCompiler,
        store: ImageStore,
        reporter: Reporter,
        scratch: Path,
        paths: VirtualPaths,
    ) -> None:
        self._group = group
        self._compiler = compiler
        self._store = store
        self._reporter = reporter
        self._scratch = scratch
        self._paths = paths
        self._images: dict[str, StoredImage] = {}

    def run(self, programs: Sequence[_Program], threads: int) -> dict[_Program, StoredImage]:
        """Compile and link `programs`, as far as their images are not stored."""
        compiling = {}
        for program in programs:
            for target, (key, options) in program.images.items():
                output = self._scratch / key
                stored = self._store.load(key)
                if stored is None:
                    job = CompileJob(key, str(program.source), program.name, options, target.ptx, str(output))
                    compiling[key] = (program, target, job)
                else:
                    self._images[key] = stored
                    output.write_bytes(stored.image)
        linking = {program.key: (program, self._link_job(program)) for program in programs}
        requests = ([job for _, _, job in compiling.values()], [job for _, job in linking.values()])
        failed: dict[_Program, dict[str, tuple[str, ...]]] = {}
        built: dict[_Program, StoredImage] = {}
        label = f"compiling {len(compiling)} images of kernel group {self._group.name}"
        self._reporter.info(f"kernel group {self._group.name}: {len(compiling)} images to compile on {threads} threads")
        with (
            worker(
                self._compiler, requests, root=self._group.root, folders=self._paths.folders, threads=threads
            ) as events,
            self._reporter.progress(label, len(compiling), unit="image") as progress,
        ):
            for event in events:
                if event.id in linking:
                    program, job = linking[event.id]
                    built[program] = self._linked(program, job)
                    continue
                program, target, _ = compiling[event.id]
                progress.advance(1)
                if event.ok:
                    self._compiled(program, target, event)
                else:
                    log = read_log(self._paths.real(event.log))
                    failed.setdefault(program, {})[str(target)] = log.messages
        if failed:
            raise self._failure(failed)
        return built

    def _link_job(self, program: _Program) -> LinkJob:
        members = tuple(
            LinkMember(str(self._scratch / key), target.arch.number, f"{program.source.stem}.{target}", target.ptx)
            for target, (key, _) in program.images.items()
        )
        output = str(self._scratch / program.key)
        return LinkJob(program.key, ("-64", *self._group.compression), members, output)

    def _compiled(self, program: _Program, target: Target, event: Event) -> None:
        key = event.id
        image = (self._scratch / key).read_bytes()
        log = read_log(event.log)
        facts: dict[str, Any] = {"messages": list(log.messages), "kernels": []}
        if not target.ptx:
            for kernel in read_cubin(image, f"the image of {self._paths.real(program.name)} for {target}"):
                cost = asdict(kernel.cost) | {"spill": log.spills.get(kernel.symbol, 0)}
                parameters = [[parameter.offset, parameter.size] for parameter in kernel.parameters]
                facts["kernels"].append({"symbol": kernel.symbol, "parameters": parameters, "cost": cost})
        self._images[key] = StoredImage(facts, image)
        self._store.save(key, self._images[key])

    def _linked(self, program: _Program, job: LinkJob) -> StoredImage:
        facts = {str(target): self._images[key].facts for target, (key, _) in program.images.items()}
        stored = StoredImage(facts, (self._scratch / job.id).read_bytes())
        self._store.save(program.key, stored)
        return stored

    def _failure(self, failed: Mapping[_Program, Mapping[str, tuple[str, ...]]]) -> CompileError:
        """One error for all sources that failed, the first one's message and hint leading."""
        errors = []
        for program in sorted(failed, key=lambda program: program.name):
            targets = sorted(failed[program], key=[str(target) for target in program.images].index)
            messages = {target: failed[program][target] for target in targets}
            errors.append(compile_failure(program.source, self._paths.real(program.name), messages))
        first, *others = errors
        detail = "\n".join(error.detail or "" for error in errors)
        message = "; ".join([first.message, *(error.message for error in others)])
        return CompileError(message, hint=first.hint, detail=detail)


def _write(group: KernelGroup, programs: Mapping[_Program, StoredImage], out: Path, reporter: Reporter) -> BuiltGroup:
    paths = VirtualPaths(group.root)
    sources = {paths.real(program.name): stored for program, stored in programs.items()}
    for source, stored in sources.items():
        _report_warnings(source, stored, reporter)
    images = list(_embedded(group, {s: image for s, image in sources.items() if _has_kernels(s, image, reporter)}))
    if not images:
        msg = f"kernel group {group.name} has no kernel (in {', '.join(sources)})"
        hint = "write a __global__ function; templates need GPUWHEEL_INSTANTIATE(name<arguments>)"
        raise CompileError(msg, hint=hint)
    targets = [arch.sm for arch in group.cubin_archs] + [arch.compute for arch in group.ptx_archs]
    fatbin = b"".join(sources[image.source].image.ljust(_padded(image.size), b"\0") for image in images)
    built = BuiltGroup(
        name=group.name,
        fatbin=out / f"{group.name}.fatbin",
        header=out / f"{group.name}.kernels.h",
        assembly=out / f"{group.name}.S",
        kernels=_costs(sources),
        cubin_archs=group.cubin_archs,
        ptx_archs=group.ptx_archs,
    )
    header = header_text(group.name, images, targets)  # may refuse: before anything is written
    out.mkdir(parents=True, exist_ok=True)
    _write_if_changed(built.fatbin, fatbin)
    _write_if_changed(built.assembly, assembly_text(built.fatbin.name, images).encode())
    _write_if_changed(built.header, header.encode())
    return built


def _kernels(stored: StoredImage) -> Iterator[tuple[str, dict[str, Any]]]:
    """(target, facts of one kernel)."""
    for target, facts in stored.facts.items():
        for kernel in facts["kernels"]:
            yield target, kernel


def _has_kernels(source: str, stored: StoredImage, reporter: Reporter) -> bool:
    found = any(True for _ in _kernels(stored))
    if not found:
        reporter.warn(f"{source} has no kernel and is left out of the image")
    return found


def _report_warnings(source: str, stored: StoredImage, reporter: Reporter) -> None:
    """What the compiler warned of, again on every build, as long as it is so."""
    for message in by_message((target, facts["messages"]) for target, facts in stored.facts.items()):
        reporter.warn(message if source in message else f"{source}: {message}")


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _embedded(group: KernelGroup, sources: Mapping[str, StoredImage]) -> Iterator[EmbeddedImage]:
    offset = 0
    for (source, stored), (identifier, title) in zip(
        sources.items(), image_identifiers(group.name, list(sources)), strict=True
    ):
        size = len(stored.image)
        yield EmbeddedImage(source, identifier, title, offset, size, tuple(_launchables(source, stored)))
        offset += _padded(size)


def _launchables(source: str, stored: StoredImage) -> Iterator[Launchable]:
    """The kernels of one source over all targets, in order of symbol."""
    seen: dict[str, tuple[str, list[list[int]]]] = {}
    for target, kernel in _kernels(stored):
        other, parameters = seen.setdefault(kernel["symbol"], (target, kernel["parameters"]))
        if parameters != kernel["parameters"]:
            msg = f"kernel {kernel['symbol']} of {source} has other parameters on {target} than on {other}"
            raise CompileError(msg, hint="declare parameters, and the types in them, the same for every __CUDA_ARCH__")
    for symbol in sorted(seen):
        yield Launchable(symbol, parse_signature(symbol), tuple(Parameter(*pair) for pair in seen[symbol][1]))


def _costs(sources: Mapping[str, StoredImage]) -> dict[str, dict[str, KernelCost]]:
    costs: dict[str, dict[str, KernelCost]] = {}
    for stored in sources.values():
        for target, kernel in _kernels(stored):
            name = parse_signature(kernel["symbol"]).name
            costs.setdefault(name, {})[target] = KernelCost(**kernel["cost"])
    return {name: costs[name] for name in sorted(costs)}


def _write_if_changed(path: Path, content: bytes) -> None:
    """Atomic, and the time of an unchanged file stays, so that nothing is built again for it."""
    if path.is_file() and path.read_bytes() == content:
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
