"""`gpuwheel audit`: text for people, a document for machines, an exit code for both."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner

from gpuwheel._resources import resource
from gpuwheel.audit import RULES
from gpuwheel.cli import main
from gpuwheel.model.findings import Part
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

METADATA = b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _written(folder: Path, version: str) -> Path:
    path, info = folder / f"ops-{version}-py3-none-any.whl", f"ops-{version}.dist-info"
    metadata = METADATA.replace(b"Version: 1\n", f"Version: {version}\n".encode())
    members = {"ops/__init__.py": b"", f"{info}/METADATA": metadata, f"{info}/WHEEL": WHEEL}
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return _written(tmp_path, "1")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path, honest = tmp_path / "ops-2-py3-none-any.whl", tmp_path / "honest"
    honest.mkdir()
    with zipfile.ZipFile(_written(honest, "2")) as source, zipfile.ZipFile(path, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, b"edited\n" if name == "ops/__init__.py" else source.read(name))
    return path


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    jsonschema.validate(document, json.loads(resource("data", "audit.schema.json").read_text(encoding="utf-8")))
    return document


def test_an_honest_wheel(good: Path) -> None:
    result = CliRunner().invoke(main, ["audit", str(good)])
    assert result.exit_code == 0, result.output
    assert "ops-1-py3-none-any.whl: holds what it claims" in result.stdout


def test_a_wheel_that_was_edited(good: Path, bad: Path) -> None:
    result = CliRunner().invoke(main, ["audit", str(good), str(bad)])
    assert result.exit_code == 9
    assert "error [record]" in result.stdout
    assert "fix: " not in result.stdout
    assert "1 error" in result.stdout.splitlines()[-2]
    detailed = CliRunner().invoke(main, ["audit", "--details", str(bad)]).stdout
    assert "why: " in detailed
    assert "fix: " in detailed


def test_the_document_follows_its_schema(good: Path, bad: Path) -> None:
    result = CliRunner().invoke(main, ["audit", "--json", str(good), str(bad)])
    assert result.exit_code == 9
    document = _document(result.stdout)
    honest, edited = document["wheels"]
    assert not honest["findings"]
    assert edited["findings"][0]["severity"] == "error"
    assert edited["sha256"] == hashlib.sha256(bad.read_bytes()).hexdigest()
    assert {row["rule"] for row in edited["not_checked"]} >= {rule.id for rule in RULES if Part.BUILD in rule.needs}


def test_the_rules_are_listed_for_people_and_for_machines() -> None:
    listed = CliRunner().invoke(main, ["audit", "--list-rules"])
    document = json.loads(CliRunner().invoke(main, ["audit", "--list-rules", "--json"]).stdout)
    schema = json.loads(resource("data", "audit-rules.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        [rule["id"], rule["severity"]] for rule in document["rules"]
    ]
    assert {"record", "torch-floor", "size-budget"} <= {rule["id"] for rule in document["rules"]}


def test_rules_or_wheels_are_asked_for_and_not_both(good: Path) -> None:
    for words in (
        [],
        ["--list-rules", str(good)],
        ["--explain", "record", str(good)],
        ["--list-rules", "--explain", "x"],
    ):
        result = CliRunner().invoke(main, ["audit", *words])
        assert result.exit_code == 2
        assert "Usage:" in result.output


def test_a_file_that_is_no_wheel(tmp_path: Path) -> None:
    path = tmp_path / "ops-1-py3-none-any.whl"
    path.write_bytes(b"no archive")
    result = CliRunner().invoke(main, ["audit", str(path)])
    assert result.exit_code == 17
    assert "error [unreadable]" in result.stdout
    assert "is not a readable wheel" in result.stdout


def test_of_wheels_that_cannot_be_read_there_is_an_entry_and_the_others_are_told(tmp_path: Path, bad: Path) -> None:
    path = tmp_path / "other-1-py3-none-any.whl"
    path.write_bytes(b"no archive")
    result = CliRunner().invoke(main, ["audit", "--json", "--fail-on", "never", str(path), str(bad)])
    assert result.exit_code == 17
    broken, edited = _document(result.stdout)["wheels"]
    assert broken["unreadable"]["message"]
    assert broken["sha256"] == hashlib.sha256(b"no archive").hexdigest()
    assert broken["profile"] is None
    assert [finding["rule"] for finding in edited["findings"]] == ["record"]
    assert edited["unreadable"] is None


def test_github_shows_findings_beside_the_change(good: Path, bad: Path) -> None:
    result = CliRunner().invoke(main, ["audit", "--format", "github", str(good), str(bad)])
    assert result.exit_code == 9
    marks = [line for line in result.stdout.splitlines() if line.startswith("::")]
    assert marks
    # One line each, whatever a finding says: the next line would be a command of the wheel's own.
    assert all(re.match(r"::(error|warning|notice) file=pyproject\.toml,title=[^:,]+::", line) for line in marks)
    assert any(line.startswith("::error ") and "[record]" in line and "%0Afix%3A" not in line for line in marks)


def test_gitlab_gets_a_report(good: Path, bad: Path) -> None:
    result = CliRunner().invoke(main, ["audit", "--format", "gitlab", str(good), str(bad)])
    assert result.exit_code == 9
    rows = json.loads(result.stdout)
    assert {row["check_name"] for row in rows} >= {"record"}
    assert all(row["location"] == {"path": "pyproject.toml", "lines": {"begin": 1}} for row in rows)
    assert {row["severity"] for row in rows} <= {"blocker", "minor", "info"}
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    assert json.loads(CliRunner().invoke(main, ["audit", "--format", "gitlab", str(good)]).stdout) == []


def test_two_forms_are_one_too_many(good: Path) -> None:
    assert CliRunner().invoke(main, ["audit", "--json", "--format", "github", str(good)]).exit_code == 2
