"""Two releases of gpuwheel with small templates of their own, and projects that they make."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel._run import Completed

__all__ = ["NEW", "OLD", "SOMEBODY", "Release", "commit", "contents", "lines", "make_release", "status"]

ROOT = Path(__file__).resolve().parents[1]
SOMEBODY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
"""Who commits in tests; without the git settings of whoever runs them."""


@dataclass(frozen=True)
class Release:
    """A gpuwheel of its own version, with its own templates."""

    folder: Path
    environ: Mapping[str, str]

    def __call__(self, *words: str, cwd: Path) -> Completed:
        """Run its command."""
        return run([sys.executable, "-m", "gpuwheel", *words], cwd=cwd, env=self.environ, check=False)

    def seal(self, *options: str) -> Completed:
        """Run the release step."""
        script = [sys.executable, str(ROOT / "ci" / "release_templates.py"), *options]
        return run(script, cwd=self.folder, env=self.environ, check=False)


def lines(**changed: str) -> bytes:
    """Thirty lines of settings; `l7="..."` replaces the seventh."""
    return "".join(changed.get(f"l{number}", f"setting-{number} = {number}") + "\n" for number in range(30)).encode()


OLD = {
    "embed/README.md.jinja": b"# {{ project_name }}\n\nBy {{ author }}.\n",
    "embed/settings.txt": lines(),
    "embed/latin-1.txt": "caf\u00e9\n".encode("latin-1"),
    "embed/old.txt": b"nobody needs this\n",
    "embed/unwanted.txt": b"first\n",
    "shared/run": b"#!/bin/sh\n",
}
NEW = {
    **{name: content for name, content in OLD.items() if name != "embed/old.txt"},
    "embed/README.md.jinja": b"# {{ project_name }}\n\nWritten by {{ author }}.\n",
    "embed/settings.txt": lines(l25="setting-25 = 'later'"),
    "embed/latin-1.txt": "caf\u00e9 cr\u00e8me\n".encode("latin-1"),
    "embed/unwanted.txt": b"second\n",
    "embed/src/{{ package_name }}/new.py": b"NEW = True\n",
}


def make_release(
    folder: Path, version: str, files: Mapping[str, bytes], environ: Mapping[str, str], bundle_of: Release | None = None
) -> Release:
    """Write it; `bundle_of` is the release whose bundle it begins with."""
    shutil.copytree(ROOT / "gpuwheel", folder / "gpuwheel", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "gpuwheel" / "__init__.py"
    lines = module.read_text(encoding="utf-8").splitlines()
    changed = [f'__version__ = "{version}"' if line.startswith("__version__") else line for line in lines]
    module.write_text("\n".join(changed) + "\n", encoding="utf-8")
    for name in ("copier.yml", "parts/names.jinja", "shared/.copier-answers.yml.jinja"):
        files = {name: (ROOT / "templates" / name).read_bytes(), **files}
    if bundle_of:
        files = {**files, "releases.bundle": (bundle_of.folder / "templates" / "releases.bundle").read_bytes()}
    for name, content in files.items():
        path = folder / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Release(folder, {**environ, "PYTHONPATH": str(folder)})


def commit(project: Path, message: str, environ: Mapping[str, str]) -> None:
    run(["git", "add", "--all"], cwd=project, env=environ)
    run(["git", "commit", "--quiet", "--message", message], cwd=project, env=environ)


def status(project: Path) -> list[str]:
    return run(["git", "status", "--porcelain", "--untracked-files=all"], cwd=project).stdout.splitlines()


def contents(folder: Path) -> dict[str, bytes]:
    """Path below the folder -> what is in the file; without what git keeps."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
