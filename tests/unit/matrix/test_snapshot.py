"""Unpacking an sdist: nothing leads out of it, and on every Python that gpuwheel runs on."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.matrix.snapshot import extracted

if TYPE_CHECKING:
    from pathlib import Path


def _file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = 4, mode
    return member


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def _of(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("ops-1/device")
    member.type = kind
    return member


def _sdist(folder: Path, members: list[tarfile.TarInfo]) -> Path:
    path = folder / "ops-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member in [_file("ops-1/PKG-INFO"), *members]:
            archive.addfile(member, io.BytesIO(b"text"[: member.size]))
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "outer" / "tree"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("has_filter", [True, False])
def test_files_links_and_permissions(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, *, has_filter: bool
) -> None:
    if not has_filter:  # as Python 3.10.11 and 3.11.2
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    members = [
        _file("ops-1/run.sh", 0o4777),
        _file("ops-1/a/k.cu", 0o600),
        _link("ops-1/b", "a"),
        _link("ops-1/a/l", "../run.sh"),
    ]
    root = extracted(_sdist(tmp_path, members), tree)
    assert root == tree / "ops-1"
    assert (root / "b" / "k.cu").read_bytes() == b"text"
    assert (root / "a" / "l").read_bytes() == b"text"
    assert [(root / name).stat().st_mode & 0o7777 for name in ("run.sh", "a/k.cu")] == [0o755, 0o644]


@pytest.mark.parametrize(
    "members",
    [
        [_file("../out")],
        [_file("ops-1/../../out")],
        [_file("/gpuwheel-out")],
        [_link("ops-1/l", "/etc")],
        [_link("ops-1/l", "../../out")],
        [_link("ops-1/a/l", "../../../out")],
        [_link("ops-1/l", "."), _link("ops-1/l/m", "../../out")],
        [_link("ops-1/l", "ops-1/PKG-INFO", tarfile.LNKTYPE)],
        [_link("ops-1/l", "/etc/passwd", tarfile.LNKTYPE)],
        [_link("ops-1/l", "../../out", tarfile.LNKTYPE)],
        [_link("ops-1/m", "b/c/l/../../../out"), _link("ops-1/b/c/l", "..")],  # out by a link that comes later
        [_link("ops-1/m", "b/c/d/l/../../out"), _link("ops-1/b/c/d/l", "../../..")],
        [_link("ops-1/b", "c"), _file("ops-1/b")],
        [_link("ops-1/b", "c"), _file("ops-1/b/x")],
        [_file("ops-1/PKG-INFO")],
        [_of(tarfile.BLKTYPE)],
        [_of(tarfile.CHRTYPE)],
        [_of(tarfile.FIFOTYPE)],
    ],
)
def test_what_leads_out_or_is_no_file_is_refused(tmp_path: Path, tree: Path, members: list[tarfile.TarInfo]) -> None:
    with pytest.raises(ConfigError):
        extracted(_sdist(tmp_path, members), tree)
    assert [path.name for path in tree.parent.iterdir()] == ["tree"]
