"""Wheels of the corpus that `gpuwheel repair` mends: broken before, clean after, and the same bytes each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from corpus.cases import CASES, load
from corpus.wheels import library, wheel
from hostile import container, entry

from gpuwheel.audit import audit_wheel, opened
from gpuwheel.audit.repair import Act, EditsAsked, RepairRequest, repaired
from gpuwheel.errors import AuditError
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.cases import Case
    from corpus.wheels import WheelFile

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
    "debug-info": EditsAsked(strip=True),
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


def _with(*archs: int) -> WheelFile:
    code = container(b"".join(entry(bytes(64), arch=arch) for arch in archs))
    return wheel({"ops/_C.so": library(sections={".nv_fatbin": code})})


@pytest.mark.parametrize(
    ("archs", "asked", "said"),
    [
        ((80,), EditsAsked(drop=("sm_80",)), "holds a fatbin with nothing but sm_80"),
        ((80,), EditsAsked(drop=("sm_80",), allow_holes=True), "holds a fatbin with nothing but sm_80"),
        ((75, 90), EditsAsked(drop=("sm_90",)), "would have no code for sm_90"),
        ((86, 80), EditsAsked(drop=("sm_80",)), "would have no code for sm_80"),
        ((75, 90), EditsAsked(drop=("sm_90",), allow_holes=True), None),
        ((80, 86), EditsAsked(drop=("8.6",)), None),
    ],
)
def test_no_gpu_loses_its_code_unasked(
    tmp_path: Path, tables: Tables, archs: tuple[int, ...], asked: EditsAsked, said: str | None
) -> None:
    made = _with(*archs)
    path = tmp_path / made.name
    path.write_bytes(made.data)
    request = RepairRequest(edits=asked, graft=False)
    if said is not None:
        with pytest.raises(AuditError, match=said):
            repaired(path, tmp_path / "out", request, tables)
        assert not list((tmp_path / "out").glob("*"))
        return
    done = repaired(path, tmp_path / "out", request, tables).path
    assert done is not None
    with opened(done) as inspection:
        (left,) = {image.arch for image in inspection.images}
    assert left == Arch(archs[0] // 10, archs[0] % 10)
