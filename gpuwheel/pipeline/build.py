"""What the hooks of a build frontend do, whatever the mode."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._environment import anchored, tool_variables
from gpuwheel._files import atomic_file
from gpuwheel.compatibility import known_versions, load_tables
from gpuwheel.compile.cmake import inner
from gpuwheel.compile.reuse.remote.machine_settings import remote_requirements
from gpuwheel.config import load_config, project_files, requirements
from gpuwheel.config.reading.shaping import shaping
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.errors import ConfigError
from gpuwheel.lock.check import check_inputs, check_installed, locked_requirements
from gpuwheel.lock.file import LOCK_FILE, read_lock
from gpuwheel.model.choices import Mode
from gpuwheel.pipeline.installed_torch import compare_torch
from gpuwheel.pipeline.modes import compiling_build, host_code_build, mode_build
from gpuwheel.pipeline.session import Session
from gpuwheel.plan import Here, choose, linked_requirements, plan, resolve_job
from gpuwheel.toolchain import check_platform, probe_platform
from gpuwheel.toolchain.build_constraints import Excluded, excluded_pins
from gpuwheel.toolchain.host import target_machine
from gpuwheel.toolchain.python_headers import running_python
from gpuwheel.wheel import (
    SBOM_FILE,
    WheelEdits,
    add_requirements,
    edited_metadata,
    folder_digest,
    labelled_folder,
    leave_requirements,
    rewrite_sdist,
    toolchain_sbom,
    with_lock,
    with_origins,
    with_sdist,
    with_shaping,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.lock.check import BuildInputs
    from gpuwheel.lock.file import Lock
    from gpuwheel.model.cells import Cell, Decision
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.model.toolchain import AnyToolchain
    from gpuwheel.pipeline.dev import DevBuild
    from gpuwheel.pipeline.session import ModeBuild
    from gpuwheel.plan.views.overview import Overview
    from gpuwheel.toolchain import Context

__all__ = ["Build"]


def _place(made: Path, out: Path) -> int:
    """Copy a finished file to where the frontend wants it, whole or not at all; its size in bytes."""
    # Not renamed: it was made in the cache, often on another file system than `out`, where rename(2) fails with
    # EXDEV.
    data = made.read_bytes()
    with atomic_file(out / made.name) as file:
        file.write(data)
    return len(data)


class Build:
    """One project, as one call of a frontend sees it."""

    def __init__(
        self,
        root: Path,
        environ: Mapping[str, str],
        config_settings: Mapping[str, str | list[str]],
        reporter: Reporter,
    ) -> None:
        # Another part of the process may change the current folder later: from here on, nothing is relative to it.
        self._root = root.absolute()
        self._environ = anchored(environ, self._root)
        self._config_settings = config_settings
        self._reporter = reporter

    @cached_property
    def config(self) -> LoadedConfig:
        """What the project asks for."""
        known = known_versions(load_tables())
        config = load_config(self._root, environ=self._environ, config_settings=self._config_settings, known=known)
        # Told here and not where a hook begins: the value is cached, so each is told once, whoever asks first.
        for warning in config.warnings:
            self._reporter.warn(warning)
        for note in config.notes:
            self._reporter.info(note)
        return config

    @cached_property
    def cell(self) -> Cell:
        """The one wheel that this call builds.

        Raises:
            PlanError: none can be built here; every candidate is named with its reason.
        """
        # The machine that CXX compiles for, not the one that runs: the two differ in a cross build.
        here = Here(running_python(), target_machine(self._environ))
        return choose(self.plan(), self._reporter, here, self.config.settings.only)

    @cached_property
    def _session(self) -> Session:
        config = self.config
        job = resolve_job(self.cell, config.settings, project_files(config), load_tables())
        return Session(config, job, self._environ, self._reporter)

    @cached_property
    def _mode(self) -> ModeBuild:
        return mode_build(self._session)

    def plan(self) -> tuple[Decision, ...]:
        """Every candidate cell with its verdict; nothing is built."""
        return plan(self.config, load_tables(), machine=target_machine(self._environ))

    def overview(self, *, against_next: bool = False) -> Overview:
        """The plan with everything that is told of it; what new releases would change too, if asked.

        Raises:
            PlanError: two cells would write one file.
        """
        from gpuwheel.pipeline.planning.planned import overview, with_next  # noqa: PLC0415 (a wheel does without)

        machine = target_machine(self._environ)
        shown = overview(self.config, self.plan(), self._requirements_of, machine=machine)
        return with_next(shown, self.config, machine=machine) if against_next else shown

    @cached_property
    def context(self) -> Context:
        """What the toolchain stage is called with."""
        return self._session.context

    @cached_property
    def inputs(self) -> BuildInputs:
        """What a build takes from outside the project; nothing is downloaded."""
        self._check_platform()
        return self._mode.inputs()

    def fetch(self) -> None:
        """Fill the cache, so that a build needs no network."""
        self._check_platform()
        self.check_lock()
        self._mode.fetch()

    def check_lock(self) -> None:
        """Refuse to go on if the build is locked and would use what its lock file does not name.

        Raises:
            LockError: it would, or there is no lock file.
        """
        if self._lock is not None:
            check_inputs(self._lock, self.inputs)

    def presets(self) -> Path:
        """Write a preset for the project's own CMake into `CMakeUserPresets.json`; return its path.

        Raises:
            ConfigError: gpuwheel writes the CMake project, or the file holds something else.
        """
        from gpuwheel._files import write_if_changed  # noqa: PLC0415 (a wheel does without)
        from gpuwheel.compile.cmake.user_presets import PRESETS_FILE, presets_document  # noqa: PLC0415

        # CMake reads the file beside the CMakeLists.txt alone (cmake-presets(7)): a generated project is not kept for
        # people.
        if self.config.settings.cmake is None:
            msg = f"{self.config.project.name} has no CMake project of its own (found no key cmake, expected one)"
            raise ConfigError(
                msg, hint='cmake = "CMakeLists.txt" in [tool.gpuwheel], or -C build-dir=build for editors'
            )
        self._check_platform()
        self.check_lock()
        # A project with its own CMake always has host code: modes without any have nothing for CMake to compile.
        settings = host_code_build(self._session).cmake_settings()
        path = (self._root / self.config.settings.cmake).with_name(PRESETS_FILE)
        existing = path.read_bytes() if path.is_file() else None
        write_if_changed(path, presets_document(existing, settings, title=f"gpuwheel {self.cell.identifier}"))
        return path

    def requires(self, *, editable: bool) -> list[str]:
        """What a build environment needs beside gpuwheel: exact pins of the device compiler, and what runs CMake."""
        self._check_platform()
        self.check_lock()
        if self._lock is not None:
            # The lock has everything that the environment is made of, what runs CMake included.
            return locked_requirements(self._lock)
        with_cmake = self._runs_cmake(editable=editable)
        tools = inner.requires(self._session.inside, self.config.inner, editable=editable, with_cmake=with_cmake)
        pins = () if self._excluded else (pin.requirement for pin in self._mode.requires())
        return [*tools, *pins, *remote_requirements(self._environ)]

    @cached_property
    def _excluded(self) -> list[Excluded]:
        """Pins of the mode that the user's constraints exclude; asked for, they would end in the resolver."""
        return excluded_pins(self._mode.requires(), self._environ)

    def _say_excluded(self) -> None:
        for one in self._excluded:
            where = f"{one.origin} holds build environments to {one.constraint}"
            self._reporter.info(f"{one.pin.requirement} goes into gpuwheel's cache: {where}")

    def prepare(self, out: Path, *, editable: bool) -> str:
        """Write `.dist-info` and return its name."""
        # As in the build that follows: the wheel's metadata has to match what is written here (PEP 517).
        settings = inner.cmake_settings if self._runs_cmake(editable=editable) else inner.plain_settings
        info = inner.prepare(
            self._session.inside, out, settings(self.config.inner, self.cell.python_tag), editable=editable
        )
        metadata = info / "METADATA"
        metadata.write_bytes(edited_metadata(metadata.read_bytes(), self._edits))
        local = self._edits.local
        return info.name if local is None else info.rename(out / labelled_folder(info.name, local)).name

    def _runs_cmake(self, *, editable: bool) -> bool:
        """Whether the build does; where it does not, the build environment has no CMake."""
        # An editable wheel of mode `kernels` has CMake install its files: the import finder of scikit-build-core
        # knows no others.
        return self.cell.mode is not Mode.PYTHON and (editable or self.cell.mode is not Mode.KERNELS)

    def sdist(self, out: Path) -> str:
        """Collect an sdist whose PKG-INFO says what the wheel will say, and return its name.

        Where wheels differ in what they require, PKG-INFO leaves it to them (`Dynamic`, PEP 643).
        """
        from gpuwheel.pipeline.sdist_contents import check_sdist  # noqa: PLC0415 (a wheel does without)

        with Cache.from_environment(self._environ).scratch() as scratch:
            inside = inner.Inside(self._root, tool_variables(self._environ))
            made = inner.build_sdist(inside, scratch, self.config.inner)
            # Before it is placed: an sdist that cannot be built is not left where somebody uploads it.
            check_sdist(made, self.config, self._reporter)
            decisions = self.plan()
            cells = [decision.cell for decision in decisions if decision.accepted]
            # An sdist is made by any Python: nobody asks which of several wheels this one builds. `choose` says what
            # may surprise in the only one, and raises with every reason where there is none.
            cells = cells if len(cells) > 1 else [choose(decisions, self._reporter)]
            # A dictionary, for its order: cells that require the same count once.
            first, *others = {self._requirements_of(cell): cell for cell in cells}
            epoch = epoch_of(self._environ)
            rewrite_sdist(
                made, lambda text: leave_requirements(text) if others else add_requirements(text, first), epoch=epoch
            )
            _place(made, out)
            return made.name

    def wheel(self, out: Path) -> str:
        """Compile, check and pack the wheel; return its name."""
        from gpuwheel.pipeline.finishing import finish  # noqa: PLC0415 (gpuwheel dev does without)

        self._check_platform()
        self._hold_to_lock()
        self._say_excluded()
        compare_torch(self.cell, self._reporter)
        sdist = folder_digest(self._root, without={LOCK_FILE})  # before a `build-dir` inside of it is filled
        with self._mode.compiled(editable=False) as compiled:
            self._reporter.step("checking what was linked")
            files = {SBOM_FILE: self._sbom(compiled.toolchain, sdist)}
            edits = replace(self._edits, files=files, generator=f"gpuwheel {__version__}")
            name, packed = finish(self._session, compiled, edits)
            # Only now: what a refused wheel was linked from, no other build may take.
            compiled.save()
            if self._session.remote is not None:
                self._session.remote.check_compared()
            sha256 = packed.write(out / name)
        self._reporter.step(f"{name}  {packed.size / 1000:.0f} kB  sha256 {sha256}")
        # Last: nobody waits for the remote to have a wheel.
        if self._session.remote is not None:
            self._session.remote.share(self._session.cache)
        return name

    def _sbom(self, toolchain: AnyToolchain, sdist: str | None) -> bytes:
        """What went into the wheel and is in no Requires-Dist."""
        session = self._session
        sbom = toolchain_sbom(toolchain, self.config.project.name, session.epoch, session.job.pins)
        if session.remote is not None:
            sbom = with_origins(sbom, session.remote.used)
        told = shaping(self._root, self._environ, self._config_settings, self.cell.mode.value)
        sbom = with_shaping(sbom, self.cell.identifier, told.settings, told.environment, told.withheld)
        sbom = sbom if sdist is None else with_sdist(sbom, sdist)
        # Which lock held the build is a fact about the wheel: who has the same file can build the same bytes.
        return sbom if self._lock is None else with_lock(sbom, self._lock.digest)

    def editable(self, out: Path) -> str:
        """Compile and pack an editable wheel, with compiled files beside the sources; return its name."""
        from gpuwheel.pipeline.editable import build_editable  # noqa: PLC0415 (a wheel does without)

        self._check_platform()
        self._hold_to_lock()
        self._say_excluded()
        compare_torch(self.cell, self._reporter)
        return build_editable(self._session, self._mode, out, self._edits)

    def develop(self) -> DevBuild:
        """Compile what changed since the last time, and put it beside the sources."""
        from gpuwheel.pipeline.dev import build_in_place  # noqa: PLC0415 (a wheel does without)

        self._check_platform()
        if self.cell.mode is Mode.PYTHON:
            msg = f"{self.config.project.name} has no extensions (found none, expected something to compile)"
            raise ConfigError(msg, hint="pip install -e . is all that it needs")
        self._hold_to_lock()
        self._say_excluded()
        compare_torch(self.cell, self._reporter)
        return build_in_place(self._session, compiling_build(self._session))

    @cached_property
    def _lock(self) -> Lock | None:
        """What the build is held to, if it is locked."""
        return read_lock(self._root / LOCK_FILE) if self.config.settings.locked else None

    def _hold_to_lock(self) -> None:
        self.check_lock()
        if self._lock is not None:
            check_installed(self._lock, without=self.inputs.pins)
            self._reporter.info(f"locked: everything is as {LOCK_FILE} names it")

    @property
    def _edits(self) -> WheelEdits:
        """What gpuwheel writes into the metadata of any wheel of the cell."""
        return WheelEdits(self._requirements_of(self.cell), local=self.config.settings.local)

    def _requirements_of(self, cell: Cell) -> tuple[str, ...]:
        """What gpuwheel adds to Requires-Dist; the project's own statement of its dependencies stands as it is."""
        names = {name for extension in self.config.settings.extensions.values() for name in extension.libraries}
        stated = self.config.project.dependencies is not None
        linked = () if stated or not names else linked_requirements(cell, names, load_tables())
        return (*requirements(self.config, cell.torch_range), *linked)

    @staticmethod
    def _check_platform() -> None:
        machines = {policy.machine for policy in load_tables().platforms}
        check_platform(probe_platform(), machines)
