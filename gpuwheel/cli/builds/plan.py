"""`gpuwheel plan`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel.cli import parameters
from gpuwheel.errors import PlanError
from gpuwheel.model.choices import Mode
from gpuwheel.pipeline import Build
from gpuwheel.plan import explain, select
from gpuwheel.ui import Terminal, wrapped

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Cell, Decision

__all__ = ["plan_command"]

_INDENT = 4
"""Columns that further lines of a long one are moved in, more than any first one is."""


@click.command("plan")
@parameters.project
@parameters.settings
@click.option("--only", metavar="ID", help="Only the wheel of this identifier, as -C gpuwheel.only=ID.")
@parameters.as_json
def plan_command(project: Path, settings: tuple[str, ...], only: str | None, *, as_json: bool) -> None:
    """Say which wheels PROJECT gives, on what they run, and why not others. Builds nothing.

    \b
    Examples:
      gpuwheel plan
      gpuwheel plan sample_extension -C "gpuwheel.archs=8.0;9.0+PTX"
      gpuwheel plan --json | jq '.cells[].identifier'
      gpuwheel plan --only embed-cu12.9-torch2.10-linux_x86_64
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    given = parameters.config_settings(settings) | ({"gpuwheel.only": only} if only is not None else {})
    build = Build(project.resolve(), dict(os.environ), given, Terminal())
    decisions, named = build.plan(), build.config.settings.only
    if named is not None:
        decisions = (select(decisions, named),)
    if as_json:
        click.echo(json.dumps(_plan_document(decisions, build.config), indent=2))
    else:
        for line in explain(decisions).splitlines():
            text = line.lstrip()
            fits = wrapped(text, indent=_INDENT, stream=sys.stdout)
            click.echo("\n".join([line.removesuffix(text) + fits[0], *fits[1:]]))
    # Printed all the same: the reasons are what somebody asked for.
    if not any(decision.accepted for decision in decisions):
        sys.exit(PlanError.exit_code)


def _plan_document(decisions: tuple[Decision, ...], config: LoadedConfig) -> dict[str, Any]:
    """The plan for machines, schema 1 (`data/plan.schema.json`)."""
    pythons = config.project.requires_python
    return {
        "schema": 1,
        "cells": [
            {
                "identifier": decision.cell.identifier,
                "accepted": decision.accepted,
                "reason": decision.reason,
                "hint": decision.hint,
                "notes": list(decision.notes),
                "mode": decision.cell.mode.value,
                "cuda": str(decision.cell.cuda) if decision.cell.mode is not Mode.PYTHON else None,
                "archs": [str(target) for target in decision.cell.archs],
                "torch": _torch(decision.cell, config),
                "python_tag": decision.cell.python_tag,
                "requires_python": None if pythons is None else str(SpecifierSet(pythons)),
                "driver": f">={decision.cell.driver_floor}" if decision.cell.mode is not Mode.PYTHON else None,
                "platform": decision.cell.platform,
                "platform_tag": _platform_tag(decision.cell, config),
                "collapsed": [asdict(axis) | {"values": list(axis.values)} for axis in decision.collapsed],
                "coverage": [{"device": str(row.device), "served_by": row.served_by} for row in decision.coverage],
            }
            for decision in decisions
        ],
    }


def _torch(cell: Cell, config: LoadedConfig) -> str | None:
    """Which torch the wheel will ask for: as the project states it, else as gpuwheel writes it."""
    stated = [Requirement(text) for text in config.project.dependencies or ()]
    found = [one for one in stated if canonicalize_name(one.name) == "torch"]
    if found:
        return str(found[0].specifier)
    return None if cell.torch_range is None else str(cell.torch_range)


def _platform_tag(cell: Cell, config: LoadedConfig) -> str | None:
    """The last part of the wheel's name; `None` where what is linked decides."""
    platform = config.settings.wheel.platform
    if cell.machine is None:
        return cell.platform
    return None if platform == "system" else f"{platform}_{cell.machine}"
