"""What an audit is asked for: the options, over `[tool.gpuwheel.audit]` of the project in the current folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel.audit.choosing.baseline import Baseline, read_baseline
from gpuwheel.audit.choosing.excuses import Excuse
from gpuwheel.audit.choosing.outcome import AuditRequest
from gpuwheel.audit.choosing.selection import Selection
from gpuwheel.config.reading.audit_table import read_audit_settings
from gpuwheel.errors import ConfigError
from gpuwheel.model.findings import Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.config.model import AuditSettings

__all__ = ["audit_request", "told_excuses"]

_TABLE = "[tool.gpuwheel.audit] in pyproject.toml"


def audit_request(options: Mapping[str, Any], project: Path, environ: Mapping[str, str]) -> AuditRequest:
    """The request.

    Args:
        options: `profile`, `select`, `ignore`, `fail_on`, `baseline` of the command; what is not given is `None` or
            empty.
        project: folder whose pyproject.toml counts, if it has one.
        environ: the environment.

    Raises:
        ConfigError: the table is not valid, or names a rule that there is not.
    """
    settings = read_audit_settings(project, environ)
    fail_on = options["fail_on"] or settings.fail_on
    baseline = options["baseline"] or (settings.baseline and project / settings.baseline)
    return AuditRequest(
        profile=None if options["profile"] == "auto" else Profile(options["profile"]),
        selection=_selection(settings, options),
        excuses=_excuses(settings),
        baseline=read_baseline(Path(baseline)) if baseline else Baseline(),
        fail_on=None if fail_on == "never" else Severity(fail_on),
    )


def told_excuses(request: AuditRequest, used: Iterable[Excuse]) -> list[str]:
    """Reasons that covered nothing: the finding is gone, or the pattern is wrong."""
    there = set(used)
    return [
        f"audit.reasons of pyproject.toml has {str(excuse)!r}, which no finding of these wheels needs"
        for excuse in request.excuses
        if excuse not in there
    ]


def _selection(settings: AuditSettings, options: Mapping[str, Any]) -> Selection:
    # A choice by option replaces that of the project; what is ignored adds up.
    select = _words(options["select"]) or settings.select
    severities = {word: Severity(value) for word, value in settings.severity.items()}
    try:
        return Selection(select, (*settings.ignore, *_words(options["ignore"])), severities)
    except ValueError as error:
        msg = f"{_TABLE} names a rule that there is not: {error}"
        raise ConfigError(msg, hint="gpuwheel audit --list-rules has all") from error


def _words(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip() for value in values for word in value.split(",") if word.strip())


def _excuses(settings: AuditSettings) -> tuple[Excuse, ...]:
    try:
        return tuple(Excuse.parse(key, reason) for key, reason in settings.reasons.items())
    except ValueError as error:
        msg = f"reasons of {_TABLE} is not valid: {error}"
        raise ConfigError(msg, hint='write "RULE:PATTERN" = "why it does not count"') from error
