"""Whether an sdist holds what a wheel is built from: its author should hear of it, and not its users."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.config import compiled_tables, resolve_sources
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.reporter import Reporter

__all__ = ["check_sdist"]


def check_sdist(sdist: Path, config: LoadedConfig, reporter: Reporter) -> None:
    """Refuse an sdist without a source, or a header that some source may include; warn of folders of this machine.

    Raises:
        ConfigError: a file is left out, or lies outside of the project; a pattern of sources matches no file.
    """
    root = config.project.root
    with tarfile.open(sdist) as archive:
        # Without the top folder NAME-VERSION, which every sdist has (PEP 625).
        held = {name.partition("/")[2] for name in archive.getnames()}
    named = (folder for _, _, content in compiled_tables(config.settings) for folder in content.include_dirs)
    machine = [name for name in named if Path(name).is_absolute()]
    for folder in dict.fromkeys(name for name in machine if not Path(name).is_relative_to(root)):
        reporter.warn(f"include-dirs names {folder}, a folder of this machine: who builds the sdist needs one too")
    outside, missing = [], []
    # By the include lines of the sources, and not by git: what the wheel needs is what the compiler reads.
    for file in dict.fromkeys(_read(config)):
        name = os.path.relpath(file, root)
        if name.startswith(os.pardir + os.sep):
            outside.append(name)
        elif name not in held:
            missing.append(name)
    if outside:
        msg = f"{_first(outside)} in no sdist: outside of the project (the build reads it)"
        raise ConfigError(msg, hint="move it into the project, or copy it there before you make the sdist")
    if missing:
        msg = f"{_first(missing)} not in the sdist (the build reads it; git ignores it, or sdist.exclude names it)"
        hint = f'sdist.include = ["{missing[0]}"] in [tool.scikit-build]'
        raise ConfigError(msg, hint=hint)


def _first(names: Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more are"


def _read(config: LoadedConfig) -> Iterator[Path]:
    """Every file of the user's that a build reads, but for headers in folders of the machine."""
    root = config.project.root
    if config.settings.cmake is not None:
        yield root / config.settings.cmake
    for table, name, content in compiled_tables(config.settings):
        own = (root / folder for folder in content.include_dirs if not Path(folder).is_absolute())
        scanner = IncludeScanner(tuple(own))
        for source in resolve_sources(root, content.sources, f"{table}.{name}.sources"):
            yield from (file.path for file in scanner.closure(source))
