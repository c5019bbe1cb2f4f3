from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import AuditError
from gpuwheel.wheel import (
    Wheel,
    WheelEdits,
    add_members,
    add_requirements,
    edit_wheel,
    pack_wheel,
    read_members,
    read_wheel,
    rewrite_sdist,
)
from gpuwheel.wheel.archive import Member, check_record, write_wheel
from gpuwheel.wheel.metadata import field_values, requirements

if TYPE_CHECKING:
    from pathlib import Path

INFO = "fused_ops-1.0.dist-info"
EDITS = WheelEdits(
    platform="manylinux_2_34_x86_64",
    requirements=("torch>=2.10",),
    files={"sboms/gpuwheel.cdx.json": b"{}"},
    generator="gpuwheel 0.1.0",
)


def _rewritten(source: Path, out: Path, edits: WheelEdits) -> tuple[Path, str]:
    """The edited copy, and its digest."""
    wheel = edit_wheel(read_wheel(source), edits)
    path = out / str(wheel.name)
    return path, pack_wheel(wheel.members.values(), epoch=1763776800).write(path)


def test_every_edit_is_made_and_the_rest_is_kept(wheel: Path, tmp_path: Path) -> None:
    before = read_members(wheel)
    (tmp_path / "out").mkdir()
    path, _ = _rewritten(wheel, tmp_path / "out", EDITS)
    assert path == tmp_path / "out" / "fused_ops-1.0-py3-none-manylinux_2_34_x86_64.whl"
    members = read_members(path)
    assert check_record(members) == []
    wheel_file = members[f"{INFO}/WHEEL"].data
    assert field_values(wheel_file, "Generator") == ("scikit-build-core 1.1.2", "gpuwheel 0.1.0")
    assert field_values(wheel_file, "Tag") == ("py3-none-manylinux_2_34_x86_64",)
    assert requirements(members[f"{INFO}/METADATA"].data) == ("numpy>=1.26", "torch>=2.10")
    assert members[f"{INFO}/sboms/gpuwheel.cdx.json"].data == b"{}"
    for name in ("fused_ops/_C.so", "fused_ops/__init__.py"):
        assert (members[name].data, members[name].executable) == (before[name].data, before[name].executable)
    assert wheel.exists(), "the source is kept"


def test_rewriting_the_result_again_changes_nothing(wheel: Path) -> None:
    first = _rewritten(wheel, wheel.parent, EDITS)
    content = first[0].read_bytes()
    assert _rewritten(first[0], wheel.parent, EDITS) == first
    assert first[0].read_bytes() == content


def test_no_edit_keeps_name_and_metadata(wheel: Path) -> None:
    before = wheel.read_bytes()
    assert _rewritten(wheel, wheel.parent, WheelEdits())[0] == wheel
    members = read_members(wheel)
    assert requirements(members[f"{INFO}/METADATA"].data) == ("numpy>=1.26",)
    assert len(wheel.read_bytes()) < len(before), "Dynamic: Requires-Dist is gone: what a wheel says is final"


def test_a_file_of_the_project_is_not_replaced(tmp_path: Path, members: list[Member]) -> None:
    path = tmp_path / "fused_ops-1.0-py3-none-any.whl"
    write_wheel(path, [*members, Member(f"{INFO}/sboms/gpuwheel.cdx.json", b"theirs")])
    with pytest.raises(AuditError, match=r"already holds another .*gpuwheel\.cdx\.json"):
        edit_wheel(read_wheel(path), EDITS)


def test_what_the_inner_backend_packed_is_not_replaced(wheel: Path) -> None:
    inner = read_wheel(wheel)
    assert add_members(inner, [Member("fused_ops/new.py", b"")]).members.keys() - inner.members == {"fused_ops/new.py"}
    with pytest.raises(AuditError, match=r"holds fused_ops/_C\.so twice"):
        add_members(inner, [Member("fused_ops/_C.so", b"")])
    with pytest.raises(AuditError, match="twice"):
        add_members(Wheel(inner.name, {}), [Member("a", b""), Member("a", b"")])


@pytest.mark.parametrize("missing", ["METADATA", "WHEEL"])
def test_a_wheel_without_its_own_files_is_refused(tmp_path: Path, members: list[Member], missing: str) -> None:
    path = tmp_path / "fused_ops-1.0-py3-none-any.whl"
    write_wheel(path, [member for member in members if not member.name.endswith(missing)])
    with pytest.raises(AuditError, match=f"{missing} is missing"):
        edit_wheel(read_wheel(path), EDITS)


def _sdist(path: Path, extra: list[tarfile.TarInfo] | None = None) -> Path:
    """An sdist as a machine leaves it: odd owner, modes and times."""
    files = {"fused_ops-1.0/src/kernels.cu": b"// kernel", "fused_ops-1.0/PKG-INFO": b"Name: fused-ops\n\nText\n"}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o660, 1700000000.5
            info.uid = info.gid = os.getpid()
            info.uname = "somebody"
            archive.addfile(info, io.BytesIO(data))
        for info in extra or []:
            archive.addfile(info)
    return path


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_sdist_gets_its_pkg_info_and_loses_the_machine(tmp_path: Path) -> None:
    path = _sdist(tmp_path / "fused_ops-1.0.tar.gz", [_link("fused_ops-1.0/link.cu", "src/kernels.cu")])
    assert rewrite_sdist(path, lambda text: add_requirements(text, ["torch>=2.10"]), epoch=1763776800) == path
    with tarfile.open(path) as archive:
        infos = archive.getmembers()
        pkg_info = archive.extractfile("fused_ops-1.0/PKG-INFO")
        assert pkg_info is not None
        assert pkg_info.read() == b"Name: fused-ops\nRequires-Dist: torch>=2.10\n\nText\n"
    assert [info.name for info in infos] == [
        "fused_ops-1.0/PKG-INFO",
        "fused_ops-1.0/link.cu",
        "fused_ops-1.0/src/kernels.cu",
    ]
    assert infos[1].linkname == "src/kernels.cu"
    assert {(i.uid, i.gid, i.uname, i.gname, i.mode, i.mtime) for i in infos} == {(0, 0, "", "", 0o644, 1763776800)}
    with gzip.open(path) as stream:
        stream.read(1)
        assert stream.mtime == 1763776800
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_hard_links_become_files(tmp_path: Path) -> None:
    link = _link("fused_ops-1.0/same.cu", "fused_ops-1.0/src/kernels.cu", tarfile.LNKTYPE)
    path = rewrite_sdist(_sdist(tmp_path / "fused_ops-1.0.tar.gz", [link]), bytes, epoch=2**40)
    with tarfile.open(path) as archive:
        assert archive.getmember(link.name).isreg()
        file = archive.extractfile(link.name)
        assert file is not None
        assert file.read() == b"// kernel"
    dangling = _link("fused_ops-1.0/same.cu", "elsewhere", tarfile.LNKTYPE)
    with pytest.raises(AuditError, match="is not an sdist"):
        rewrite_sdist(_sdist(path, [dangling]), bytes)


def test_the_same_files_give_the_same_sdist(tmp_path: Path) -> None:
    contents = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = _sdist(tmp_path / name / "fused_ops-1.0.tar.gz")
        contents.add(rewrite_sdist(path, bytes).read_bytes())
        contents.add(rewrite_sdist(path, bytes).read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(
    "unsafe",
    [
        _link("fused_ops-1.0/link", "/etc/passwd"),
        _link("fused_ops-1.0/link", "../../outside"),
        _link("fused_ops-1.0/device", "", tarfile.CHRTYPE),
        tarfile.TarInfo("fused_ops-1.0/../outside"),
        tarfile.TarInfo("/absolute"),
    ],
    ids=lambda info: f"{info.name} {info.linkname}",
)
def test_unsafe_members_of_an_sdist_are_refused(tmp_path: Path, unsafe: tarfile.TarInfo) -> None:
    path = _sdist(tmp_path / "fused_ops-1.0.tar.gz", [unsafe])
    before = path.read_bytes()
    with pytest.raises(AuditError, match="unsafe member"):
        rewrite_sdist(path, bytes)
    assert path.read_bytes() == before


def test_what_is_not_an_sdist_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1.tar.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(AuditError, match="expected a gzipped tar archive"):
        rewrite_sdist(path, bytes)
    whole = _sdist(tmp_path / "whole.tar.gz").read_bytes()
    for damaged in (whole[:-30], whole[:60] + b"\xff" * 40 + whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(AuditError, match="expected a gzipped tar archive"):
            rewrite_sdist(path, bytes)
    _sdist(path, [tarfile.TarInfo("second/PKG-INFO")])
    with pytest.raises(AuditError, match="expected one folder with PKG-INFO"):
        rewrite_sdist(path, bytes)


@pytest.mark.parametrize(
    ("version", "labelled"), [("1.0", "1.0+torch2.14.cu13.0"), ("1.0+cpu", "1.0+cpu.torch2.14.cu13.0")]
)
def test_a_local_version_is_wherever_the_version_was(tmp_path: Path, version: str, labelled: str) -> None:
    info, text = f"Ops-{version}.dist-info", f"Metadata-Version: 2.2\nName: Ops\nVersion: {version}\n\nVersion: text\n"
    source = tmp_path / f"Ops-{version}-py3-none-any.whl"
    members = {
        f"Ops-{version}.data/scripts/run": b"#!python\n",
        "Ops/Ops-1.0.dist-info.txt": b"",
        f"{info}/METADATA": text.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n\n",
        f"{info}/licenses/LICENSE": b"free\n",
    }
    write_wheel(source, [Member(name, data) for name, data in members.items()])
    (tmp_path / "out").mkdir()
    path, digest = _rewritten(source, tmp_path / "out", WheelEdits(local="torch2.14.cu13.0"))
    assert path.name == f"Ops-{labelled}-py3-none-any.whl"
    found = read_members(path)
    assert sorted(found) == sorted(
        [*(name.replace(f"-{version}.d", f"-{labelled}.d", 1) if name.startswith("Ops-") else name for name in members),
         f"Ops-{labelled}.dist-info/RECORD"]
    )  # fmt: skip
    assert check_record(found) == []
    metadata = found[f"Ops-{labelled}.dist-info/METADATA"].data
    assert (field_values(metadata, "Version"), metadata.endswith(b"\n\nVersion: text\n")) == ((labelled,), True)
    # As a second pass over a finished wheel does.
    assert _rewritten(path, tmp_path, WheelEdits(local="torch2.14.cu13.0"))[1] == digest
