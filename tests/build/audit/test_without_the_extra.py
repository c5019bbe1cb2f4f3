"""The audit with zlib-ng and without: it says the same of every wheel."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING

import pytest
from corpus.cases import CASES, load

from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT = "import sys; sys.modules['zlib_ng'] = None; "
AUDIT = "from gpuwheel.cli import main; main()"

load()


@pytest.mark.skipif(importlib.util.find_spec("zlib_ng") is None, reason="needs zlib-ng")
def test_the_audit_says_the_same_without_the_extra(tmp_path: Path) -> None:
    wheels = []
    # Every one of those whose archive is broken, and some of the others.
    for number, case in enumerate(CASES):
        if case.rule.startswith(("archive", "unreadable", "record")) or number % 40 == 0:
            for twin in case.make():
                wheels.append(tmp_path / str(len(wheels)) / twin.name)
                wheels[-1].parent.mkdir()
                wheels[-1].write_bytes(twin.data)
    told = []
    for before in ("", WITHOUT):
        words = [sys.executable, "-c", before + AUDIT, "audit", "--json", "--fail-on", "never", *wheels]
        told.append(json.loads(run(words, check=False).stdout))
    assert told[0] == told[1]
    assert {"unreadable"} <= {finding["rule"] for wheel in told[0]["wheels"] for finding in wheel["findings"]}
