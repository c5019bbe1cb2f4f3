"""Wheels of the corpus that `gpuwheel repair` mends: broken before, clean after, and the same bytes each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from corpus.cases import CASES, load
from corpus.wheels import WheelFile, library, wheel
from hostile import container, entry

from gpuwheel.audit import audit_wheel, opened
from gpuwheel.audit.choosing.outcome import AuditRequest, audited
from gpuwheel.audit.repair import EditsAsked, RepairRequest, repaired
from gpuwheel.cli.inspection.repair import repair_command
from gpuwheel.errors import AuditError, GpuwheelError
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables

load()

NAMED = {
    "debug-info": "--strip",
    "search-path": "--runpath",
    "unreachable-library": "--runpath",
    "arch-redundant": "--drop-arch",
    "code-uncompressed": "--compress",
    "record-hash": "--record",
    "archive-mode": "--record",
    "sbom-missing": "--sbom",
    "platform-local": "WHEEL",
}
"""Rule -> what the command of its findings asks for."""
FRAME = ("archive-", "record", "unreadable", "metadata-file", "wheel-file", "dist-info")
"""Rules about what may keep a wheel from being read."""


def _written(place: Path, made: WheelFile) -> Path:
    path = place / made.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.data)
    return path


@pytest.mark.parametrize(("rule", "word"), NAMED.items())
def test_each_edit_is_named_by_what_it_mends(tmp_path: Path, tables: Tables, rule: str, word: str) -> None:
    """That the commands mend, each wheel of the corpus shows (test_corpus)."""
    case = next(case for case in CASES if case.rule == rule)
    (found,) = audit_wheel(_written(tmp_path, case.make()[0]), tables, profile=case.profile)
    assert word in (found.command or "").split()


def test_audit_and_repair_agree_on_what_cannot_be_read(tmp_path: Path, tables: Tables) -> None:
    """One wheel, one answer: 17 of both or of none."""
    unread = {"empty": b"", "text": b"no archive", "cut": CASES[0].make()[1].data[:99]}
    files = [_written(tmp_path / name, WheelFile("ops-1.0-py3-none-any.whl", data)) for name, data in unread.items()]
    files += [
        _written(tmp_path / str(number), case.make()[0])
        for number, case in enumerate(CASES)
        if case.rule.startswith(FRAME)
    ]
    words = " or ".join(["os_name > 'a'"] * 50)
    long = wheel({}, requires=[f"a{number}; {words}" for number in range(1300)], tag="py3-none-any")
    files.append(_written(tmp_path / "long", long))
    codes = set()
    for path in files:
        outcome = audited(path, AuditRequest(), tables)
        words = [str(path), "--dry-run", "--no-graft", "--wheel-dir", str(tmp_path / "out")]
        ended = CliRunner().invoke(repair_command, words)
        error = ended.exception
        code = error.exit_code if isinstance(error, GpuwheelError) else ended.exit_code
        assert (code == 17) == (outcome.problem is not None), (path, error)
        assert code in {0, 9, 17}
        codes.add(code)
    assert codes == {0, 9, 17}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a member that says it is a pipe", "holds a special file"),
        ("a member with strong encryption", "holds an encrypted file"),
        ("a nul in a name", "holds a file of two names"),
    ],
)
def test_what_no_installer_takes_as_it_is_is_not_written_anew(
    tmp_path: Path, tables: Tables, name: str, said: str
) -> None:
    case = next(case for case in CASES if case.name == name)
    path = _written(tmp_path / "broken", case.make()[0])
    with pytest.raises(AuditError, match=said):
        repaired(path, tmp_path / "out", RepairRequest(edits=EditsAsked(sbom=True)), tables)
    assert not (tmp_path / "out").exists()


def test_no_copy_of_python_is_put_into_a_wheel(tmp_path: Path, tables: Tables) -> None:
    made = wheel({"ops/_C.so": library(needed=("libc.so.6", "libpython3.11.so.1.0"))})
    path = _written(tmp_path / "broken", made)
    with pytest.raises(AuditError, match="Python itself"):
        repaired(path, tmp_path / "out", RepairRequest(), tables)


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
