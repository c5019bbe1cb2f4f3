"""Commands, their options, and the end of the process: 0, or the exit code of the error's class."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel import __version__
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, GpuwheelError, PlanError
from gpuwheel.model.findings import Severity
from gpuwheel.pipeline import Build
from gpuwheel.plan import explain
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.model.cells import Decision
    from gpuwheel.model.findings import Finding

__all__ = ["main"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Commands(click.Group):
    """Turns a user's mistake into a message and an exit code, for every command."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        try:
            return super().invoke(ctx)
        except GpuwheelError as error:
            Terminal().error(error)
            ctx.exit(error.exit_code)


@click.group(cls=_Commands, context_settings=_SETTINGS)
@click.version_option(__version__, message="gpuwheel %(version)s")
def main() -> None:
    """Build, plan and check wheels of GPU extensions.

    The wheel itself is built by any PEP 517 frontend: `pip wheel .`, `uv build`, `python -m build`.

    Shell completion: eval "$(_GPUWHEEL_COMPLETE=bash_source gpuwheel)" (or zsh_source, fish_source).
    """


@main.command("plan")
@click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")
@click.option("-C", "settings", multiple=True, metavar="KEY=VALUE", help="As for pip wheel: -C gpuwheel.archs='9.0'.")
@click.option("--json", "as_json", is_flag=True, help="Print a document instead of a table.")
def plan_command(project: Path, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Say which wheels PROJECT gives, on what they run, and why not others. Builds nothing.

    \b
    Examples:
      gpuwheel plan
      gpuwheel plan sample_extension -C "gpuwheel.archs=8.0;9.0+PTX"
      gpuwheel plan --json | jq '.cells[].identifier'
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    build = Build(project.resolve(), dict(os.environ), _config_settings(settings), Terminal())
    decisions = build.plan()
    click.echo(json.dumps(_plan_document(decisions), indent=2) if as_json else explain(decisions))
    if not any(decision.accepted for decision in decisions):
        sys.exit(PlanError.exit_code)


def _config_settings(words: tuple[str, ...]) -> dict[str, str | list[str]]:
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not equals:
            msg = f"-C {key} has no value (expected KEY=VALUE)"
            raise click.UsageError(msg)
    return {key: value for key, _, value in pairs}


def _plan_document(decisions: tuple[Decision, ...]) -> dict[str, Any]:
    """The plan for machines, schema 1 (`data/plan.schema.json`)."""
    return {
        "schema": 1,
        "cells": [
            {
                "identifier": decision.cell.identifier,
                "accepted": decision.accepted,
                "reason": decision.reason,
                "hint": decision.hint,
                "notes": list(decision.notes),
                "mode": decision.cell.mode,
                "cuda": str(decision.cell.cuda),
                "archs": [str(target) for target in decision.cell.archs],
                "torch": f">={decision.cell.torch_floor}",
                "driver": f">={decision.cell.driver_floor}",
                "platform": decision.cell.platform,
                "coverage": [{"device": str(row.device), "served_by": row.served_by} for row in decision.coverage],
            }
            for decision in decisions
        ],
    }


@main.command("audit")
@click.argument("wheels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a document instead of text.")
def audit_command(wheels: tuple[Path, ...], *, as_json: bool) -> None:
    """Check from the bytes what each of WHEELS claims: device code, torch range, libraries, platform tag.

    The exit code is 9 if a wheel does not hold what it claims.

    \b
    Examples:
      gpuwheel audit dist/*.whl
      gpuwheel audit --json dist/*.whl > audit.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    tables = load_tables()
    found = {wheel: audit_wheel(wheel, tables) for wheel in wheels}
    if as_json:
        click.echo(json.dumps(_audit_document(found), indent=2))
    else:
        for wheel, findings in found.items():
            click.echo(f"{wheel.name}: {_verdict(findings)}")
            for finding in findings:
                click.echo(f"  {finding.severity.value} [{finding.rule}] {finding.subject} {finding.problem}")
                click.echo(f"    why: {finding.why}\n    fix: {finding.fix}")
    if any(finding.severity is Severity.ERROR for findings in found.values() for finding in findings):
        sys.exit(AuditError.exit_code)


def _verdict(findings: Sequence[Finding]) -> str:
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    return f"{errors} error{'s' if errors > 1 else ''}" if errors else "holds what it claims"


def _audit_document(found: Mapping[Path, Sequence[Finding]]) -> dict[str, Any]:
    """The findings for machines, schema 1 (`data/audit.schema.json`)."""
    return {
        "schema": 1,
        "wheels": [
            {
                "file": wheel.name,
                "findings": [asdict(finding) | {"severity": finding.severity.value} for finding in findings],
            }
            for wheel, findings in found.items()
        ],
    }
