"""A plan for programs, schema 1 (`data/plan.schema.json`). Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from gpuwheel.model.choices import Mode

if TYPE_CHECKING:
    from gpuwheel.model.libraries import Survey
    from gpuwheel.plan.collapse import Gain
    from gpuwheel.plan.views.overview import CellFacts, Overview

__all__ = ["plan_document"]


def plan_document(overview: Overview) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return {
        "schema": 1,
        "project": {"name": overview.name, "version": overview.version},
        "cells": [_cell(facts, overview) for facts in overview.cells],
        "wheels": len(overview.accepted),
        "collapse": [_gain(gain) for gain in overview.gains],
        "surveys": [_survey(survey) for survey in overview.surveys],
        "policies": [{"key": one.key, "policy": one.policy, "values": list(one.values)} for one in overview.policies],
        "free_threaded": list(overview.free_threaded),
        "forecast": None if overview.forecast is None else asdict(overview.forecast),
        "next": [asdict(change) for change in overview.next_changes],
    }


def _cell(facts: CellFacts, overview: Overview) -> dict[str, Any]:
    decision, cell, pythons = facts.decision, facts.cell, overview.requires_python
    compiled = cell.mode is not Mode.PYTHON
    return {
        "identifier": cell.identifier,
        "accepted": decision.accepted,
        "reason": decision.reason,
        "hint": decision.hint,
        "notes": list(decision.notes),
        "mode": cell.mode.value,
        "cuda": str(cell.cuda) if compiled else None,
        "archs": [str(target) for target in cell.archs],
        "torch": facts.torch,
        "python": str(cell.python) if cell.python else None,
        "python_tag": cell.python_tag,
        "requires_python": None if pythons is None else str(SpecifierSet(pythons)),
        "requires": list(facts.requires),
        "driver": f">={cell.driver_floor}" if compiled else None,
        "platform": cell.platform,
        "platform_tag": facts.platform_tag,
        "file": facts.file,
        "local": facts.local,
        "collapsed": [asdict(axis) | {"values": list(axis.values)} for axis in decision.collapsed],
        "coverage": [{"device": str(row.device), "served_by": row.served_by} for row in decision.coverage],
        "narrow": list(facts.narrow),
        "data": [asdict(row) for row in facts.rows],
    }


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        "axis": gain.axis,
        "wheels": gain.wheels,
        "would_be": gain.would_be,
        "because": gain.because,
        "change": gain.change,
        "settings": list(gain.settings),
        "lines": [{"extension": one.extension, "place": one.place, "header": one.header} for one in gain.lines],
    }


def _survey(survey: Survey) -> dict[str, Any]:
    return {
        "extension": survey.extension,
        "verdict": survey.verdict.value,
        "lines": [
            {"place": one.place, "uses": one.uses, "why": one.why, "edit": one.edit, "conditional": one.conditional}
            for one in survey.lines
        ],
    }
