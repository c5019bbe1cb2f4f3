"""Wheels of the corpus that `gpuwheel repair` mends: broken before, clean after, and the same bytes each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from corpus.cases import CASES, load

from gpuwheel.audit import audit_wheel
from gpuwheel.audit.repair import Act, EditsAsked, RepairRequest, repaired
from gpuwheel.model.versions import DriverVersion

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.cases import Case

    from gpuwheel.compatibility import Tables

load()

RECORD = EditsAsked(record=True)
MENDS = {
    "record": RECORD,
    "record-hash": RECORD,
    "record-row": RECORD,
    "record-signature": RECORD,
    "tag-mismatch": EditsAsked(),
    "sbom-missing": EditsAsked(sbom=True),
    "code-uncompressed": EditsAsked(compress=True, driver=DriverVersion.parse("550.54")),
}


@pytest.mark.parametrize("case", [case for case in CASES if case.rule in MENDS], ids=lambda case: case.name)
def test_a_wheel_that_can_be_mended_is(tmp_path: Path, tables: Tables, case: Case) -> None:
    broken, _ = case.make()
    path = tmp_path / "broken" / broken.name
    path.parent.mkdir()
    path.write_bytes(broken.data)
    request = RepairRequest(edits=MENDS[case.rule], graft=False)
    (found,) = (one for one in audit_wheel(path, tables, profile=case.profile) if one.rule == case.rule)
    assert found.command is not None
    assert found.command.startswith("gpuwheel repair ")
    first, second = (repaired(path, tmp_path / name, request, tables).path for name in ("first", "second"))
    assert first is not None
    assert second is not None
    assert first.read_bytes() == second.read_bytes()
    assert audit_wheel(first, tables, profile=case.profile) == ()
    again = repaired(first, tmp_path / "again", request, tables)
    assert (again.act, again.edits) == (Act.KEPT, ())
