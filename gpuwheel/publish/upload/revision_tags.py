"""Names of the revision that is published: what CI says, else the tags of the commit that is checked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["revision_tags"]

_PATIENCE = 30.0  # seconds


def revision_tags(folder: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Tags of the revision; empty: it has none, or nobody knows.

    Args:
        folder: in the checkout.
        environ: GITHUB_REF_TYPE and GITHUB_REF_NAME (GitHub Actions), CI_COMMIT_TAG (GitLab CI).
    """
    if environ.get("GITHUB_REF_TYPE") == "tag" and environ.get("GITHUB_REF_NAME"):
        return (environ["GITHUB_REF_NAME"],)
    if environ.get("CI_COMMIT_TAG"):
        return (environ["CI_COMMIT_TAG"],)
    try:
        done = run(["git", "tag", "--points-at", "HEAD"], cwd=folder, env=environ, check=False, timeout=_PATIENCE)
    except (OSError, TimeoutError):
        return ()
    return tuple(done.stdout.split()) if done.returncode == 0 else ()
