"""`gpuwheel doctor`."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._environment import anchored
from gpuwheel.cli import parameters
from gpuwheel.cli.inspection import machine_checks
from gpuwheel.cli.inspection.doctor_report import Check, State
from gpuwheel.cli.inspection.project_checks import Machine, project_report, runs_here
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import GpuwheelError
from gpuwheel.index.settings import read_index_settings
from gpuwheel.model.choices import Mode
from gpuwheel.toolchain import find_host_compiler
from gpuwheel.toolchain.probes.driver import probe_driver
from gpuwheel.toolchain.probes.programs import probe_tool
from gpuwheel.toolchain.probes.toolkits import probe_toolkits
from gpuwheel.ui import Painter, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.index.pinned import Answer
    from gpuwheel.index.settings import IndexSettings

__all__ = ["doctor_command"]

_TOOLS = ("cmake", "ninja", "ccache", "sccache")
_STOPPED = 1


@click.command("doctor")
@parameters.project
@parameters.settings
@parameters.as_json
@click.option("--network/--no-network", default=True, help="Ask the package index.  [default: network]")
def doctor_command(project: Path, settings: tuple[str, ...], *, as_json: bool, network: bool) -> None:
    """Say what a build of PROJECT would use on this machine, and what would stop it, with its fix. Builds nothing.

    The exit code is 1 if something would stop a build.

    \b
    Examples:
      gpuwheel doctor
      gpuwheel doctor sample_extension --no-network
      gpuwheel doctor --json | jq '.checks[] | select(.state == "error")'
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    root = project.resolve()
    checks = _diagnose(root, anchored(os.environ, root), parameters.config_settings(settings), network=network)
    stopped = any(check.state is State.ERROR for check in checks)
    if as_json:
        click.echo(json.dumps(_document(checks, stopped=stopped), indent=2))
    else:
        painter = Painter(sys.stdout, os.environ)
        for line in _table(checks, painter):
            click.echo(line, color=painter.colour)
    if stopped:
        sys.exit(_STOPPED)


def _diagnose(
    root: Path, environ: Mapping[str, str], settings: Mapping[str, str | list[str]], *, network: bool
) -> list[Check]:
    """Every row. What waits for another process or the network runs meanwhile in threads."""
    cache = Cache.from_environment(environ)
    with ThreadPoolExecutor() as pool:
        # The slowest first: a driver may take seconds to answer.
        driver = pool.submit(probe_driver, environ)
        host = pool.submit(find_host_compiler, environ)
        tools = {name: pool.submit(probe_tool, name, environ) for name in _TOOLS}
        stored = pool.submit(machine_checks.cache_check, cache)
        index, misread = _index_settings(environ)
        tables = load_tables()
        asked = pool.submit(_ask, index) if network and index is not None else None
        project, cell = project_report(root, settings, Machine(environ, tables, cache))
        with_host_code = cell is None or cell.mode not in {Mode.KERNELS, Mode.PYTHON}
        return [
            *machine_checks.platform_checks(tables),
            *machine_checks.driver_checks(driver.result()),
            *machine_checks.toolkit_checks(probe_toolkits(environ)),
            *machine_checks.package_checks(),
            machine_checks.host_compiler_check(host.result, needed=with_host_code),
            *machine_checks.tool_checks({name: tool.result() for name, tool in tools.items()}),
            stored.result(),
            *misread,
            *_index_checks(index, asked, project.to_fetch),
            *(() if project.has_project else machine_checks.environment_checks(environ)),
            *project.checks,
            *(runs_here(cell, driver.result()) if cell is not None else ()),
        ]


def _index_settings(environ: Mapping[str, str]) -> tuple[IndexSettings | None, list[Check]]:
    try:
        return read_index_settings(environ), []
    except GpuwheelError as error:
        return None, [Check.of_error("index", "index", "package index", error)]


def _ask(index: IndexSettings) -> Sequence[Answer]:
    # HTTP and its libraries take a fifth of a second to load.
    from gpuwheel.toolchain.probes.reachable import probe_index  # noqa: PLC0415

    return probe_index(index, "torch")


def _index_checks(
    index: IndexSettings | None, asked: Future[Sequence[Answer]] | None, to_fetch: Sequence[str]
) -> Iterator[Check]:
    if index is None:
        return
    if not index.indexes and not index.find_links:
        yield from machine_checks.index_checks((), to_fetch)
    elif asked is None:
        yield Check("index", "index", "package index", State.NOTE, "not asked (--no-network)")
    else:
        try:
            yield from machine_checks.index_checks(asked.result(), to_fetch)
        except GpuwheelError as error:
            yield Check.of_error("index", "index", "package index", error)


def _document(checks: Sequence[Check], *, stopped: bool) -> dict[str, Any]:
    """The report for machines, schema 1 (`data/doctor.schema.json`)."""
    rows = [asdict(check) | {"state": check.state.value} for check in checks]
    return {"schema": 1, "gpuwheel": __version__, "builds": not stopped, "checks": rows}


def _table(checks: Sequence[Check], painter: Painter) -> Iterator[str]:
    """A block per section, a row per check; a problem's fix is the line below it."""
    states = max(len(state.value) for state in State)
    subjects = max(len(check.subject) for check in checks)
    indent = states + subjects + 6
    section = None
    for check in checks:
        if check.section != section:
            section = check.section
            yield painter.paint("title", section)
        where = f"({check.where})" if check.where else ""
        found = wrapped(check.found, indent=indent, stream=sys.stdout)
        if where and len(wrapped(f"{check.found}  {where}", indent=indent, stream=sys.stdout)) == 1:
            found, where = [f"{check.found}  {painter.paint('quiet', where)}"], ""
        state = painter.paint(check.state.value, f"{check.state.value:<{states}}")
        yield f"  {state}  {check.subject:<{subjects}}  {found[0]}"
        yield from found[1:]
        if where:
            lines = wrapped(where, indent=indent, stream=sys.stdout)
            yield painter.paint("quiet", "\n".join([f"{'':<{indent}}{lines[0]}", *lines[1:]]))
        if check.fix:
            first, *others = wrapped(f"fix: {check.fix}", indent=indent, stream=sys.stdout)
            yield f"{'':<{indent}}{painter.paint('hint', 'fix:')}{first.removeprefix('fix:')}"
            yield from others
    yield _verdict(checks, painter)


def _verdict(checks: Sequence[Check], painter: Painter) -> str:
    count = Counter(check.state for check in checks)
    errors, warnings = count[State.ERROR], count[State.WARNING]
    if errors:
        return painter.paint("error", f"{errors} problem{'s' * (errors > 1)} would stop a build")
    more = f", {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
    return painter.paint("ok", "nothing would stop a build") + more
