"""`gpuwheel ci --image`: a tag pushes a container image, when the wheels are published and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ci_files import parsed, validate, zizmor

from gpuwheel.errors import ConfigError, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

BASE = "docker.io/library/python:3.12-slim@sha256:" + "0123456789abcdef" * 4
NAMES = {"github": ".github/workflows/wheels.yml", "gitlab": ".gitlab-ci.yml"}
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci"}
SERVICES = pytest.mark.parametrize("service", NAMES)


def _script(job: dict[str, Any]) -> str:
    return "\n".join(job.get("script", ()) or [step.get("run", "") for step in job["steps"]])


@pytest.mark.parametrize("project", ["one", "many", "untested"], indirect=True)
@SERVICES
def test_the_job_is_as_the_service_wants_it(
    ci: Callable[..., Result], project: Path, service: str, tmp_path: Path
) -> None:
    assert ci(service, "--image", BASE).exit_code == 0
    text = (project / NAMES[service]).read_text(encoding="utf-8")

    validate(text, SCHEMAS[service])
    document = parsed(text)
    job = document["jobs"]["image"] if service == "github" else document["container image"]
    script = _script(job)
    assert f"--base {BASE} " in script
    assert "wheelhouse/*.whl" in script
    if service == "github":
        assert job["permissions"] == {"packages": "write"}
        assert "refs/tags/v" in job["if"]
        others = document["jobs"].get("publish", job)
        assert set(job["needs"]) == set(others["needs"])
        folder = tmp_path / "audited" / ".github" / "workflows"
        folder.mkdir(parents=True)
        (folder / "wheels.yml").write_text(text, encoding="utf-8")
        assert "No findings" in zizmor(tmp_path / "audited")
    else:
        assert job["rules"] == [{"if": '$CI_COMMIT_TAG =~ /^v/ && $CI_COMMIT_REF_PROTECTED == "true"'}]


@SERVICES
def test_the_base_is_kept_until_somebody_says_none(ci: Callable[..., Result], project: Path, service: str) -> None:
    path = project / NAMES[service]
    ci(service)
    without = path.read_text(encoding="utf-8")

    ci(service, "--image", BASE)
    with_image = path.read_text(encoding="utf-8")
    ci(service)
    assert path.read_text(encoding="utf-8") == with_image != without
    ci(service, "--image", "none")
    assert path.read_text(encoding="utf-8") == without


@pytest.mark.parametrize(
    ("base", "code"),
    [
        ("python:3.12", WorkflowError.exit_code),
        ("oci:base", WorkflowError.exit_code),
        ("python@sha256:1", ConfigError.exit_code),
        ("$(reboot)", ConfigError.exit_code),
    ],
)
def test_a_base_that_may_change_is_refused(ci: Callable[..., Result], project: Path, base: str, code: int) -> None:
    result = ci("github", "--image", base)

    assert result.exit_code == code
    assert not (project / NAMES["github"]).exists()
