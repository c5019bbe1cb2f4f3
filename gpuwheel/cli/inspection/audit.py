"""`gpuwheel audit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._endings import as_ours
from gpuwheel.audit import RULES, UNREADABLE, audit_wheel
from gpuwheel.audit.annotations import code_quality, workflow_commands
from gpuwheel.audit.reference import rules_document
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, BugError
from gpuwheel.model.findings import Found, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding

__all__ = ["audit_command"]


@click.command("audit")
@click.argument("wheels", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--list-rules", is_flag=True, help="Print the rules and what each finds; no wheel is looked at.")
@click.option("--format", "form", type=click.Choice(["github", "gitlab"]), help="Print what that service shows.")
@parameters.as_json
def audit_command(wheels: tuple[Path, ...], *, list_rules: bool, form: str | None, as_json: bool) -> None:
    """Check from the bytes what each of WHEELS claims: device code, torch range, libraries, platform tag.

    The exit code is 9 if a wheel does not hold what it claims. For CI, --format github prints annotations, and --format
    gitlab a code quality report.

    \b
    Examples:
      gpuwheel audit dist/*.whl
      gpuwheel audit --json dist/*.whl > audit.json
      gpuwheel audit --list-rules
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if bool(wheels) == list_rules:
        msg = "--list-rules looks at no wheel (expected it alone)" if wheels else "Missing argument 'WHEELS...'."
        raise click.UsageError(msg)
    if list_rules:
        _list_rules(as_json=as_json)
        return
    if form and as_json:
        msg = "--format and --json are two forms (expected one)"
        raise click.UsageError(msg)
    tables = load_tables()
    found = {wheel: _audited(wheel, tables) for wheel in wheels}
    _print(found, "json" if as_json else form)
    if any(finding.severity is Severity.ERROR for findings in found.values() for finding in findings):
        sys.exit(AuditError.exit_code)


def _print(found: Mapping[Path, Sequence[Finding]], form: str | None) -> None:
    named = {wheel.name: findings for wheel, findings in found.items()}
    if form == "json":
        click.echo(json.dumps(_audit_document(found), indent=2))
    elif form == "gitlab":
        click.echo(json.dumps(code_quality(named), indent=2))
    else:
        for name, findings in named.items():
            click.echo(f"{name}: {_verdict(findings)}")
            for finding in findings:
                click.echo(f"  {finding.severity.value} [{finding.rule}] {finding.place} {finding.problem}")
                click.echo(f"    why: {finding.why}\n    fix: {finding.fix}")
    if form == "github":
        for line in workflow_commands(named):
            click.echo(line)


def _list_rules(*, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rules_document(RULES), indent=2))
        return
    width = max(len(rule.id) for rule in RULES)
    for rule in RULES:
        click.echo(f"{rule.id:{width}}  {rule.severity.value:7}  {rule.summary}")


def _audited(wheel: Path, tables: Tables) -> tuple[Finding, ...]:
    """The findings; of a file that cannot be read the one that says so, and the other wheels have their turn."""
    try:
        return audit_wheel(wheel, tables)
    except Exception as error:
        ours = as_ours(error)
        # A bug of ours is no finding about somebody's wheel.
        if isinstance(ours, BugError):
            raise
        found = Found(wheel.name, f"cannot be checked: {ours.message}", fix=ours.hint)
        return (UNREADABLE.finding(found),)


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
                "findings": [finding.document for finding in findings],
            }
            for wheel, findings in found.items()
        ],
    }
