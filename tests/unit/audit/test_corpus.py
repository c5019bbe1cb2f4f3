"""Every broken wheel is found by the right rule, nothing else is said of it, and nothing of its healthy twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from corpus.cases import CASES, load

from gpuwheel.audit import RULES, audit_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.cases import Case

    from gpuwheel.compatibility import Tables

load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_wheel_is_found_and_its_twin_is_not(tmp_path: Path, tables: Tables, case: Case) -> None:
    broken, twin = case.make()
    assert broken != twin
    for place, wheel, expected in (
        ("broken", broken, [(case.rule, case.severity)]),
        ("twin", twin, []),
    ):
        path = tmp_path / place / wheel.name
        path.parent.mkdir()
        path.write_bytes(wheel.data)
        found = audit_wheel(path, tables, profile=case.profile)
        assert [(finding.rule, finding.severity) for finding in found] == expected, found


def test_each_case_has_a_name_of_its_own_and_a_rule_that_is_there() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.rule for case in CASES} <= {rule.id for rule in RULES}
