"""scikit-build-core, through its public PEP 517/660 hooks: the only place that imports it.

Values travel by config-settings (its documented way to be wrapped); the user's files are never edited. Its hooks work
on the current folder, as PEP 517 says, and on `os.environ`: for each call the process is lent to them.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from gpuwheel._environment import launchers
from gpuwheel._process import lent
from gpuwheel._resources import resource
from gpuwheel.compile.cmake.inner_errors import inner_error
from gpuwheel.compile.compat.file_names import COMPAT_TREE
from gpuwheel.compile.messages.tee import teed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpuwheel.compile.messages import Place
    from gpuwheel.model.toolchain import CudaToolchain, HostCompiler

__all__ = [
    "CMAKE_REQUIRED",
    "REQUIRED_TOOLS",
    "ConfigSettings",
    "Inside",
    "build_sdist",
    "build_wheel",
    "cmake_settings",
    "host_settings",
    "install_settings",
    "nvcc_settings",
    "own_cmake_settings",
    "plain_settings",
    "prepare",
    "pure_settings",
    "rebuilds_on_import",
    "requires",
]

Result = TypeVar("Result")
ConfigSettings: TypeAlias = "dict[str, str | list[str]]"

CMAKE_REQUIRED = ">=3.26"
_PACKAGE = "scikit_build_core"
_REQUIRED = {"CMake": CMAKE_REQUIRED, "Ninja": ">=1.5"}
REQUIRED_TOOLS = tuple(f"{tool.lower()}{versions}" for tool, versions in _REQUIRED.items())
"""What `requires` asks for on a machine that has neither."""
_FIXED: ConfigSettings = {
    "wheel.cmake": "true",
    "wheel.py-api": "py3",
    "wheel.platlib": "true",
    "cmake.version": CMAKE_REQUIRED,
}


_PURE: ConfigSettings = {"wheel.platlib": "false"}


def host_settings(
    inner: Mapping[str, str | list[str]], *, project: Path, build: Path, host: HostCompiler, jobs: int
) -> ConfigSettings:
    """The config-settings of one build: the user's, then what gpuwheel owns."""
    # CMake compiles for another machine only where it is told so (cmake-toolchains(7)); it would run what it builds
    # to test it.
    cross = {"SYSTEM_NAME": "Linux", "SYSTEM_PROCESSOR": host.machine} if host.machine != platform.machine() else {}
    return {
        **{f"cmake.define.CMAKE_{name}": value for name, value in cross.items()},
        "build-dir": str(build),
        "build.tool-args": f"-j{jobs}",
        # Behind ours, ahead of what gpuwheel owns: the user may change the former, and `check_inner_settings` refuses
        # the latter.
        **inner,
        **_FIXED,
        "cmake.source-dir": str(project),
        "cmake.define.CMAKE_CXX_COMPILER": str(host.one_program),
        "cmake.define.CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        **_launched("CXX", host.launcher),
    }


def cmake_settings(inner: Mapping[str, str | list[str]], python_tag: str) -> ConfigSettings:
    """The config-settings of a wheel that CMake makes, where nothing of it is compiled yet."""
    return {**inner, **_FIXED, **_tagged(python_tag)}


def plain_settings(inner: Mapping[str, str | list[str]], python_tag: str = "py3-none") -> ConfigSettings:
    """The config-settings of a wheel whose libraries are there already: CMake does not run."""
    return {**inner, **_FIXED, **_tagged(python_tag), "wheel.cmake": "false"}


def pure_settings(inner: Mapping[str, str | list[str]]) -> ConfigSettings:
    """The config-settings of a wheel without libraries, `py3-none-any`: CMake does not run."""
    return {**plain_settings(inner), **_PURE}


def install_settings(inner: Mapping[str, str | list[str]], *, project: Path, build: Path) -> ConfigSettings:
    """The config-settings of a wheel that compiles nothing, and into which CMake puts files of ours."""
    return {"build-dir": str(build), **inner, **_FIXED, **_PURE, "cmake.source-dir": str(project)}


def nvcc_settings(
    settings: ConfigSettings, *, cuda: CudaToolchain, host: HostCompiler, python_tag: str
) -> ConfigSettings:
    """The config-settings of a build with nvcc: those of the host compiler, then the toolkit and the tag."""
    return {
        **settings,
        **_tagged(python_tag),
        "cmake.define.CMAKE_CUDA_COMPILER": str(cuda.nvcc),
        "cmake.define.CMAKE_CUDA_HOST_COMPILER": str(host.one_program),
        **_launched("CUDA", [program for program in host.launcher if launchers()[Path(program).name]]),
    }


def _launched(language: str, programs: Sequence[str]) -> dict[str, str]:
    """The launcher by which CMake starts the compilers of a language."""
    return {f"cmake.define.CMAKE_{language}_COMPILER_LAUNCHER": ";".join(programs)} if programs else {}


def own_cmake_settings(settings: ConfigSettings, *, setup: Path) -> ConfigSettings:
    """The config-settings of a build by the user's own CMake project, with what find_package() finds."""
    return {
        **settings,
        "cmake.define.GpuWheel_DIR": str(resource("cmake")),
        "cmake.define.GPUWHEEL_SETUP": str(setup),
    }


def rebuilds_on_import(inner: Mapping[str, object], table: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether an editable install is to run CMake by itself later, which scikit-build-core then prepares."""
    section = table.get("editable")
    stated: dict[str, object] = dict(section) if isinstance(section, dict) else {}
    for key in ("rebuild", "rebuild-dir"):
        variable = f"SKBUILD_EDITABLE_{key.upper().replace('-', '_')}"
        # In the order of scikit-build-core, where the last one wins.
        for place, name in ((environ, variable), (inner, f"skbuild.editable.{key}"), (inner, f"editable.{key}")):
            if name in place:
                stated[key] = place[name]
    rebuild = str(stated.get("rebuild", "")).lower() in {"1", "true", "on", "yes", "y"}
    return rebuild or bool(stated.get("rebuild-dir"))


def _tagged(python_tag: str) -> ConfigSettings:
    """What scikit-build-core is told for "py3-none", "cp310-abi3" or "cp311-cp311" (the Python that runs the build)."""
    python, _, abi = python_tag.partition("-")
    # Empty: the tag of the Python that runs the build.
    return {"wheel.py-api": python if abi in {"none", "abi3"} else ""}


@dataclass(frozen=True)
class Inside:
    """Where the inner backend works."""

    root: Path
    """The project."""
    environ: Mapping[str, str]
    """What it and all that it starts see."""


def _call(inside: Inside, hook: Callable[[], Result], doing: str, settings: ConfigSettings | None = None) -> Result:
    """Turn the exit of a hook (it prints what went wrong first), and what it raises, into an error of ours.

    `settings`: of a build that runs compilers, whose messages are read.
    """
    with lent(inside.root, inside.environ, _PACKAGE), teed() as said:
        try:
            return hook()
        except SystemExit as stop:
            doing = f"scikit-build-core {doing} failed (exit status {stop.code})"
            failed = stop
        except Exception as error:
            ours = inner_error(error, _REQUIRED, inside.environ)
            if ours is None:
                raise
            raise ours from error
    from gpuwheel.compile.messages.ending import build_failure  # noqa: PLC0415 (a build that succeeds does without)

    raise build_failure(said.text, _place(inside.root, settings or {}), doing) from failed


def _place(root: Path, settings: ConfigSettings) -> Place:
    from gpuwheel.compile.messages.where import Place  # noqa: PLC0415 (a build that succeeds does without)

    folder = root / str(settings["build-dir"]) if "build-dir" in settings else None
    by = {"cmake": "cmake.define.GPUWHEEL_SETUP", "nvcc": "cmake.define.CMAKE_CUDA_COMPILER"}
    build = next((name for name, key in by.items() if key in settings), "embed")
    build = "compat" if build == "nvcc" and _is_compat(root / str(settings.get("cmake.source-dir", "."))) else build
    headers = sorted((folder.parent / "kernels").glob("*.kernels.h")) if folder else []
    groups = tuple(header.name.removesuffix(".kernels.h") for header in headers)
    return Place(root, build, folder, groups=groups)


def _is_compat(project: Path) -> bool:
    """Whether headers of ours stand before torch's in a project that we wrote."""
    try:
        return f"/{COMPAT_TREE}" in (project / "CMakeLists.txt").read_text("utf-8")
    except OSError:
        return False


def build_wheel(inside: Inside, out: Path, settings: ConfigSettings, *, editable: bool) -> Path:
    """Compile and collect a wheel of the project with the platform's plain tag.

    Raises:
        CompileError: CMake or the compiler failed; its messages went to the terminal.
    """
    from scikit_build_core import build as hooks  # noqa: PLC0415 (loads the whole backend)

    hook, place = hooks.build_editable if editable else hooks.build_wheel, str(out.absolute())
    return out / _call(inside, lambda: hook(place, dict(settings)), "build", settings)


def build_sdist(inside: Inside, out: Path, inner: Mapping[str, str | list[str]]) -> Path:
    """Collect an sdist of the project."""
    from scikit_build_core import build as hooks  # noqa: PLC0415 (loads the whole backend)

    place = str(out.absolute())
    return out / _call(inside, lambda: hooks.build_sdist(place, {**inner, **_FIXED}), "sdist")


def prepare(inside: Inside, out: Path, settings: ConfigSettings, *, editable: bool) -> Path:
    """Write the `.dist-info` folder of the wheel to be."""
    from scikit_build_core import build as hooks  # noqa: PLC0415 (loads the whole backend)

    hook = hooks.prepare_metadata_for_build_editable if editable else hooks.prepare_metadata_for_build_wheel
    place = str(out.absolute())
    return out / _call(inside, lambda: hook(place, dict(settings)), "metadata")


def requires(
    inside: Inside, inner: Mapping[str, str | list[str]], *, editable: bool, with_cmake: bool = True
) -> list[str]:
    """What scikit-build-core itself needs for a wheel: CMake and Ninja if they run, unless the machine has them."""
    from scikit_build_core import build as hooks  # noqa: PLC0415 (loads the whole backend)

    hook = hooks.get_requires_for_build_editable if editable else hooks.get_requires_for_build_wheel
    settings = {**inner, **_FIXED} if with_cmake else plain_settings(inner)
    return _call(inside, lambda: hook(settings), "requirements")
