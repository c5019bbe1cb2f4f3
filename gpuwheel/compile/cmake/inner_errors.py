"""What scikit-build-core raises, in our words. It prints most of what goes wrong and exits; these escape it."""

from __future__ import annotations

import os
import re
import shutil
import traceback
from typing import TYPE_CHECKING

from gpuwheel._endings import because, cut
from gpuwheel._run import run
from gpuwheel.errors import CompileError, ConfigError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.errors import GpuwheelError

__all__ = ["inner_error"]

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_TOOLS = {"CMake": ("cmake",), "Ninja": ("ninja", "ninja-build", "samu")}
_SECONDS = 20.0
_SETTINGS = "scikit_build_core.settings"
"""Where it reads them."""
_SETTING = re.compile(r"tool\.scikit-build[\w.-]*")


def inner_error(error: Exception, required: Mapping[str, str], environ: Mapping[str, str]) -> GpuwheelError | None:
    """The error of ours for one of scikit-build-core's; `None` for what it does not raise on purpose.

    Args:
        error: what a hook of it raised.
        required: tool ("CMake", "Ninja") -> the versions that are asked for.
        environ: what it saw.
    """
    from scikit_build_core import errors as inner  # noqa: PLC0415 (loaded by who raised)

    if isinstance(error, inner.NotFoundError | inner.CMakeVersionError | inner.NinjaVersionError):
        tool = "Ninja" if isinstance(error, inner.NinjaNotFoundError | inner.NinjaVersionError) else "CMake"
        found = ", ".join(filter(None, (_version(name, environ) for name in _TOOLS[tool]))) or "none on PATH"
        msg = f"no {tool} that fits (found {found}, expected {required[tool]})"
        return ToolchainError(msg, hint="pip install cmake ninja, or build with isolation, which brings them")
    if isinstance(error, inner.FailedProcessError):
        return CompileError("a program of the build failed", detail=str(error), hint="the lines above say why")
    if isinstance(error, inner.ScikitBuildError):
        msg = f"scikit-build-core refuses the project ({because(error)})"
        return ConfigError(msg, hint="see [tool.scikit-build] and the -C settings")
    if type(error).__module__.partition(".")[0] in {"scikit_build_core", "pyproject_metadata", "packaging"}:
        inside = list(getattr(error, "exceptions", ())) or [error]
        msg = f"scikit-build-core refuses the project ({'; '.join(cut(one) for one in inside)})"
        return ConfigError(msg, hint="see [project] and [tool.scikit-build] in pyproject.toml")
    # Plain ValueErrors and TypeErrors come out of its settings: where they were raised tells them from bugs.
    frames = (str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__))
    if any(name.startswith(_SETTINGS) for name in frames):
        found = "; ".join(_leaves(error))
        msg = f"[tool.scikit-build], or a -C setting for it, has a value that scikit-build-core does not take ({found})"
        return ConfigError(msg, hint="see https://scikit-build-core.readthedocs.io/en/latest/reference/configs.html")
    return None


def _leaves(error: BaseException) -> Iterator[str]:
    """What is wrong with each setting; scikit-build-core names it in a note."""
    inside = getattr(error, "exceptions", ())
    for one in inside:
        yield from _leaves(one)
    if not inside:
        setting = _SETTING.search(" ".join(getattr(error, "__notes__", ())))
        yield f"{setting.group()}: {cut(error)}" if setting else cut(error)


def _version(name: str, environ: Mapping[str, str]) -> str | None:
    """A program's version and place, for example "3.25.1 at /usr/bin/cmake"."""
    program = shutil.which(name, path=environ.get("PATH", os.defpath))
    if program is None:
        return None
    try:
        match = _VERSION.search(run([program, "--version"], env=environ, check=False, timeout=_SECONDS).stdout)
    except OSError:
        match = None
    return f"{match.group() if match else 'one that does not start'} at {program}"
