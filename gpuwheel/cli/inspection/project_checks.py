"""What `gpuwheel doctor` says about the build of one project."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.tags import sys_tags

from gpuwheel._cache import check_programs
from gpuwheel.cli.inspection.doctor_report import Check, State
from gpuwheel.compatibility import known_versions, serves
from gpuwheel.compile.includes import toolkit_includes
from gpuwheel.config import load_config, project_files
from gpuwheel.config.survey import survey_extensions
from gpuwheel.errors import CacheError, ConfigError, GpuwheelError, LockError, PlanError
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.libraries import Verdict
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan import Here, choose, plan, resolve_job
from gpuwheel.plan.as_they_are import survey_lines
from gpuwheel.toolchain.build_constraints import excluded_pins
from gpuwheel.toolchain.cuda.device_compiler import present_device_compiler
from gpuwheel.toolchain.cuda.host_versions import find_nvcc_host_compiler
from gpuwheel.toolchain.cuda.nvcc_wheels import cached_nvcc, cached_target_libraries
from gpuwheel.toolchain.cuda.target import target_libraries
from gpuwheel.toolchain.cuda.tile_compiler import cached_tile_compiler
from gpuwheel.toolchain.cuda.toolkit import machine_toolkit
from gpuwheel.toolchain.host import target_machine
from gpuwheel.toolchain.probes.programs import installed_version
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import CudaToolkit, Tables
    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.jobs import Job
    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.toolchain.probes.driver import Driver

__all__ = ["Machine", "ProjectReport", "project_report", "runs_here"]

_SECTION = "project"


@dataclass
class ProjectReport:
    """The rows of the project, and what its build would have to download."""

    checks: list[Check] = field(default_factory=list)
    to_fetch: list[str] = field(default_factory=list)
    has_project: bool = True

    def add(self, name: str, subject: str, state: State, found: str, *, where: str | None = None) -> None:
        """A row without a fix."""
        self.checks.append(Check(name, _SECTION, subject, state, found, where))

    def problem(self, name: str, subject: str, state: State, found: str, *, fix: str | None) -> None:
        """A row with one."""
        self.checks.append(Check(name, _SECTION, subject, state, found, fix=fix))


@dataclass(frozen=True)
class Machine:
    """What a build of any project meets."""

    environ: Mapping[str, str]
    tables: Tables
    cache: Cache


def project_report(
    root: Path, settings: Mapping[str, str | list[str]], machine: Machine
) -> tuple[ProjectReport, Cell | None]:
    """What a build of the project in `root` would make and use, and the wheel it would build, if any."""
    report = ProjectReport()
    if not (root / "pyproject.toml").exists():
        report.has_project = False
        report.add("project", "project", State.NOTE, f"none in {root}")
        return report, None
    try:
        known = known_versions(machine.tables)
        config = load_config(root, environ=machine.environ, config_settings=settings, known=known)
        report.add("project", "project", State.OK, config.project.name, where=str(root))
        for number, warning in enumerate(config.warnings):
            report.problem(f"configuration-{number}", "configuration", State.WARNING, warning, fix=None)
        for number, note in enumerate(config.notes):
            report.add(f"environment-{number}", "environment", State.NOTE, note)
        cell = _plan(config, machine, report)
        _collapse(config, report)
        if cell is not None and cell.mode is not Mode.PYTHON:
            _toolchain(resolve_job(cell, config.settings, project_files(config), machine.tables), machine, report)
        if cell is not None and config.settings.locked:
            _lock(root, settings, machine, report)
    except GpuwheelError as error:
        subject = "configuration" if isinstance(error, ConfigError) else "toolchain"
        report.problem(subject, subject, State.ERROR, error.message, fix=error.hint)
        return report, None
    return report, cell


def _plan(config: LoadedConfig, machine: Machine, report: ProjectReport) -> Cell | None:
    """The cell that a frontend gets here; a rejected one is an error only where there is none."""
    here = Here(running_python(), target_machine(machine.environ))
    decisions = plan(config, machine.tables, machine=here.machine)
    cell, problem = None, None
    try:
        cell = choose(decisions, SilentReporter(), here, config.settings.only)
    except PlanError as error:
        problem = error
    made = [decision for decision in decisions if here.makes(decision.cell)]
    for number, decision in enumerate(made):
        name = f"wheel-{number}"
        if decision.accepted:
            report.add(name, "wheel", State.OK, decision.reason, where=decision.cell.identifier)
        else:
            found = f"{decision.cell.identifier} cannot be built: {decision.reason}"
            # Of several wheels one that cannot be made stops nobody who builds another.
            state = State.ERROR if cell is None else State.NOTE
            report.problem(name, "wheel", state, found, fix=decision.hint)
    if problem is not None and all(decision.accepted for decision in made):
        report.problem("wheel", "wheel", State.ERROR, problem.message, fix=problem.hint)
    return cell


def _collapse(config: LoadedConfig, report: ProjectReport) -> None:
    """Whether one wheel would serve for extensions on torch's C++ ABI: nothing is wrong with them as they are."""
    for number, survey in enumerate(survey_extensions(config.settings, config.project.root, TorchAbi.EXACT)):
        found, *_ = survey_lines((survey,))
        is_possible = survey.verdict is not Verdict.CANNOT
        fix = "gpuwheel plan says what that saves, and names the lines in the way" if is_possible else None
        report.problem(f"collapse-{number}", "sources", State.NOTE, found.removesuffix(":"), fix=fix)


def _toolchain(job: Job, machine: Machine, report: ProjectReport) -> None:
    """What compiles the device code, and the headers it needs."""
    toolkit = machine.tables.cuda[job.cell.cuda]
    if job.cell.mode is Mode.NVCC:
        _nvcc(toolkit, machine, report)
    else:
        cuda_groups = [group for groups in job.groups.values() for group in groups if not group.uses_cutile]
        if cuda_groups or job.cell.mode is Mode.EMBED:
            _nvrtc(toolkit, machine, report)
        _cutile(job.toolkits(cutile=True), machine, report)
        includes = toolkit_includes(cuda_groups)
        for pin in toolkit.headers:
            if pin.is_needed_for(includes):
                _headers(f"{pin.name}-headers", "toolkit headers", pin, machine.cache, report)
    if job.torch_headers is not None:
        _headers("torch-headers", "torch headers", job.torch_headers, machine.cache, report)


def _nvrtc(toolkit: CudaToolkit, machine: Machine, report: ProjectReport) -> None:
    for one in excluded_pins(toolkit.components, machine.environ):
        found = f"{one.origin} excludes {one.pin.requirement}, which goes into the cache instead"
        report.add(f"constraint-{one.pin.name}", "build constraint", State.NOTE, found)
    device = present_device_compiler(toolkit, machine.cache)
    name = f"NVRTC of CUDA {toolkit.version}"
    _compiler(name, device.found_via if device else None, toolkit.components, report)
    if device is None or device.found_via == "cache":  # build isolation has it in the build environment
        _runs_in_cache(name, machine.cache, report, State.WARNING)


def _cutile(versions: Iterable[MinorVersion], machine: Machine, report: ProjectReport) -> None:
    """What compiles cuTile sources, of the project's toolkit or of a further one."""
    for toolkit in (machine.tables.cuda[version] for version in versions):
        tile = cached_tile_compiler(toolkit, machine.cache)
        name = f"cuTile of CUDA {toolkit.version}"
        _compiler(name, tile.found_via if tile else None, toolkit.cutile, report)
        _runs_in_cache(name, machine.cache, report, State.ERROR)


def _nvcc(toolkit: CudaToolkit, machine: Machine, report: ProjectReport) -> None:
    """A toolkit of the machine, or the pinned wheels; and whether nvcc takes the C++ compiler."""
    host = find_nvcc_host_compiler(machine.environ, toolkit, machine.tables.cuda)
    own = machine_toolkit(toolkit, machine.environ)
    if own is not None:
        target_libraries(own, host.machine)
        report.add("device-compiler", "device compiler", State.OK, f"nvcc of CUDA {own.version}", where=str(own.root))
        return
    cached = cached_nvcc(toolkit, machine.cache)
    name = f"nvcc of CUDA {toolkit.version}"
    _compiler(name, cached.found_via if cached else None, toolkit.nvcc, report)
    _runs_in_cache(name, machine.cache, report, State.ERROR)
    if host.machine != platform.machine() and cached_target_libraries(toolkit, host.machine, machine.cache) is None:
        what = f"libraries of CUDA {toolkit.version} for {host.machine}"
        report.add("target-libraries", "CUDA libraries", State.NOTE, f"{what}: the first build fetches them")
        report.to_fetch.append(what)


def _compiler(name: str, found_via: str | None, pins: Sequence[Pin], report: ProjectReport) -> None:
    if found_via is not None:
        report.add("device-compiler", "device compiler", State.OK, name, where=found_via)
        return
    size = f"{_download_size(pins) / 1e6:.0f} MB"
    report.add("device-compiler", "device compiler", State.NOTE, f"{name}: the first build fetches it, {size}")
    report.to_fetch.append("the device compiler")


def _runs_in_cache(name: str, cache: Cache, report: ProjectReport, state: State) -> None:
    """Whether a compiler can be started from where the cache is."""
    try:
        check_programs(cache.root, name)
    except CacheError as error:
        report.problem("cache-programs", "cache", state, error.message, fix=error.hint)


def _lock(root: Path, settings: Mapping[str, str | list[str]], machine: Machine, report: ProjectReport) -> None:
    """Whether the lock file allows what this machine has."""
    # The pipeline brings every stage with it, which takes half a second; few projects are locked.
    from gpuwheel.pipeline import Build  # noqa: PLC0415

    try:
        Build(root, machine.environ, settings, SilentReporter()).check_lock()
    except LockError as error:
        report.problem("lock", "lock", State.ERROR, error.message, fix=error.hint)
    else:
        report.add("lock", "lock", State.OK, "allows what is used here")


def _headers(name: str, subject: str, pin: HeadersPin, cache: Cache, report: ProjectReport) -> None:
    if cache.lookup("sdk", pin.digest) is not None:
        report.add(name, subject, State.OK, pin.requirement, where="cache")
    else:
        report.add(name, subject, State.NOTE, f"{pin.requirement}: the first build fetches them, a part of its wheel")
        report.to_fetch.append(f"headers of {pin.name}")


def _download_size(pins: Sequence[Pin]) -> int:
    tags = list(sys_tags())
    files = [pin.file_for(tags) for pin in pins]
    return sum(file.size for file in files if file is not None)


def runs_here(cell: Cell, driver: Driver) -> Iterator[Check]:
    """Whether the wheel would run on this machine, for those who mean to test it here."""
    compiled = cell.mode is not Mode.PYTHON
    if compiled and driver.release is not None and driver.release < cell.driver_floor:
        found = f"too old for the wheel (found {driver.release}, expected {cell.driver_floor} or newer)"
        yield Check(
            "driver-floor", _SECTION, "NVIDIA driver", State.WARNING, found, fix="a newer driver, or a lower `driver`"
        )
    for index, device in enumerate(driver.devices if compiled else ()):
        if serves(cell.archs, device.arch) is None:
            found = f"no image serves {device.name}, compute capability {device.arch}"
            fix = f"add {device.arch} to archs"
            yield Check(f"device-{index}-served", _SECTION, f"device {index}", State.WARNING, found, fix=fix)
    torch = installed_version("torch")
    if torch is None or cell.torch is TorchAbi.NONE:
        return
    installed, floor = MinorVersion.parse(torch), cell.torch_floor
    exact = cell.torch is TorchAbi.EXACT
    if installed < floor or (exact and installed != floor):
        wanted = f"=={floor}.*" if exact else f">={floor}"
        text = f"not one that the wheel runs with (found {torch}, expected {wanted})"
        yield Check("torch-runs", _SECTION, "torch", State.WARNING, text, fix=f"pip install 'torch{wanted}'")
