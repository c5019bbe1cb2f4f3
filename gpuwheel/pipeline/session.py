"""What every mode needs to compile, and what it hands back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from gpuwheel._cache import Cache
from gpuwheel._environment import ToolEnvironment, tool_environment
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.asking import compilers_asked_for
from gpuwheel.compile.cmake.memory import available_cores
from gpuwheel.compile.device.costs import check_budget, summary
from gpuwheel.compile.manifest import manifests
from gpuwheel.compile.reuse.remote.machine_settings import is_remote_set
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.errors import ToolchainError
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.kernels import CompiledGroup
from gpuwheel.toolchain import Context, find_torch_sdk
from gpuwheel.toolchain.linking.link_stubs import find_link_stubs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gpuwheel.compile.manifest import Entry
    from gpuwheel.compile.reuse.remote.remote_tier import RemoteTier
    from gpuwheel.config import LoadedConfig
    from gpuwheel.lock.check import BuildInputs
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.jobs import Job
    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.model.promises import Expected
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.model.toolchain import AnyToolchain, HostCompiler, LinkStubs, TorchSdk
    from gpuwheel.wheel import Wheel

__all__ = ["Compiled", "ModeBuild", "Session", "jobs_of"]

Group = TypeVar("Group", bound=CompiledGroup)


@dataclass(frozen=True)
class Compiled:
    """A wheel before checking and packing."""

    wheel: Wheel
    """As the inner backend made it, with the platform's plain tag."""
    expected: Expected
    toolchain: AnyToolchain
    """What compiled it."""
    save: Callable[[], None] = lambda: None
    """Keeps what was compiled for other builds; called when the wheel was checked."""


class ModeBuild(Protocol):
    """One mode, as the hooks call it."""

    def requires(self) -> tuple[Pin, ...]:
        """Exact pins that the build environment has to hold."""

    def inputs(self) -> BuildInputs:
        """What the build takes from outside the project, for a lock; nothing is downloaded."""

    def fetch(self) -> None:
        """Bring what the build downloads into the cache."""

    def compiled(self, *, editable: bool, keep: bool = False) -> AbstractContextManager[Compiled]:
        """Find the toolchain, compile, and give the inner backend's wheel.

        Args:
            editable: the wheel leaves the Python files where they are.
            keep: compile in a folder that stays, so that the next time compiles only what changed.
        """


@dataclass(frozen=True)
class Session:
    """One build of one cell."""

    config: LoadedConfig
    job: Job
    environ: Mapping[str, str]
    reporter: Reporter

    @property
    def cell(self) -> Cell:
        """Which wheel is built."""
        return self.job.cell

    @cached_property
    def cache(self) -> Cache:
        """The one that the environment names; it knows what was taken from it."""
        cache = Cache.from_environment(self.environ)
        cache.tier = self.remote
        return cache

    @cached_property
    def remote(self) -> RemoteTier | None:
        """What is beneath the cache, if this machine has a remote.

        Raises:
            ConfigError: what is said of it cannot be understood.
        """
        if not is_remote_set(self.environ):
            return None
        from gpuwheel.compile.reuse.remote.finding import find_remote  # noqa: PLC0415 (few builds have one)

        return find_remote(self.environ, self.reporter)

    @cached_property
    def tools(self) -> ToolEnvironment:
        """What compilers, linkers and CMake see of the environment."""
        return tool_environment(self.environ, self.cell.mode.value)

    @property
    def inside(self) -> inner.Inside:
        """Where the inner backend works."""
        return inner.Inside(self.config.project.root, self.tools.variables)

    @cached_property
    def context(self) -> Context:
        """For the toolchain; it counts what is downloaded."""
        return Context(self.cache, self.environ, self.reporter)

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH, if it is set."""
        return epoch_of(self.environ)

    @property
    def jobs(self) -> int:
        """As `jobs_of` the environment."""
        return jobs_of(self.environ)

    @property
    def compilers(self) -> int:
        """How many compilers are asked for at once: as many jobs, or more for a broker to choose from."""
        return compilers_asked_for(self.environ, self.jobs)

    def torch_sdk(self, headers: HeadersPin, host: HostCompiler) -> TorchSdk:
        """The headers of torch and what stands in for its libraries when linking."""
        classic = self.cell.torch is TorchAbi.EXACT
        return find_torch_sdk(headers, context=self.context, classic=classic, machine=host.machine)

    def found(self, device: str, torch: TorchSdk | None, host: HostCompiler) -> LinkStubs | None:
        """Say what a toolchain with host code consists of, and find what to link against for the wheel's platform."""
        self.reporter.info(device)
        if torch is not None:
            floor = f" for torch {self.cell.torch_floor}" if self.cell.mode is Mode.EMBED else ""
            self.reporter.info(f"torch   headers of {torch.version}{floor} ({torch.found_via})")
        self.reporter.info(f"host    {host.identity} ({host.found_via})")
        return self.link_stubs(host)

    def manifests(self, entries: Iterable[tuple[str, str, Entry]]) -> dict[str, bytes]:
        """`_kernels.json` of each package that holds kernels, by the package's folder in the wheel."""
        return manifests(entries, toolkit=self.cell.cuda, driver_floor=self.cell.driver_floor)

    def link_stubs(self, host: HostCompiler) -> LinkStubs | None:
        """What to link against for the wheel's platform; `None`: the libraries of the machine that builds.

        The default platform gives way, with a warning, where the compiler lacks what it takes; one that the project
        names does not.

        Raises:
            ToolchainError: the platform that the project names cannot be linked for.
        """
        platform = self.config.settings.wheel.platform
        if platform == "system":
            return None
        try:
            stubs = find_link_stubs(platform, host, context=self.context)
        except ToolchainError as error:
            # Somebody who named a platform wants that or nothing; the default is a kindness, and steps back.
            if "wheel.platform" in self.config.origins:
                raise
            self.reporter.warn(f"linking for this machine alone: {error.message}; {error.hint}")
            return None
        self.reporter.info(f"link    libraries of {stubs.platform} with glibc {stubs.glibc} ({stubs.found_via})")
        return stubs

    def link_digests(self, host: HostCompiler) -> dict[str, str]:
        """What is linked against in place of the machine's own libraries, for a lock."""
        stubs = self.link_stubs(host)
        return {} if stubs is None else {f"link-time libraries of {stubs.platform}": stubs.digest}

    def judged(self, built: Group) -> Group:
        """Say what a compiled kernel group costs, and hold it to its budget.

        Raises:
            CompileError: a kernel takes more registers.
        """
        for line in summary(built):
            self.reporter.info(line)
        budget = self.config.settings.kernels[built.name].budget
        if budget is not None:
            check_budget(built, budget)
        return built

    @contextmanager
    def workspace(self, *, keep: bool) -> Iterator[Path]:
        """Where to compile: kept for an editable install, so that the next one compiles only what changed.

        Its path depends on the project and what is built of it alone, for caches of compilers. What stays is never
        shared by an editable install and a wheel, which configure it differently.
        """
        stays = keep or "build-dir" in self.config.inner
        # NUL is in no path: two projects cannot meet in one name.
        name = "\0".join([str(self.config.project.root), self.cell.identifier, "editable" if keep else "wheel"])

        def on_wait() -> None:
            self.reporter.info("waiting for another build of this project")

        with self.cache.workspace(name, keep=stays, on_wait=on_wait) as work, self.cache.guard():
            yield work


def jobs_of(environ: Mapping[str, str]) -> int:
    """MAX_JOBS, as torch's own builds read it, else the cores this process may use."""
    text = environ.get("MAX_JOBS", "")
    # isascii: isdigit is true of superscripts too, which int() refuses. Five digits are no number of jobs.
    stated = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0  # noqa: PLR2004
    return stated or available_cores()
