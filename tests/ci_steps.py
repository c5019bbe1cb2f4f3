"""Runs the shell steps of generated pipelines here, in order, as their services do: each job in a checkout of its own,
with a clean HOME, and artifacts as the only thing that passes from one to the next.

Actions are not run: what they do for the next step (a checkout, a Python, artifacts) is done by a few lines here.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Machine", "commit"]

_EXPRESSION = re.compile(r"\$\{\{ ([a-z_.-]+) \}\}")
# Conditions of steps, as they are when nothing went wrong on a branch.
_CONDITIONS = {
    "github.ref_type == 'branch' || github.event_name == 'pull_request'": True,
    "failure() || cancelled()": False,
    "always()": True,
    "always() && github.event_name == 'push' && github.ref_type == 'branch'": True,
}
_GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")
_KEPT = ("LANG", "PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP", "NO_PROXY")


def commit(folder: Path) -> None:
    """Everything in `folder`, as the only commit of a repository."""
    for words in (
        ("init", "--quiet", "--initial-branch=main", "."),
        ("add", "--all"),
        ("commit", "--quiet", "-m", "Begin"),
    ):
        run([*_GIT, *words], cwd=folder)


@dataclass
class Machine:
    """What runs jobs: a repository, a home, artifacts."""

    repository: Path
    folder: Path
    """For everything."""
    index: Path
    """A folder of wheels beside the index: gpuwheel's own."""
    cache: Path
    """gpuwheel's cache of whoever runs the tests: of it, what is downloaded is shared."""
    ref: str = "main"
    attempt: int = 1
    log: list[str] = field(default_factory=list)
    """What every step printed."""

    def environ(self, job: str) -> dict[str, str]:
        """A clean one."""
        home = self.folder / f"home-{job}"
        if not home.exists():
            (home / ".cache" / "gpuwheel" / "v1").mkdir(parents=True)
            for kind in ("sdk", "toolchains"):
                (self.cache / "v1" / kind).mkdir(parents=True, exist_ok=True)
                (home / ".cache" / "gpuwheel" / "v1" / kind).symlink_to(self.cache / "v1" / kind)
        kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
        links = f"{kept.get('PIP_FIND_LINKS', '')} {self.index}".strip()
        return {
            **kept,
            "HOME": str(home),
            "PIP_FIND_LINKS": links,
            "UV_FIND_LINKS": links.replace(" ", ","),
            "GITHUB_REF_NAME": self.ref,
            "GITHUB_REF_TYPE": "branch" if self.ref == "main" else "tag",
            "PATH": f"{self._python(job)}:/usr/bin:/bin",
        }

    def _python(self, job: str) -> Path:
        """Where an environment of this Python has its programs."""
        folder = self.folder / f"python-{job}"
        if not folder.exists():
            run([sys.executable, "-m", "venv", folder])
        return folder / "bin"

    def checkout(self, job: str) -> Path:
        """The workspace of a job, made on first use."""
        workspace = self.folder / f"workspace-{job}-{self.attempt}"
        if not workspace.exists():
            run(["git", "clone", "--quiet", self.repository, workspace])
        return workspace

    def shell(self, script: str, cwd: Path, environ: Mapping[str, str], *, strict: str = "-e") -> None:
        """One step; its failure raises."""
        done = run(["bash", "--noprofile", "--norc", *strict.split(), "-c", script], cwd=cwd, env=environ, check=False)
        self.log.append(done.output)
        assert done.returncode == 0, f"{script}\n{done.output}"

    # --- GitHub -------------------------------------------------------------------------------------------------------

    def github(self, document: Mapping[str, Any], job: str, row: Mapping[str, str] | None = None) -> Path:
        """Run a job of a workflow, of its matrix the `row`; where its files are."""
        workspace = self.folder / f"empty-{job}"
        workspace.mkdir(parents=True, exist_ok=True)
        environ = self.environ(job)
        for scope in (document.get("env"), document["jobs"][job].get("env")):
            environ |= {name: str(value) for name, value in (scope or {}).items()}
        for step in document["jobs"][job]["steps"]:
            if not self._wanted(step):
                continue
            action = step.get("uses", "").partition("@")[0]
            if action == "actions/checkout":
                workspace = self.checkout(job)
            elif action:
                self._action(action, {key: _filled(str(value), row) for key, value in step["with"].items()}, workspace)
            else:
                own = {name: _filled(value, row) for name, value in step.get("env", {}).items()}
                cwd = workspace / step.get("working-directory", ".")
                self.shell(step["run"], cwd, {**environ, **own})
        return workspace

    def _wanted(self, step: Mapping[str, Any]) -> bool:
        condition = step.get("if")
        if condition == "github.run_attempt > 1":
            return self.attempt > 1
        # One that is not listed above is a mistake of this file.
        return condition is None or _CONDITIONS[condition]

    def _action(self, action: str, given: Mapping[str, str], workspace: Path) -> None:
        if action == "actions/upload-artifact":
            self.upload(given["name"], given["path"], workspace)
        elif action == "actions/download-artifact":
            found = list(self._artifacts(given.get("name") or given["pattern"]))
            assert found, f"no artifact {given}"
            for artifact in found:
                shutil.copytree(artifact, workspace / given["path"], dirs_exist_ok=True)

    def upload(self, name: str, pattern: str, workspace: Path) -> None:
        """Keep files; a pattern keeps names, a folder what is in it."""
        target = self.folder / "artifacts" / name
        target.mkdir(parents=True)
        paths = [workspace / pattern] if "*" not in pattern else sorted(workspace.glob(pattern))
        assert paths, f"nothing to upload: {pattern}"
        for path in paths:
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copy2(path, target)

    def _artifacts(self, pattern: str) -> Iterator[Path]:
        folder = self.folder / "artifacts"
        yield from (path for path in sorted(folder.iterdir()) if fnmatch.fnmatchcase(path.name, pattern))

    # --- GitLab -------------------------------------------------------------------------------------------------------

    def gitlab(self, document: Mapping[str, Any], job: str, variables: Mapping[str, str]) -> Path:
        """Run a job of a pipeline with what its matrix gives; where its files are."""
        own = document[job]
        whole = {**(document[own["extends"]] if "extends" in own else {}), **own}
        workspace = self.checkout(job.replace(" ", "-"))
        if whole["stage"] != "build":  # artifacts of earlier stages come along
            for artifact in self._artifacts("*"):
                shutil.copytree(artifact, workspace, dirs_exist_ok=True)
        environ = self.environ(job.replace(" ", "-")) | {"CI_PROJECT_DIR": str(workspace)}
        for scope in (
            document["variables"],
            document.get(own.get("extends"), {}).get("variables"),
            own.get("variables"),
        ):
            environ |= {name: _expanded(str(value), environ) for name, value in (scope or {}).items()}
        # Where images of manylinux have their Pythons.
        script = "\n".join([*whole.get("before_script", ()), *whole["script"]])
        script = re.sub(r"/opt/python/\S+/bin/python", sys.executable, script)
        environment = self.folder / f"ci-{job.replace(' ', '-')}-{self.attempt}"
        script = script.replace("/tmp/ci", str(environment))  # noqa: S108 (what the pipeline has)
        self.shell(script, workspace, {**environ, **variables}, strict="-eo pipefail")
        for pattern in whole.get("artifacts", {}).get("paths", ()):
            for path in sorted(workspace.glob(pattern)):
                target = self.folder / "artifacts" / job.replace(" ", "-") / path.relative_to(workspace)
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, target)
        return workspace


def _filled(text: str, row: Mapping[str, str] | None) -> str:
    """Expressions with the values of a row; what else there is of GitHub's is the same in every run here."""
    return _EXPRESSION.sub(lambda match: (row or {}).get(match[1].removeprefix("matrix."), "1"), text)


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: environ.get(match[1], ""), text)
