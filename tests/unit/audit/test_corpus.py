"""Every broken wheel is found by the right rule, nothing else is said of it, and nothing of its healthy twin.

Where the finding names a command, it mends the wheel.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from corpus.cases import CASES, load
from corpus.wheels import library, wheel

from gpuwheel.audit import RULES, audit_wheel
from gpuwheel.cli.inspection.repair import repair_command

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.cases import Case

    from gpuwheel.compatibility import Tables

load()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_wheel_is_found_and_its_twin_is_not(tmp_path: Path, tables: Tables, case: Case) -> None:
    broken, twin = case.make()
    assert broken != twin
    for place, file, expected in (
        ("broken", broken, [(case.rule, case.severity)]),
        ("twin", twin, []),
    ):
        path = tmp_path / place / file.name
        path.parent.mkdir()
        path.write_bytes(file.data)
        found = audit_wheel(path, tables, profile=case.profile)
        assert [(finding.rule, finding.severity) for finding in found] == expected, found
        for finding in found:
            if finding.command is not None:
                _check_command(path, finding.command, tables, case)


def _check_command(path: Path, command: str, tables: Tables, case: Case) -> None:
    """That the command which a finding names mends the wheel, each time to the same bytes, and is then done."""
    tool, name, *words = shlex.split(command)
    assert (tool, name, words.count("WHEEL")) == ("gpuwheel", "repair", 1)

    def run(wheel: Path, *further: str) -> str:
        ended = CliRunner().invoke(repair_command, [*(str(wheel) if it == "WHEEL" else it for it in words), *further])
        assert ended.exit_code == 0, (ended.output, ended.exception)
        return ended.output

    made = []
    for out in (path.parent / "first", path.parent / "second"):
        run(path, "--wheel-dir", str(out))
        made += out.glob("*.whl")
    assert made[0].read_bytes() == made[1].read_bytes()
    assert audit_wheel(made[0], tables, profile=case.profile) == ()
    assert json.loads(run(made[0], "--dry-run", "--json"))["wheels"][0]["act"] == "kept"


def test_each_case_has_a_name_of_its_own_and_a_rule_that_is_there() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.rule for case in CASES} <= {rule.id for rule in RULES}


def test_thousands_of_words_in_markers_are_asked_once(tmp_path: Path, tables: Tables) -> None:
    markers = [" or ".join(f"python_version == '3.{(one + other) % 60}'" for other in range(50)) for one in range(200)]
    needs = [f"a{number}>=1; {marker}" for number, marker in enumerate(markers)]
    code = library(needed=("libc.so.6", "libnobody.so"))
    made = wheel({"ops/_C.so": code}, requires=needs, tag="py3-none-any")
    path = tmp_path / made.name
    path.write_bytes(made.data)
    before = time.process_time()
    audit_wheel(path, tables)
    spent = time.process_time() - before
    assert spent < 1.3  # each is asked of each Python; of each machine and in each search too, it was 1.9 s
