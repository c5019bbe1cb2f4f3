"""`gpuwheel audit`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.audit import RULES
from gpuwheel.audit.choosing.baseline import write_baseline
from gpuwheel.audit.choosing.fingerprints import project_of
from gpuwheel.audit.choosing.outcome import Outcome, audited, fails
from gpuwheel.audit.choosing.selection import Selection
from gpuwheel.audit.reference import rules_document
from gpuwheel.audit.rendering.annotations import code_quality, workflow_commands
from gpuwheel.audit.rendering.findings_document import audit_document
from gpuwheel.audit.rendering.findings_text import explained, outcome_lines, summary_lines
from gpuwheel.audit.rendering.sarif import sarif_log
from gpuwheel.cli import parameters
from gpuwheel.cli.inspection.audit_request import audit_request, told_excuses
from gpuwheel.cli.inspection.rule_words import RuleWord, selected_rules
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.ui import Painter, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from gpuwheel.audit.choosing.outcome import AuditRequest
    from gpuwheel.compatibility.distributions.releases import ReleaseSource

__all__ = ["audit_command"]

_GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_FORMS = ["text", "json", "sarif", "github", "gitlab"]


@click.command("audit")
@click.argument("wheels", nargs=-1, type=_GIVEN)
@click.option(
    "--profile",
    type=click.Choice(["auto", "own", "any"]),
    default="auto",
    help="Hold wheels to what gpuwheel promises (own), or to what breaks for those who install them (any). "
    "By default own for those that gpuwheel built.",
)
@selected_rules
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "note", "never"]),
    help="The least that fails; by default an error.",
)
@click.option("--baseline", type=_GIVEN, metavar="FILE", help="Findings that are known: they do not count.")
@click.option("--write-baseline", type=_FILE, metavar="FILE", help="Write down what is found, as known.")
@click.option(
    "--online",
    is_flag=True,
    help="Ask the package index what requirements bring that the table does not have; reads parts of wheels.",
)
@click.option("--details", is_flag=True, help="Say of each finding why it matters, how to mend it, and where it is.")
@click.option("--explain", type=RuleWord(), metavar="RULE", help="Print what a rule finds and why.")
@click.option("--list-rules", is_flag=True, help="Print the rules and what each finds; no wheel is looked at.")
@click.option("--format", "form", type=click.Choice(_FORMS), help="For people, for machines, or what a service shows.")
@parameters.as_json
def audit_command(wheels: tuple[Path, ...], *, list_rules: bool, form: str | None, **options: Any) -> None:  # noqa: ANN401
    """Check from the bytes what each of WHEELS claims, whoever built it: device code, libraries, torch, platform.

    The exit code is 9 if something that is found is as bad as --fail-on says, and 17 if one of WHEELS cannot be read;
    the others are still told. For CI, --format github prints annotations, gitlab a code quality report, and sarif a log
    that code hosts and editors show. [tool.gpuwheel.audit] of pyproject.toml in the current folder has defaults.

    \b
    Examples:
      gpuwheel audit dist/*.whl
      gpuwheel audit --details --fail-on warning --ignore sbom dist/*.whl
      gpuwheel audit --write-baseline known.json dist/*.whl; gpuwheel audit --baseline known.json dist/*.whl
      gpuwheel audit --json dist/*.whl > audit.json
      gpuwheel audit --explain torch-floor
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    paint = Painter(sys.stdout, os.environ).paint
    form = _form(form, as_json=options["as_json"])
    if list_rules or options["explain"]:
        if wheels or (list_rules and options["explain"]):
            msg = "--list-rules and --explain look at no wheel (expected one of them alone)"
            raise click.UsageError(msg)
        _tell_rules(options["explain"], form, paint)
        return
    if not wheels:
        msg = "Missing argument 'WHEELS...'."
        raise click.UsageError(msg)
    asked = audit_request(options, Path(), os.environ)
    outcomes = []
    with _known_releases(online=options["online"]) as releases:
        request = replace(asked, releases=releases, digests=form in {"json", "sarif"})
        for outcome in _audited(wheels, request):
            outcomes.append(outcome)
            if form in {"text", "github"}:
                click.echo("\n".join(outcome_lines(outcome, paint, details=options["details"])))
    exit_code = _exit_code(outcomes, request)
    _print(outcomes, form, exit_code, paint, details=options["details"])
    _tell_unused(outcomes, request)
    if options["write_baseline"] is not None:
        found = [(one.name, finding) for one in outcomes for finding in (*one.findings, *one.known) if not one.problem]
        count = write_baseline(options["write_baseline"], found)
        click.echo(f"{options['write_baseline']}: {count} known", err=True)
        exit_code = UnreadableError.exit_code if exit_code == UnreadableError.exit_code else 0
    sys.exit(exit_code)


def _known_releases(*, online: bool) -> AbstractContextManager[ReleaseSource | None]:
    if not online:
        return nullcontext()
    # What asks an index takes longer to import than most wheels to audit.
    from gpuwheel.cli.inspection.index_releases import index_releases  # noqa: PLC0415

    return index_releases(os.environ)


def _form(form: str | None, *, as_json: bool) -> str:
    if form not in {None, "json"} and as_json:
        msg = "--format and --json are two forms (expected one)"
        raise click.UsageError(msg)
    return "json" if as_json else form or "text"


def _audited(wheels: Sequence[Path], request: AuditRequest) -> Iterator[Outcome]:
    tables = load_tables()
    sizes = [wheel.stat().st_size for wheel in wheels]
    if not sys.stderr.isatty():  # a log needs no bar, and each wheel is a line as it is done
        yield from (audited(wheel, request, tables) for wheel in wheels)
        return
    with Terminal().progress("auditing", sum(sizes)) as progress:
        for wheel, size in zip(wheels, sizes, strict=True):
            yield audited(wheel, request, tables)
            progress.advance(size)


def _exit_code(outcomes: Sequence[Outcome], request: AuditRequest) -> int:
    # First: what could not be looked at may hide anything.
    if any(outcome.problem is not None for outcome in outcomes):
        return UnreadableError.exit_code
    return AuditError.exit_code if any(fails(outcome, request.fail_on) for outcome in outcomes) else 0


def _print(outcomes: Sequence[Outcome], form: str, exit_code: int, paint: Any, *, details: bool) -> None:  # noqa: ANN401
    named = {outcome.name: outcome.findings for outcome in outcomes}
    if form == "json":
        click.echo(json.dumps(audit_document(outcomes), indent=2))
    elif form == "sarif":
        click.echo(json.dumps(sarif_log(outcomes, RULES, exit_code=exit_code), indent=2))
    elif form == "gitlab":
        click.echo(json.dumps(code_quality(named), indent=2))
    else:
        for line in summary_lines(outcomes, paint, details=details):
            click.echo(line)
    if form == "github":
        for line in workflow_commands(named):
            click.echo(line)


def _tell_unused(outcomes: Sequence[Outcome], request: AuditRequest) -> None:
    """Reasons and known findings that nothing needs any more: who keeps them would excuse what comes later."""
    terminal = Terminal()
    for line in told_excuses(request, [excused.excuse for outcome in outcomes for excused in outcome.excused]):
        terminal.warn(line)
    seen = [name for outcome in outcomes for name in outcome.seen]
    gone = request.baseline.gone(seen, [project_of(outcome.name) for outcome in outcomes if not outcome.problem])
    if gone:
        terminal.warn(f"{len(gone)} known findings of the baseline are gone: write it again with --write-baseline")


def _tell_rules(word: str | None, form: str, paint: Any) -> None:  # noqa: ANN401
    selection = Selection(select=tuple((word or "").split(",")) if word else ())
    rules = [rule for rule in RULES if selection.asks(rule)]
    if form == "json":
        click.echo(json.dumps(rules_document(rules), indent=2))
    elif word:
        click.echo("\n".join(explained(rules, paint)))
    else:
        width = max(len(rule.id) for rule in rules)
        for rule in rules:
            click.echo(f"{rule.id:{width}}  {rule.severity.value:7}  {rule.summary}")
