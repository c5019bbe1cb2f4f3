"""The shell steps of generated pipelines, run here in their order."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from ci_files import parsed
from ci_steps import Machine, commit

from gpuwheel._cache import Cache
from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow]
WHEEL = "first_wheel-0.1.0-py3-none-manylinux_2_28_x86_64.whl"
"""What the tutorial's project is."""


def _machine(service: str, repository: Path, folder: Path, own_index: Path) -> tuple[Machine, dict[str, Any]]:
    run([sys.executable, "-m", "gpuwheel", "ci", service], cwd=repository)
    commit(repository)
    (path,) = [*repository.glob(".github/workflows/*.yml"), *repository.glob(".gitlab-ci.yml")]
    cache = Cache.from_environment(os.environ).root
    return Machine(repository, folder, own_index, cache), parsed(path.read_text(encoding="utf-8"))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def empty_index(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "empty").mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "empty"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        server.shutdown()


def test_github_jobs_give_each_other_what_they_need(
    repository: Path, tmp_path: Path, own_index: Path, empty_index: str
) -> None:
    machine, document = _machine("github", repository, tmp_path / "jobs", own_index)
    (row,) = document["jobs"]["build"]["strategy"]["matrix"]["include"]
    machine.github(document, "sdist")
    built = machine.github(document, "build", row)
    artifacts = machine.folder / "artifacts"
    assert _names(artifacts) == {"sdist", "wheels-x86_64-1", "sbom-x86_64-1", "report-x86_64-1"}
    assert _names(artifacts / "wheels-x86_64-1") == {WHEEL}
    (bill,) = (artifacts / "sbom-x86_64-1").rglob("*.json")
    assert json.loads(bill.read_bytes())["bomFormat"] == "CycloneDX"

    machine.ref = "v0.1.0"
    # Somebody has published a project of this name.
    check = document["jobs"]["release-checks"]["steps"][-1]
    check["run"] = check["run"].replace("--to pypi", f"--to pypi --check-url {empty_index}")
    machine.github(document, "release-checks")
    assert any("2 of 2 files would be sent to pypi" in text for text in machine.log)
    published = machine.github(document, "publish")
    assert _names(published / "dist") == {WHEEL, "first_wheel-0.1.0.tar.gz"}
    machine.ref = "v0.2.0"
    with pytest.raises(AssertionError, match="cannot access"):
        machine.github(document, "publish")
    with pytest.raises(AssertionError, match="tag-version"):
        machine.github(document, "release-checks")

    # Somebody runs the job again: what an earlier attempt finished is taken, and not built.
    for name in ("wheels-x86_64-1", "sbom-x86_64-1", "report-x86_64-1"):
        shutil.rmtree(artifacts / name)
    machine.upload("unfinished-x86_64-1", "dist", built)
    machine.attempt, machine.log = 2, []
    machine.github(document, "build", row)
    assert _names(artifacts / "wheels-x86_64-1") == {WHEEL}
    assert any("as an earlier run left it" in text for text in machine.log)


@pytest.mark.heavy
def test_a_gitlab_job_builds_and_hands_on(repository: Path, tmp_path: Path, own_index: Path) -> None:
    machine, document = _machine("gitlab", repository, tmp_path / "jobs", own_index)
    (row,) = document["build x86_64"]["parallel"]["matrix"]
    built = machine.gitlab(document, "build x86_64", {**row, "PART": "1"})
    assert {row["severity"] for row in json.loads((built / "code-quality.json").read_bytes())} == {"info"}
    assert (built / "dist" / WHEEL).is_file()
    assert (built / ".ci-cache" / "dist" / ".gpuwheel" / "journal.jsonl").is_file()
    assert list((built / "sbom").rglob("*.json"))
    assert (machine.folder / "artifacts" / "build-x86_64" / "dist" / WHEEL).is_file()


@pytest.mark.heavy
@pytest.mark.torch
def test_github_tests_run_beside_torch(repository: Path, tmp_path: Path, own_index: Path) -> None:
    tests = repository / "tests"
    tests.mkdir()
    text = "import first_wheel\n\n\ndef test_the_package_loads():\n    assert first_wheel.__file__\n"
    (tests / "test_it.py").write_text(text, encoding="utf-8")
    machine, document = _machine("github", repository, tmp_path / "jobs", own_index)
    (row,) = document["jobs"]["build"]["strategy"]["matrix"]["include"]
    machine.github(document, "build", row)
    # torch's own index is not everywhere; the usual one has a build, too.
    install = next(step for step in document["jobs"]["test"]["steps"] if "TORCH" in step.get("env", {}))
    install["run"] = install["run"].replace("--index-url https://download.pytorch.org/whl/cpu", "")
    (some,) = [one for one in document["jobs"]["test"]["strategy"]["matrix"]["include"] if one["python"] == "3.11"]
    machine.github(document, "test", {**some, "torch": "torch==2.13.*"})
    assert any("1 passed" in text for text in machine.log)
