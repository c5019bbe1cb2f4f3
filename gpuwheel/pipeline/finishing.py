"""From the inner backend's wheel to the one that ships: edited, judged as `gpuwheel audit` does, then packed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.audit import Code, WheelCase, full_tag, inspect, judge, platform_tag
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Severity
from gpuwheel.wheel import edit_wheel, pack_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.audit import Inspection
    from gpuwheel.model.findings import Finding
    from gpuwheel.pipeline.session import Compiled, Session
    from gpuwheel.wheel import PackedWheel, Wheel, WheelEdits

__all__ = ["check", "finish", "refuse"]


def finish(session: Session, compiled: Compiled, edits: WheelEdits) -> tuple[str, PackedWheel]:
    """The name of the wheel that ships, and its file in memory; warnings about it are told.

    Its platform is the one asked for, else the oldest that the libraries allow.

    Raises:
        AuditError: it is not fit to ship, or something in it cannot be read.
    """
    wheel, inspection = _edited(compiled, edits)
    # Packed before it is judged: its size is one of the things that are.
    packed = pack_wheel(wheel.members.values(), epoch=session.epoch)
    asked = session.config.settings.wheel
    case = WheelCase(replace(inspection, size=packed.size), load_tables(), compiled.expected, grafts=asked.graft)
    findings = judge(replace(case, max_size=asked.max_size))
    refuse(findings)
    for finding in findings:
        say = session.reporter.info if finding.severity is Severity.NOTE else session.reporter.warn
        say(f"{finding.subject} {finding.problem}")
    if copied := sorted(case.to_be_copied):
        session.reporter.warn(f"the wheel lacks {', '.join(copied)}: gpuwheel repair puts a copy of it into the wheel")
    return inspection.name, packed


def check(session: Session, compiled: Compiled, edits: WheelEdits) -> None:
    """Whether that wheel would be fit to ship, but for its size, which nobody knows before it is packed.

    Raises:
        AuditError: as `finish` does.
    """
    _, inspection = _edited(compiled, edits)
    grafts = session.config.settings.wheel.graft
    refuse(judge(WheelCase(inspection, load_tables(), compiled.expected, grafts=grafts)))


def _edited(compiled: Compiled, edits: WheelEdits) -> tuple[Wheel, Inspection]:
    tables, asked, code = load_tables(), compiled.expected.platform, Code(compiled.wheel.members)
    libraries = code.libraries
    platform = platform_tag(libraries, tables).tag if asked is None else full_tag(asked, libraries, tables)
    wheel = edit_wheel(compiled.wheel, replace(edits, platform=platform))
    return wheel, inspect(wheel, code=code)  # an edit changes metadata alone: the libraries are those that were read


def refuse(findings: Sequence[Finding]) -> None:
    """End the build if a finding is an error.

    Raises:
        AuditError: names every such finding; the detail says why each matters.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return
    first, *others = errors
    detail = "\n".join(f"{e.subject} {e.problem}\n  why: {e.why}\n  fix: {e.fix}  [{e.rule}]" for e in errors)
    more = f", and {len(others)} more" if others else ""
    msg = f"{first.subject} {first.problem}{more}"
    raise AuditError(msg, hint=first.fix, detail=detail)
