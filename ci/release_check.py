"""What a release asks of the long sessions: that each ran whole, on this code, and passed. They run by hand, for hours.

python ci/release_check.py    # a line for each session; exit status 1 where one is missing, short, old or failed

A result counts as one of this code if no file of `gpuwheel/` has changed since its commit.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Session:
    """One that leaves a dated result."""

    folder: str
    command: str
    counted: str
    """Key of how much was tried."""
    least: int
    failed: str
    """Key of how much of that failed; it has to be 0."""


SESSIONS = (
    Session("ci/reuse/results", "nox -s reuse", "edits", 300, "unequal"),
    Session("ci/fuzz/results", "nox -s fuzz -- --inputs 1000000 --resume", "inputs", 1_000_000, "failed"),
)


def problems(session: Session, result: dict[str, Any], root: Path) -> Iterator[str]:
    """What speaks against a result."""
    if result[session.counted] < session.least:
        yield f"{result[session.counted]:,} {session.counted} (expected {session.least:,} at least)"
    if result[session.failed]:
        yield f"{result[session.failed]} {session.failed} (expected none)"
    commit, _, changes = str(result["commit"]).partition(" ")
    diff = run(["git", "-C", root, "diff", "--name-only", commit, "--", "gpuwheel"], check=False)
    if changes or diff.returncode != 0:
        yield f"of a state that is no commit here (found {result['commit']})"
    elif diff.stdout.strip():
        count = len(diff.stdout.split())
        yield f"of an older gpuwheel ({count} files have changed since {commit[:10]})"


def newest(folder: Path) -> dict[str, Any] | None:
    """The latest result in a folder."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return max(results, key=lambda result: str(result["date"]), default=None)


def main(root: Path = ROOT) -> int:
    """Look at every session."""
    found = 0
    for session in SESSIONS:
        result = newest(root / session.folder)
        against = ["no result"] if result is None else list(problems(session, result, root))
        when = "" if result is None else f" of {result['date']}, {result[session.counted]:,} {session.counted}"
        print(f"{session.folder}{when}: {'; '.join(against) or 'good'}")
        if against:
            print(f"  hint: {session.command}, then commit the file")
        found += bool(against)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
