"""What `gpuwheel doctor` says about the machine, whatever the project."""

from __future__ import annotations

import platform
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel._cache import refusal
from gpuwheel._environment import tool_environment
from gpuwheel.cli.inspection.caches.cache_care import size
from gpuwheel.cli.inspection.doctor_report import Check, State
from gpuwheel.compile.cmake.inner import CMAKE_REQUIRED
from gpuwheel.errors import GpuwheelError
from gpuwheel.toolchain import check_platform, probe_platform
from gpuwheel.toolchain.probes.programs import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compatibility import Tables
    from gpuwheel.index.pinned import Answer
    from gpuwheel.model.toolchain import HostCompiler
    from gpuwheel.toolchain.probes.driver import Driver
    from gpuwheel.toolchain.probes.programs import FoundTool
    from gpuwheel.toolchain.probes.toolkits import FoundToolkit

__all__ = [
    "cache_check",
    "driver_checks",
    "environment_checks",
    "host_compiler_check",
    "index_checks",
    "package_checks",
    "platform_checks",
    "tool_checks",
    "toolkit_checks",
]

_ISOLATED = "build isolation installs it; without isolation: pip install"
_LITTLE_SPACE = 1 << 30  # bytes
_MOST_FILES = 10_000  # a tenth of a second; with nvcc of two toolkits in it, a cache has more


def platform_checks(tables: Tables) -> Iterator[Check]:
    """Python, and whether this is a platform that gpuwheel builds on."""
    yield Check("python", "machine", "Python", State.OK, platform.python_version(), sys.executable)
    facts = probe_platform()
    try:
        check_platform(facts, {policy.machine for policy in tables.platforms})
    except GpuwheelError as error:
        yield Check.of_error("platform", "machine", "platform", error)
    else:
        yield Check("platform", "machine", "platform", State.OK, str(facts))


def driver_checks(driver: Driver) -> Iterator[Check]:
    """The driver and the devices it shows."""
    if driver.problem is not None:
        fix = "see whether nvidia-smi works; in a container, start it with --gpus all"
        yield Check("driver", "machine", "NVIDIA driver", State.WARNING, driver.problem, driver.library, fix)
    elif driver.library is None:
        yield Check("driver", "machine", "NVIDIA driver", State.NOTE, "none: a build needs none")
    else:
        found = f"{driver.release or 'of unknown version'}, runs CUDA up to {driver.cuda}"
        yield Check("driver", "machine", "NVIDIA driver", State.OK, found, driver.library)
    for index, device in enumerate(driver.devices):
        found = f"{device.name}, compute capability {device.arch}, {device.memory / 2**30:.0f} GiB"
        yield Check(f"device-{index}", "machine", f"device {index}", State.OK, found)


def toolkit_checks(toolkits: Sequence[FoundToolkit]) -> Iterator[Check]:
    """CUDA toolkits of the machine."""
    if not toolkits:
        yield Check("toolkit", "machine", "CUDA toolkit", State.NOTE, "none: `embed` brings its own compiler")
    for index, toolkit in enumerate(toolkits):
        version = f"{toolkit.version}" if toolkit.version else "of unknown version"
        found = f"{version}, {'with' if toolkit.nvcc else 'without'} nvcc"
        where = f"{toolkit.root}, by {' and '.join(toolkit.found_via)}"
        yield Check(f"toolkit-{index}", "machine", "CUDA toolkit", State.OK, found, where)


def package_checks() -> Iterator[Check]:
    """What is installed beside gpuwheel and may surprise: torch and the bindings of CUDA. Neither is imported."""
    for name in ("torch", "cuda-bindings"):
        version = installed_version(name)
        state = State.OK if version else State.NOTE
        yield Check(name, "machine", name, state, version or "not installed: a build needs none")


def host_compiler_check(find: Callable[[], HostCompiler], *, needed: bool) -> Check:
    """The C++ compiler that a build takes."""
    try:
        host = find()
    except GpuwheelError as error:
        if not needed:
            return Check(
                "host-compiler", "tools", "C++ compiler", State.NOTE, f"{error.message}: this build needs none"
            )
        return Check.of_error("host-compiler", "tools", "C++ compiler", error)
    command = shlex.join((*host.launcher, *host.command))
    return Check("host-compiler", "tools", "C++ compiler", State.OK, host.identity, f"{command}, by {host.found_via}")


def environment_checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """Variables that are set and change what compilers and CMake do, for no project in particular."""
    try:
        tools = tool_environment(environ)
    except GpuwheelError as error:
        yield Check.of_error("environment", "environment", "variable", error)
        return
    rows = [(State.WARNING, line) for line in tools.warnings] + [(State.NOTE, line) for line in tools.notes]
    for number, (state, line) in enumerate(rows):
        yield Check(f"environment-{number}", "environment", "variable", state, line)


def tool_checks(tools: Mapping[str, FoundTool | None]) -> Iterator[Check]:
    """CMake, Ninja and the compiler caches."""
    for name, tool in tools.items():
        needed = name in {"cmake", "ninja"}
        if tool is None:
            found = f"none: {_ISOLATED} {name}" if needed else "none: only needed to share object files"
            yield Check(name, "tools", name, State.NOTE, found)
        elif tool.version is None:
            fix = f"mend or remove {tool.path}"
            state = State.WARNING if needed else State.NOTE
            yield Check(name, "tools", name, state, "does not run", str(tool.path), fix)
        elif name == "cmake" and tool.version not in SpecifierSet(CMAKE_REQUIRED):
            found = f"{tool.version}, too old (expected {CMAKE_REQUIRED}): {_ISOLATED} cmake"
            yield Check(name, "tools", name, State.NOTE, found, str(tool.path))
        else:
            yield Check(name, "tools", name, State.OK, tool.version, str(tool.path))


def cache_check(cache: Cache) -> Check:
    """Where the cache is, what it holds, and whether a build can write it."""
    problem = refusal(cache.root)
    if problem is not None:
        return Check.of_error("cache", "cache", "cache", problem)
    existing = next(folder for folder in (cache.root, *cache.root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    held = size(cache.root, _MOST_FILES)
    amount = "large (see gpuwheel cache list)" if held is None else f"{held / 1e6:.0f} MB"
    found = f"{amount}, {free / 1e9:.0f} GB free"
    if free < _LITTLE_SPACE:
        fix = "gpuwheel cache prune, or set GPUWHEEL_CACHE_DIR to a folder on a larger disk"
        return Check("cache", "cache", "cache", State.WARNING, found, str(cache.root), fix)
    return Check("cache", "cache", "cache", State.OK, found, str(cache.root))


def index_checks(answers: Sequence[Answer], to_fetch: Sequence[str]) -> Iterator[Check]:
    """Each index; if none of them that is not a folder answers, a build stops that has something to fetch."""
    # A folder of wheels always answers, and seldom has everything.
    remote = [answer for answer in answers if not answer.place.startswith("file:")] or answers
    nobody = all(answer.problem for answer in remote)
    for number, answer in enumerate(answers):
        name = f"index-{number}"
        if answer.problem is None:
            yield Check(name, "index", "package index", State.OK, "answers", answer.place)
            continue
        state = State.ERROR if nobody and to_fetch else State.WARNING
        found = answer.problem.message
        yield Check(name, "index", "package index", state, found, answer.place, answer.problem.hint)
    if not answers:
        state = State.ERROR if to_fetch else State.NOTE
        found = "none: no-index is set" + (f", but a build fetches {', '.join(to_fetch)}" if to_fetch else "")
        fix = "unset PIP_NO_INDEX and UV_NO_INDEX, or run gpuwheel fetch where there is a network" if to_fetch else None
        yield Check("index", "index", "package index", state, found, fix=fix)
