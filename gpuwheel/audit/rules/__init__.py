"""Every rule, in the order in which findings are told: the one place that registers them.

A new rule is a check under `rule(...)` in the module of its subject, and its name in that module's tuple.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuwheel.audit.cases import code_cases, library_cases
from gpuwheel.audit.rules.container import CONTAINER_RULES
from gpuwheel.audit.rules.container.zip_structure import PACKED_ANEW
from gpuwheel.audit.rules.device_code import DEVICE_CODE_RULES, MANIFEST_CODE_RULES
from gpuwheel.audit.rules.embedded_code import EMBEDDED_CODE_RULES
from gpuwheel.audit.rules.imported_symbols import IMPORTED_SYMBOL_RULES
from gpuwheel.audit.rules.libraries.carried import CARRIED_RULES
from gpuwheel.audit.rules.libraries.conflicts import CONFLICT_RULES
from gpuwheel.audit.rules.libraries.missing import MISSING_LIBRARY_RULES
from gpuwheel.audit.rules.libraries.searched_folders import SEARCH_PATH_RULES
from gpuwheel.audit.rules.library_files import DEBUG_RULES, LIBRARY_FILE_RULES
from gpuwheel.audit.rules.platform import PLATFORM_LIBRARY_RULES, PLATFORM_TAG_RULES
from gpuwheel.audit.rules.python import PYTHON_RULES
from gpuwheel.audit.rules.python_modules import MODULE_RULES
from gpuwheel.audit.rules.torch import TORCH_REQUIREMENT_RULES, TORCH_SYMBOL_RULES
from gpuwheel.audit.rules.wheel_files import CLAIM_RULES, MANIFEST_RULES, SIZE_RULES, UNREADABLE
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Severity, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpuwheel.audit.cases import LibraryCase, WheelCase
    from gpuwheel.model.findings import Finding, Rule

__all__ = ["DEVICE_CODE_RULES", "LIBRARY_RULES", "RULES", "UNREADABLE", "judge"]

LIBRARY_RULES: tuple[Rule[LibraryCase], ...] = (
    *TORCH_SYMBOL_RULES,
    *IMPORTED_SYMBOL_RULES,
    *PLATFORM_LIBRARY_RULES,
    *LIBRARY_FILE_RULES,
    *SEARCH_PATH_RULES,
)
"""About one library."""


def _whole(case: WheelCase) -> tuple[WheelCase]:
    return (case,)


_GROUPS: tuple[tuple[Callable[[WheelCase], Iterable[Any]], tuple[Rule[Any], ...]], ...] = (
    (_whole, (*CLAIM_RULES, *CONTAINER_RULES, *PLATFORM_TAG_RULES, *TORCH_REQUIREMENT_RULES)),
    (library_cases, LIBRARY_RULES),
    (_whole, (*PYTHON_RULES, *MODULE_RULES, *MANIFEST_RULES)),
    (code_cases, DEVICE_CODE_RULES),
    (_whole, (*MANIFEST_CODE_RULES, *EMBEDDED_CODE_RULES)),
    (_whole, DEBUG_RULES),
    (_whole, (*MISSING_LIBRARY_RULES, *CARRIED_RULES, *CONFLICT_RULES)),
    (_whole, SIZE_RULES),
)
"""What rules are asked about, and those rules: each library meets all of its rules before the next one does."""

RULES: tuple[Rule[Any], ...] = tuple(rule for _, rules in _GROUPS for rule in rules)


def _noticed(rule: Rule[Any], subject: Any, case: WheelCase) -> Iterator[tuple[str, Finding]]:  # noqa: ANN401
    """What a rule says; of a member that cannot be read, `UNREADABLE` has said it, and the other rules go on."""
    try:
        yield from rule.noticed(subject)
    except AuditError:
        if rule is UNREADABLE or not case.wheel.damaged:
            raise


_RECORD = "gpuwheel repair --record WHEEL"
_MENDED = {
    **dict.fromkeys(PACKED_ANEW, _RECORD),
    "record": _RECORD,
    "record-hash": _RECORD,
    "record-row": _RECORD,
    "record-signature": _RECORD,
    "tag-mismatch": "gpuwheel repair WHEEL",
    "sbom-missing": "gpuwheel repair --sbom WHEEL",
}
"""Rule -> the command that mends all that it finds, where one does."""


def judge(case: WheelCase) -> tuple[Finding, ...]:
    """What is wrong with a wheel, errors first; empty for one that holds what it claims.

    Raises:
        AuditError: the file is not a wheel, or what is in it cannot be read.
    """
    found = together(  # what is wrong by two promises, or in many files, is told once
        noticed
        for subjects, rules in _GROUPS
        for subject in subjects(case)
        for rule in rules
        for noticed in _noticed(rule, subject, case)
    )
    # sorted() is stable: within a severity, findings stay in the order of the rules.
    order = list(Severity)
    told = (replace(one, command=one.command or _MENDED.get(one.rule)) for one in found)
    return tuple(sorted(told, key=lambda finding: order.index(finding.severity)))
