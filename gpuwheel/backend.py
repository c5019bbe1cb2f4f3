"""PEP 517 and PEP 660 hooks: a doorway. The rooms are in `gpuwheel.pipeline`."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gpuwheel._endings import StoppedError, stopped_by_signals
from gpuwheel._imports import staying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.pipeline import Build

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_Settings: TypeAlias = "dict[str, str | list[str]] | None"


@contextmanager
def _project(config_settings: _Settings, *, talks: bool = True) -> Iterator[Build]:
    """The project in the current folder; whatever goes wrong ends the hook with a message and an exit status.

    A frontend calls several hooks for one wheel, each in a process of its own: those that only prepare do not talk, for
    the one that builds says it all.
    """
    with staying():
        from gpuwheel.model.reporter import SilentReporter  # noqa: PLC0415 (importing the backend must be cheap)
        from gpuwheel.pipeline import Build  # noqa: PLC0415
        from gpuwheel.ui import Terminal  # noqa: PLC0415

    terminal = Terminal()
    try:
        with stopped_by_signals():
            yield Build(Path.cwd(), dict(os.environ), config_settings or {}, terminal if talks else SilentReporter())
    except Exception as error:  # noqa: BLE001  # this is where everything ends
        sys.stdout.flush()
        # pip and uv show a hook's traceback in full: an exit status says as much, and our words stand last.
        raise SystemExit(terminal.ending(error)) from None
    except StoppedError as stop:
        raise SystemExit(stop.exit_code) from None


def _folder(name: str) -> Path:
    """Where the result goes; that it takes a file is known before anything compiles.

    Raises:
        OSError: it does not.
    """
    try:
        # By trying: permission bits say nothing of read-only mounts and quotas.
        with tempfile.TemporaryFile(dir=name):
            return Path(name)
    except OSError as error:
        error.filename = name
        raise


def get_requires_for_build_wheel(config_settings: _Settings = None) -> list[str]:
    """CMake, Ninja and the exact pins of the device compiler (PEP 517)."""
    with _project(config_settings, talks=False) as build:
        return build.requires(editable=False)


def get_requires_for_build_editable(config_settings: _Settings = None) -> list[str]:
    """As for a wheel (PEP 660)."""
    with _project(config_settings, talks=False) as build:
        return build.requires(editable=True)


def get_requires_for_build_sdist(config_settings: _Settings = None) -> list[str]:
    """Nothing: an sdist compiles nothing (PEP 517)."""
    with _project(config_settings, talks=False):
        return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: _Settings = None) -> str:
    """Write `.dist-info` without compiling (PEP 517)."""
    with _project(config_settings, talks=False) as build:
        return build.prepare(_folder(metadata_directory), editable=False)


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: _Settings = None) -> str:
    """Write `.dist-info` without compiling (PEP 660)."""
    with _project(config_settings, talks=False) as build:
        return build.prepare(_folder(metadata_directory), editable=True)


def build_sdist(sdist_directory: str, config_settings: _Settings = None) -> str:
    """Collect the sources, with complete metadata (PEP 517)."""
    with _project(config_settings) as build:
        return build.sdist(_folder(sdist_directory))


def build_wheel(wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None) -> str:
    """Compile, check and pack the wheel (PEP 517)."""
    del metadata_directory  # the same metadata is made again
    with _project(config_settings) as build:
        return build.wheel(_folder(wheel_directory))


def build_editable(
    wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None
) -> str:
    """Compile and pack an editable wheel: the Python files stay where they are (PEP 660)."""
    del metadata_directory  # the same metadata is made again
    with _project(config_settings) as build:
        return build.editable(_folder(wheel_directory))
