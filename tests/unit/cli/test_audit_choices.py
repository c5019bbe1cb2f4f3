"""`gpuwheel audit`: which rules, what fails, what is excused or known before."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner

from gpuwheel._resources import resource
from gpuwheel.audit import RULES
from gpuwheel.audit.choosing.fingerprints import fingerprint, neutral_name
from gpuwheel.audit.choosing.outcome import Outcome
from gpuwheel.audit.choosing.selection import group_of
from gpuwheel.audit.rendering.findings_text import outcome_lines
from gpuwheel.cli import main
from gpuwheel.model.findings import Finding, Profile, Severity
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from click.testing import Result

RECORD, TAG = "record", "tag-mismatch"
GROUP = {rule.id: group_of(rule) for rule in RULES}


def _broken(folder: Path, version: str = "1", *, edited: tuple[str, ...] = ("ops/a.py",)) -> Path:
    """A wheel with files that RECORD does not know, and another tag in WHEEL than in its name."""
    info = f"ops-{version}.dist-info"
    members = {
        "ops/a.py": b"",
        "ops/b.py": b"",
        f"{info}/METADATA": f"Metadata-Version: 2.2\nName: ops\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: gpuwheel 1\nRoot-Is-Purelib: true\nTag: py2-none-any\n",
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"ops-{version}-py3-none-any.whl"
    whole = folder / "whole.zip"
    write_wheel(whole, [Member(name, data) for name, data in members.items()])
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, b"edited" if name in edited else source.read(name))
    whole.unlink()
    return path


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return _broken(tmp_path)


def _audit(*words: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)])


def _rules(*words: object) -> set[str]:
    (found,) = json.loads(_audit("--json", *words).stdout)["wheels"]
    return {finding["rule"] for finding in found["findings"]}


def _configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.gpuwheel.audit]\n{text}\n", encoding="utf-8")


def test_the_wheel_breaks_two_rules(wheel: Path) -> None:
    assert _rules(wheel) == {RECORD, TAG}
    assert _audit(wheel).exit_code == 9


def test_rules_are_chosen_by_identifier_by_its_start_and_by_group(wheel: Path) -> None:
    assert _rules("--select", "tag", wheel) == {TAG}
    assert _rules("--select", f"{RECORD},{TAG}", "--ignore", "tag", wheel) == {RECORD}
    assert _rules("--select", GROUP[RECORD], wheel) >= {RECORD}
    assert _rules("--ignore", GROUP[RECORD], "--ignore", GROUP[TAG], wheel) == set()
    assert _audit("--ignore", f"{RECORD},{TAG}", wheel).exit_code == 0


def test_what_was_not_selected_is_not_checked_and_not_clean(wheel: Path) -> None:
    (found,) = json.loads(_audit("--json", "--ignore", RECORD, wheel).stdout)["wheels"]
    assert {"rule": RECORD, "because": "not selected"} in found["not_checked"]


@pytest.mark.parametrize("option", ["--select", "--ignore", "--explain"])
def test_an_unknown_rule_is_a_mistake_with_a_suggestion(wheel: Path, option: str) -> None:
    result = _audit(option, "recrod", wheel)
    assert result.exit_code == 2
    assert "did you mean 'record'?" in result.stderr


@pytest.mark.parametrize(("least", "code"), [("error", 9), ("warning", 9), ("note", 9), ("never", 0)])
def test_what_fails_is_said(wheel: Path, least: str, code: int) -> None:
    assert _audit("--fail-on", least, wheel).exit_code == code


def test_a_severity_of_the_project_decides_what_fails(wheel: Path, tmp_path: Path) -> None:
    _configure(tmp_path, f'severity = {{ {RECORD} = "note", {GROUP[TAG]} = "warning" }}')
    result = _audit(wheel)
    assert result.exit_code == 0
    assert f"note [{RECORD}]" in result.stdout
    assert f"warning [{TAG}]" in result.stdout
    assert _audit("--fail-on", "warning", wheel).exit_code == 9


def test_the_project_chooses_and_options_choose_again(wheel: Path, tmp_path: Path) -> None:
    _configure(tmp_path, f'select = ["{RECORD}"]\nfail-on = "never"')
    assert _rules(wheel) == {RECORD}
    assert _audit(wheel).exit_code == 0
    assert _rules("--select", TAG, wheel) == {TAG}
    assert _audit("--fail-on", "error", wheel).exit_code == 9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('select = ["recrod"]', "did you mean 'record'?"),
        ('severity = { recrod = "note" }', "did you mean 'record'?"),
        ('severity = { record = "bad" }', "'error' or 'warning' or 'note'"),
        ('reasons = { recrod = "why" }', "did you mean 'record'?"),
        ('reasons = { record = "  " }', "no reason"),
        ("reasons = { record = 1 }", "audit.reasons.record"),
        ('slect = ["record"]', "slect"),
        ('fail-on = "always"', "never"),
    ],
)
def test_a_mistake_in_the_table_is_told(wheel: Path, tmp_path: Path, text: str, said: str) -> None:
    _configure(tmp_path, text)
    result = _audit(wheel)
    assert result.exit_code == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reason_excuses_what_it_covers_and_is_told_when_nothing_needs_it(wheel: Path, tmp_path: Path) -> None:
    _configure(
        tmp_path,
        'ignore = ["tag-mismatch"]\n[tool.gpuwheel.audit.reasons]\n'
        '"record:ops*" = "edited by hand before the upload"\n"record:other/*" = "was never needed"',
    )
    result = _audit("--json", wheel)
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["wheels"]
    assert found["findings"] == []
    assert {row["reason"] for row in found["excused"]} == {"edited by hand before the upload"}
    assert "'record:other/*'" in result.stderr
    assert "'record:ops*'" not in result.stderr
    assert "reason: edited by hand" in _audit("--details", wheel).stdout


def test_known_findings_do_not_count_in_the_next_version_and_new_ones_do(wheel: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    written = _audit("--write-baseline", known, wheel)
    assert written.exit_code == 0, written.output
    document = json.loads(known.read_text(encoding="utf-8"))
    schema = json.loads(resource("data", "audit-baseline.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert {row["rule"] for row in document["findings"]} == {RECORD, TAG}
    assert _audit("--baseline", known, wheel).exit_code == 0

    later = _broken(tmp_path / "later", "1.0.1")
    assert _audit("--baseline", known, later).exit_code == 0
    assert "known" in _audit("--baseline", known, later).stdout.splitlines()[-1]

    worse = _broken(tmp_path / "worse", "1.0.2", edited=("ops/a.py", "ops/b.py"))
    result = _audit("--baseline", known, worse)
    assert result.exit_code == 9
    assert "ops/b.py" in result.stdout
    assert not any("ops/a.py differs" in line for line in result.stdout.splitlines())


def test_a_project_may_name_its_baseline_and_hears_when_it_is_out_of_date(wheel: Path, tmp_path: Path) -> None:
    _audit("--write-baseline", tmp_path / "known.json", wheel)
    _configure(tmp_path, 'baseline = "known.json"')
    assert _audit(wheel).exit_code == 0
    better = _broken(tmp_path / "better", edited=())
    result = _audit(better)
    assert result.exit_code == 0
    assert "are gone" in result.stderr
    assert "are gone" not in _audit(wheel).stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "findings": []}', '{"schema": 1, "findings": [1]}'])
def test_a_file_that_is_no_baseline(wheel: Path, tmp_path: Path, text: str) -> None:
    known = tmp_path / "known.json"
    known.write_text(text, encoding="utf-8")
    result = _audit("--baseline", known, wheel)
    assert result.exit_code == 3
    assert "is not a baseline" in result.stderr


def test_a_rule_is_explained(wheel: Path) -> None:
    del wheel
    result = _audit("--explain", RECORD)
    assert result.exit_code == 0
    for word in ("why: ", "fix: ", "source: "):
        assert word in result.stdout


def test_variables_choose_too_and_those_of_builds_are_no_matter_of_an_audit(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUWHEEL_ARCHS", "nonsense")
    monkeypatch.setenv("GPUWHEEL_AUDIT_SELECT", RECORD)
    assert _rules(wheel) == {RECORD}
    monkeypatch.setenv("GPUWHEEL_AUDIT_SELECTS", RECORD)
    assert _audit(wheel).exit_code == 3


def test_names_in_a_wheel_steer_no_terminal() -> None:
    finding = _finding(subject="ops/\x1b[2J.py", problem="differs\n::error::x")
    outcome = Outcome(Path("ops-1-py3-none-any.whl"), 0, None, Profile.ANY, (finding,))
    (_, line, *_) = outcome_lines(outcome, lambda _, text: text, details=True)
    assert "\x1b" not in line
    assert "\n" not in line


def test_colour_obeys_the_environment(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert (
        "\x1b[" in _audit(wheel).stdout or "\x1b[" in CliRunner().invoke(main, ["audit", str(wheel)], color=True).stdout
    )
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(main, ["audit", str(wheel)], color=True).stdout


def _finding(**changes: object) -> Finding:
    given = {"rule": "r", "severity": Severity.ERROR, "subject": "ops/_C.so", "problem": "p", "why": "", "fix": ""}
    given |= changes
    return Finding(**given, where=(str(given["subject"]),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ops-1.0.dist-info/WHEEL", "ops-1.1.dist-info/WHEEL"),
        ("ops.libs/libgomp-a34b3233.so.1", "ops.libs/libgomp-98df74fd.so.1"),
        ("ops/_C.cpython-311-x86_64-linux-gnu.so", "ops/_C.cpython-312-aarch64-linux-gnu.so"),
        ("is 812.4 MB (expected 100 MB)", "is 813 MB (expected 100 MB)"),
        ("holds 1,204 files", "holds 1,190 files"),
    ],
)
def test_a_fingerprint_stays_when_the_wheel_is_built_again(one: str, other: str) -> None:
    names = "ops-1.0-cp311-cp311-linux_x86_64.whl", "ops-1.1-cp312-cp312-linux_aarch64.whl"
    assert neutral_name(one) == neutral_name(other)
    assert len({fingerprint(name, _finding(problem=text)) for name, text in zip(names, (one, other), strict=True)}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("needs libcudart.so.12", "needs libcudart.so.13"),
        ("needs GLIBC_2.28", "needs GLIBC_2.34"),
        ("has no code for sm_90", "has no code for sm_100"),
        ("torch 2.10 lacks f", "torch 2.10 lacks g"),
    ],
)
def test_a_fingerprint_tells_findings_apart(one: str, other: str) -> None:
    assert fingerprint("ops-1-py3-none-any.whl", _finding(problem=one)) != fingerprint(
        "ops-1-py3-none-any.whl", _finding(problem=other)
    )
    assert fingerprint("ops-1-py3-none-any.whl", _finding()) != fingerprint("other-1-py3-none-any.whl", _finding())


def test_a_name_of_thousands_of_characters_costs_no_time() -> None:
    before = time.process_time()
    assert neutral_name("a" * 60_000) != neutral_name("b" * 60_000)
    assert time.process_time() - before < 1
