"""A file of findings that are known today, so that only new ones count (`data/audit-baseline.schema.json`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut, reading
from gpuwheel._files import atomic_file
from gpuwheel._limits import BASELINE_FILE
from gpuwheel.audit.choosing.fingerprints import fingerprint, project_of
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gpuwheel.model.findings import Finding

__all__ = ["Baseline", "read_baseline", "write_baseline"]

_SCHEMA = 1
_FIELDS = ("fingerprint", "project", "rule", "subject", "problem")


@dataclass(frozen=True)
class Baseline:
    """What a file of known findings says."""

    rows: tuple[dict[str, str], ...] = ()

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of all its findings."""
        return frozenset(row["fingerprint"] for row in self.rows)

    def gone(self, seen: Iterable[str], projects: Iterable[str]) -> tuple[dict[str, str], ...]:
        """Findings about wheels of `projects` that none of them shows any more."""
        there, asked = set(seen), set(projects)
        return tuple(row for row in self.rows if row["project"] in asked and row["fingerprint"] not in there)


def read_baseline(path: Path) -> Baseline:
    """Read a file that `write_baseline` wrote.

    Raises:
        ConfigError: it is no such file.
        OSError: it cannot be read.
    """
    hint = f"write it again: gpuwheel audit --write-baseline {path} WHEELS"
    with path.open("rb") as file:
        data = file.read(BASELINE_FILE.value + 1)
    with reading(f"{path} is not a baseline", "what --write-baseline writes", error=ConfigError, hint=hint):
        if len(data) > BASELINE_FILE.value:
            msg = BASELINE_FILE.passed("more")
            raise ValueError(msg)
        document: dict[str, Any] = json.loads(data)
        if document["schema"] != _SCHEMA:
            msg = f"schema {cut(document['schema'])}"
            raise ValueError(msg)
        rows = tuple({name: str(row[name]) for name in _FIELDS} for row in document["findings"])
    return Baseline(rows)


def write_baseline(path: Path, found: Iterable[tuple[str, Finding]]) -> int:
    """Write down `(wheel, finding)`; the number of findings. Sorted, so that a change of the file shows what changed.

    Raises:
        OSError: it cannot be written.
    """
    rows = {
        fingerprint(wheel, finding, subject): {
            "fingerprint": fingerprint(wheel, finding, subject),
            "project": project_of(wheel),
            "rule": finding.rule,
            "subject": subject,
            "problem": finding.problem,
        }
        for wheel, finding in found
        for subject in finding.where
    }
    ordered = sorted(rows.values(), key=lambda row: (row["project"], row["rule"], row["subject"], row["fingerprint"]))
    with atomic_file(path) as out:
        out.write((json.dumps({"schema": _SCHEMA, "findings": ordered}, indent=2) + "\n").encode())
    return len(ordered)
