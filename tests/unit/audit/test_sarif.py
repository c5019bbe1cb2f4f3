"""SARIF 2.1.0: as the schema that OASIS publishes asks, with everything that services read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner

from gpuwheel.audit import RULES
from gpuwheel.cli import main
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

# docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json
SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    info = "ops-1.dist-info"
    members = {
        f"{info}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: gpuwheel 1\nRoot-Is-Purelib: true\nTag: py2-none-any\n",
    }
    folder = tmp_path / "my wheels"
    folder.mkdir()
    path = folder / "ops-1-py3-none-any.whl"
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return f"my wheels/{path.name}"


@pytest.fixture
def log() -> Callable[..., dict[str, Any]]:
    def run(*words: str, exit_code: int = 9) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["audit", "--format", "sarif", *words])
        assert result.exit_code == exit_code, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft4Validator)
        (found,) = document["runs"]
        assert found["invocations"][0]["exitCode"] == exit_code
        return dict(found)

    return run


def test_results_have_rules_with_help_places_and_fingerprints(wheel: str, log: Callable[..., dict[str, Any]]) -> None:
    run = log(wheel)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in RULES]
    assert all(rule["help"]["markdown"] and rule["shortDescription"]["text"] for rule in rules)
    (result,) = [result for result in run["results"] if result["ruleId"] == "tag-mismatch"]
    assert rules[result["ruleIndex"]]["id"] == "tag-mismatch"
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    # Relative, and a URI: services look for it below the root of the repository.
    assert place == {"uri": "my%20wheels/ops-1-py3-none-any.whl", "index": 0}
    assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    assert len(run["artifacts"][0]["hashes"]["sha-256"]) == 64
    assert result["partialFingerprints"]
    assert "Fix: " in result["message"]["text"]


def test_excused_and_known_findings_are_there_and_marked(
    wheel: str, log: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.gpuwheel.audit.reasons]\ntag-mismatch = "an old mirror wants it"\n', encoding="utf-8"
    )
    run = log(wheel, exit_code=0)
    (result,) = [result for result in run["results"] if result["ruleId"] == "tag-mismatch"]
    assert result["suppressions"] == [{"kind": "external", "justification": "an old mirror wants it"}]
    (tmp_path / "pyproject.toml").unlink()
    CliRunner().invoke(main, ["audit", "--write-baseline", "known.json", wheel])
    run = log("--baseline", "known.json", wheel, exit_code=0)
    assert {result["baselineState"] for result in run["results"]} == {"unchanged"}


def test_a_file_that_is_no_wheel_is_a_notification_too(tmp_path: Path, log: Callable[..., dict[str, Any]]) -> None:
    path = tmp_path / "ops-1-py3-none-any.whl"
    path.write_bytes(b"no archive")
    run = log(str(path), exit_code=17)
    assert run["invocations"][0]["executionSuccessful"] is False
    assert "not a readable wheel" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert [result["ruleId"] for result in run["results"]] == ["unreadable"]
