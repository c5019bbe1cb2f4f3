"""One run of the worker: what is not stored is compiled, read, stored, and linked into a fatbin per program."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel.binary.cubin import read_cubin
from gpuwheel.compile.device.command_line import shipped_include_dirs
from gpuwheel.compile.device.diagnostics import compile_failure, read_log
from gpuwheel.compile.device.worker_client import CompileJob, LinkJob, LinkMember, Request, run_worker
from gpuwheel.compile.messages.where import Place
from gpuwheel.compile.reuse.store import ContentStore, Stored, all_origins
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compile.device.command_line import Target
    from gpuwheel.compile.device.keys import GroupPlan, Program
    from gpuwheel.compile.device.worker_client import Event
    from gpuwheel.model.reporter import Reporter

__all__ = ["ImageBuild"]


class ImageBuild:
    """Builds the images of some programs of a group, in a scratch folder on the cache's disk."""

    def __init__(self, plan: GroupPlan, store: ContentStore, reporter: Reporter, scratch: Path) -> None:
        self._plan = plan
        self._store = store
        self._reporter = reporter
        self._scratch = scratch
        self._images: dict[str, Stored] = {}
        self._failed: dict[Program, dict[str, tuple[str, ...]]] = {}

    def run(self, programs: Sequence[Program], threads: int) -> dict[Program, Stored]:
        """The fatbin of each program, with the facts of its images by target.

        Raises:
            CompileError: a program does not compile, or a file changed meanwhile.
            ToolchainError: the compiler does not work.
            CacheError: the cache cannot be written.
        """
        kept = self._kept(programs)
        compiling = {
            job.id: (program, target, job) for program in programs for target, job in self._missing(program, kept)
        }
        linking = {program.key: program for program in programs}
        request = Request(
            compile=tuple(job for _, _, job in compiling.values()),
            link=tuple(self._link_job(program) for program in programs),
            root=str(self._plan.group.root),
            folders={number: str(folder) for number, folder in self._plan.paths.folders.items()},
            threads=threads,
        )
        label = f"kernel group {self._plan.group.name}: compiling {len(compiling)} image{'s' * (len(compiling) != 1)}"
        built: dict[Program, Stored] = {}
        with (
            run_worker(self._plan.compiler, request) as events,
            self._reporter.progress(label, len(compiling), unit="image") as progress,
        ):
            for event in events:
                if event.id in linking:
                    built[linking[event.id]] = self._linked(linking[event.id])
                else:
                    program, target, _ = compiling[event.id]
                    self._compiled(program, target, event)
                    progress.advance(1)
        # Also where something failed: what did compile need not be compiled again.
        self._store.flush()
        if self._failed:
            raise self._failure()
        return built

    def _kept(self, programs: Sequence[Program]) -> dict[str, Stored]:
        """Images that are stored, by key."""
        asked = {key: one for one in programs if one.refusal is None for key in one.image_keys.values()}
        return self._store.find(asked, lambda key, stored: asked[key].is_told_by(stored.facts))

    def _missing(self, program: Program, kept: Mapping[str, Stored]) -> list[tuple[Target, CompileJob]]:
        """Jobs for the images that are not stored; the others are laid out for the link."""
        jobs = []
        for target, key in program.image_keys.items():
            stored = kept.get(key)
            if stored is None:
                output = str(self._scratch / key)
                job = CompileJob(
                    key, str(program.source), program.name, program.options[target], ptx=target.ptx, output=output
                )
                jobs.append((target, job))
            else:
                self._images[key] = stored
                (self._scratch / key).write_bytes(stored.content)
        return jobs

    def _link_job(self, program: Program) -> LinkJob:
        members = tuple(
            LinkMember(str(self._scratch / key), target.arch.number, f"{program.source.stem}.{target}", ptx=target.ptx)
            for target, key in program.image_keys.items()
        )
        options = ("-64", *self._plan.group.compression)
        return LinkJob(program.key, options, members, str(self._scratch / program.key))

    def _compiled(self, program: Program, target: Target, event: Event) -> None:
        if not event.ok:
            log = read_log(self._plan.paths.real(event.log))
            self._failed.setdefault(program, {})[str(target)] = log.messages
            return
        # NVRTC reads headers by itself: what it read is what the key says only if nothing changed meanwhile.
        if not self._plan.is_current(program):
            msg = f"{program.shown} or a file it includes changed while it was being compiled"
            raise CompileError(msg, hint="build again")
        image = (self._scratch / event.id).read_bytes()
        log = read_log(event.log)
        facts: dict[str, Any] = {"messages": list(log.messages), "texts": program.texts, "kernels": []}
        if not target.ptx:
            for kernel in read_cubin(image, f"the image of {program.shown} for {target}"):
                cost = asdict(kernel.cost) | {"spill": log.spills.get(kernel.symbol, 0)}
                parameters = [[parameter.offset, parameter.size] for parameter in kernel.parameters]
                facts["kernels"].append({"symbol": kernel.symbol, "parameters": parameters, "cost": cost})
        self._images[event.id] = Stored(facts, image)
        self._keep(program, event.id, self._images[event.id])

    def _linked(self, program: Program) -> Stored:
        images = {str(target): self._images[key] for target, key in program.image_keys.items()}
        facts = {target: image.facts for target, image in images.items()}
        stored = Stored(facts, (self._scratch / program.key).read_bytes(), all_origins(images.values()))
        self._keep(program, program.key, stored)
        return stored

    def _keep(self, program: Program, key: str, stored: Stored) -> None:
        if program.refusal is None:
            self._store.save_soon(key, stored)

    def _failure(self) -> CompileError:
        """One error for all programs that failed: the first one's words, everyone's messages."""
        errors = [
            compile_failure(self._place(program), _in_order(program, self._failed[program]), len(program.image_keys))
            for program in self._plan.programs
            if program in self._failed
        ]
        first, others = errors[0], len(errors) - 1
        more = f"\n  (and {others} other source{'s' * (others > 1)} of the group)" if others else ""
        detail = "\n".join(error.detail or "" for error in errors)
        return CompileError(first.message + more, hint=first.hint, detail=detail)

    def _place(self, program: Program) -> Place:
        group, compiler = self._plan.group, self._plan.compiler
        folders = (*group.include_dirs, *shipped_include_dirs(), *compiler.include_dirs)
        return Place(group.root, "group", source=program.shown, include_dirs=folders)


def _in_order(program: Program, failed: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """What threads finish in any order, by target as declared."""
    return {str(target): failed[str(target)] for target in program.image_keys if str(target) in failed}
