"""`gpuwheel dev`."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.cli.builds.watching import Watched
from gpuwheel.errors import GpuwheelError
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.dev_archs import Chosen, chosen_settings
from gpuwheel.toolchain.probes.devices import present_archs
from gpuwheel.ui import Painter, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.model.reporter import Progress
    from gpuwheel.pipeline.dev import DevBuild

__all__ = ["dev_command"]

_FACTS = ("device  ", "torch   ", "host    ", "link    ", "nvcc    ")
_NARROW = "no image serves compute capability"
_STEP = re.compile(r"\d+/\d+ ")


def _arch(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    del ctx, param
    try:
        return None if value is None else ";".join(str(ArchTarget.parse(word)) for word in value.split(";"))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("dev")
@parameters.project
@click.option("--arch", metavar="X.Y", callback=_arch, help="Compile for this one, 9.0 for example; 8.0;9.0a for more.")
@click.option("--release", is_flag=True, help="Compile for all of `archs`, as wheels are.")
@click.option("--watch", is_flag=True, help="Build again whenever a source changes, until Ctrl-C.")
@parameters.settings
@parameters.as_json
@click.option("-v", "--verbose", is_flag=True, help="Say where compilers and headers come from.")
def dev_command(  # noqa: PLR0913 (its options)
    project: Path,
    *,
    arch: str | None,
    release: bool,
    watch: bool,
    settings: tuple[str, ...],
    as_json: bool,
    verbose: bool,
) -> None:
    """Compile what changed in PROJECT since the last time, and put it beside the sources of its package.

    For the GPU that is there, without isolation and without installing: `import` finds the result in the folder that
    holds the package, and everywhere after one `pip install --no-build-isolation --editable .`. After an error, the
    last good library is still there. compile_commands.json tells editors how the sources are compiled.

    \b
    Examples:
      gpuwheel dev
      gpuwheel dev --watch
      gpuwheel dev --arch 9.0a -C cmake.build-type=Debug
      gpuwheel dev --json | jq '.changed[]'
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if arch and release:
        msg = "--arch and --release exclude each other"
        raise click.UsageError(msg)
    root = project.resolve()
    turns = _Turns(root, dict(parameters.config_settings(settings)), arch, release=release, verbose=verbose)
    with _talk_on_stderr() as answer:
        if watch:
            _watch(turns, root, answer, as_json=as_json)
        else:
            _say(turns.run(), root, answer, as_json=as_json)


@dataclass(frozen=True)
class _Turn:
    built: DevBuild
    archs: tuple[str, ...]
    reason: str
    seconds: float


class _Turns:
    """Builds of one project by one command line."""

    def __init__(
        self, root: Path, settings: dict[str, str | list[str]], arch: str | None, *, release: bool, verbose: bool
    ) -> None:
        self._root = root
        self._settings = settings | ({"gpuwheel.archs": arch} if arch else {})
        self._release = release
        self._verbose = verbose

    def run(self) -> _Turn:
        """One build."""
        start, environ = time.monotonic(), dict(os.environ)
        chosen = self._chosen(environ)
        reporter = Terminal() if self._verbose else _Compilers()
        build = Build(self._root, environ, {**self._settings, **chosen.settings}, reporter)
        built = build.develop()
        archs = tuple(map(str, build.cell.archs))
        return _Turn(built, archs, chosen.reason, time.monotonic() - start)

    def _chosen(self, environ: dict[str, str]) -> Chosen:
        if self._release:
            return Chosen({}, "all of archs")
        config = Build(self._root, environ, self._settings, SilentReporter()).config
        if config.origins.get("archs", "").startswith("-C"):
            return Chosen({}, "as the command says")
        return chosen_settings(config, present_archs(environ, Cache.from_environment(environ)))


class _Compilers(Terminal):
    """Says what is compiled and what is wrong: not where everything comes from, which does not change all day."""

    def __init__(self) -> None:
        super().__init__()
        self._compiling = False

    def step(self, text: str) -> None:
        """Left out."""

    def info(self, text: str) -> None:
        """What is under way, and what became of it."""
        self._compiling = self._compiling or _STEP.match(text) is not None
        if self._compiling and not text.startswith(_FACTS):
            super().info(text)

    def warn(self, message: str) -> None:
        """But for what follows from compiling for one GPU alone."""
        if not message.startswith(_NARROW):
            super().warn(message)

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[Progress]:
        """Something is compiled or downloaded."""
        self._compiling = True
        with super().progress(label, total, unit) as progress:
            yield progress


def _watch(turns: _Turns, root: Path, answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 (a stream)
    terminal, watched = Terminal(), Watched(root)
    while True:
        watched.look()
        try:
            turn = turns.run()
            # What the build put beside the sources would else start the next one.
            watched.know(turn.built.changed)
            _say(turn, root, answer, as_json=as_json)
        except GpuwheelError as error:
            terminal.error(error)
        terminal.info("waiting for a change (Ctrl-C ends it)")
        changed = watched.wait()
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        terminal.step(f"{changed[0].relative_to(root)}{more} changed")


def _say(turn: _Turn, root: Path, answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 (a stream)
    if as_json:
        document = _document(turn, root)
        answer.write(json.dumps(document) + "\n")  # a line each: with --watch there are several
        answer.flush()
        return
    painter = Painter(answer, os.environ)
    names = [_shown(path, root) for path in turn.built.changed]
    what = "built " + ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
    what = what if names else "nothing changed"
    quiet = painter.paint("quiet", f"for {' '.join(turn.archs)}, {turn.reason}; {turn.seconds:.2f} s")
    answer.write(f"{painter.paint('ok', what)} {quiet}\n")
    answer.flush()


def _document(turn: _Turn, root: Path) -> dict[str, Any]:
    """The answer for machines, schema 1 (`data/dev.schema.json`)."""
    return {
        "schema": 1,
        "archs": list(turn.archs),
        "reason": turn.reason,
        "files": [_shown(path, root) for path in turn.built.files],
        "changed": [_shown(path, root) for path in turn.built.changed],
        "seconds": round(turn.seconds, 3),
    }


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


@contextmanager
def _talk_on_stderr() -> Iterator[Any]:
    """The stream for answers, while CMake and all that prints to standard output speaks on standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    # The descriptor and not sys.stdout: CMake and compilers write there without asking Python.
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as answer:
            yield answer
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
