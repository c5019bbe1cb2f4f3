from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuwheel._archives import clashing_names
from gpuwheel.errors import AuditError
from gpuwheel.wheel import Member, Packing, read_members, write_wheel
from gpuwheel.wheel.archive import check_record, record_digest
from gpuwheel.wheel.zip_writer import DEFLATED, STORED, Entry, write_zip

if TYPE_CHECKING:
    from pathlib import Path

INFO = "fused_ops-1.0.dist-info"
NAME = "fused_ops-1.0-py3-none-any.whl"

words = st.text("abcXYZ019_é漢.+", min_size=1, max_size=8).filter(lambda word: word not in {".", ".."})
trees = st.dictionaries(
    st.lists(words, min_size=1, max_size=3).map("/".join), st.binary(max_size=300), max_size=8
).filter(lambda tree: clashing_names(tree) is None)


@settings(max_examples=60)
@given(tree=trees, threads=st.integers(1, 4), level=st.integers(1, 9))
def test_what_is_written_is_read_back_with_a_right_record(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], threads: int, level: int
) -> None:
    path = tmp_path_factory.mktemp("wheel") / NAME
    files = {**tree, f"{INFO}/METADATA": b"Name: x\n"}
    write_wheel(path, [Member(*item) for item in files.items()], packing=Packing(level, threads=threads))
    members = read_members(path)
    record = members.pop(f"{INFO}/RECORD").data
    assert {name: member.data for name, member in members.items()} == files
    assert check_record(read_members(path)) == []
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(record.decode()))}
    assert rows.pop(f"{INFO}/RECORD") == ["", ""]
    assert rows == {name: [record_digest(data), str(len(data))] for name, data in files.items()}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def test_members_have_a_fixed_order_mode_and_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == [
        "fused_ops/_C.so",
        "fused_ops/__init__.py",
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/RECORD",
    ]
    modes = [stat.S_IMODE(info.external_attr >> 16) for info in infos]
    assert modes == [0o755, 0o644, 0o644, 0o644, 0o644]
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert stat.S_IMODE(wheel.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (1763776801, (2025, 11, 22, 2, 0, 0)),
        (2**40, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_times_come_from_the_epoch_alone(
    tmp_path: Path, members: list[Member], epoch: int, expected: tuple[int, ...]
) -> None:
    write_wheel(tmp_path / NAME, members, epoch=epoch)
    with zipfile.ZipFile(tmp_path / NAME) as archive:
        assert {info.date_time for info in archive.infolist()} == {expected}


def test_bytes_do_not_depend_on_umask_folder_order_or_threads(tmp_path: Path, members: list[Member]) -> None:
    digests = set()
    for index, (umask, threads) in enumerate([(0o022, 1), (0o077, 4), (0o000, 2)]):
        folder = tmp_path / f"folder {index}"
        folder.mkdir()
        old = os.umask(umask)
        try:
            digest = write_wheel(folder / NAME, members[index:] + members[:index], packing=Packing(threads=threads))
        finally:
            os.umask(old)
        assert digest == hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
        assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o644
        digests.add(digest)
    assert len(digests) == 1


def test_unchanged_streams_are_copied_when_asked(tmp_path: Path, members: list[Member]) -> None:
    source, copied, deflated = (tmp_path / name / NAME for name in ("source", "copied", "deflated"))
    for path in (source, copied, deflated):
        path.parent.mkdir()
    write_wheel(source, members, packing=Packing(level=1))
    write_wheel(copied, read_members(source).values(), packing=Packing(level=9, keep_streams=True))
    write_wheel(deflated, read_members(source).values(), packing=Packing(level=9))

    def sizes(path: Path) -> dict[str, int]:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: info.compress_size for info in archive.infolist() if "RECORD" not in info.filename}

    assert sizes(copied) == sizes(source)
    assert sizes(deflated)["fused_ops/_C.so"] < sizes(source)["fused_ops/_C.so"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a\\b", "C:/x", "a//b", "./a", "a/./b", ".", "a\nb"]
)
def test_unsafe_names_are_refused_in_both_directions(tmp_path: Path, members: list[Member], name: str) -> None:
    with pytest.raises(AuditError, match="unsafe name"):
        write_wheel(tmp_path / NAME, [*members, Member(name, b"")])
    assert list(tmp_path.iterdir()) == []
    with zipfile.ZipFile(tmp_path / NAME, "w") as archive:
        archive.writestr("placeholder", b"")
        archive.infolist()[0].filename = name
    with pytest.raises(AuditError, match="unsafe name"):
        read_members(tmp_path / NAME)


def test_a_name_that_occurs_twice_is_refused_in_both_directions(tmp_path: Path, members: list[Member]) -> None:
    with pytest.raises(AuditError, match=r"fused_ops/_C\.so twice"):
        write_wheel(tmp_path / NAME, [*members, members[0]])
    with zipfile.ZipFile(tmp_path / NAME, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    with pytest.raises(AuditError, match="holds a twice"):
        read_members(tmp_path / NAME)


@pytest.mark.parametrize("content", [b"", b"not a zip archive", b"PK\x05\x06"])
def test_what_is_not_a_zip_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(AuditError, match="not a readable wheel"):
        read_members(tmp_path / NAME)


def test_a_truncated_or_damaged_wheel_is_refused(wheel: Path) -> None:
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AuditError, match="not a readable wheel"):
        read_members(wheel)
    damaged = bytearray(whole)
    damaged[60] ^= 0xFF
    wheel.write_bytes(damaged)
    with pytest.raises(AuditError, match="not a readable wheel"):
        read_members(wheel)


def test_an_interrupted_write_leaves_the_old_file(wheel: Path, members: list[Member]) -> None:
    before = wheel.read_bytes()

    class Interrupting(bytes):
        def __len__(self) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_wheel(wheel, [*members, Member("late", Interrupting(b"x"))])
    assert wheel.read_bytes() == before
    assert list(wheel.parent.iterdir()) == [wheel]


def test_signatures_of_the_old_record_are_dropped(tmp_path: Path, members: list[Member]) -> None:
    write_wheel(tmp_path / NAME, [*members, Member(f"{INFO}/RECORD.jws", b"{}"), Member(f"{INFO}/RECORD", b"old")])
    names = read_members(tmp_path / NAME)
    assert f"{INFO}/RECORD.jws" not in names
    assert check_record(names) == []


@pytest.mark.parametrize("folders", [[], ["a-1.dist-info", "b-1.dist-info"]])
def test_a_wheel_has_one_dist_info_folder(tmp_path: Path, folders: list[str]) -> None:
    with pytest.raises(AuditError, match="expected exactly one"):
        write_wheel(tmp_path / NAME, [Member(f"{folder}/METADATA", b"") for folder in folders])


def test_record_problems_are_named(members: list[Member], wheel: Path) -> None:
    found = read_members(wheel)
    found["fused_ops/__init__.py"] = Member("fused_ops/__init__.py", b"changed")
    found["extra.py"] = Member("extra.py", b"")
    del found[members[0].name]
    problems = check_record(found)
    assert any(problem.startswith("fused_ops/__init__.py differs (recorded sha256=") for problem in problems)
    assert "extra.py is not listed" in problems
    assert "fused_ops/_C.so is not in the wheel" in problems
    assert len(problems) == 3
    del found[f"{INFO}/RECORD"]
    assert check_record(found) == [f"{INFO}/RECORD is missing"]


def test_more_members_than_a_plain_archive_can_count(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    entries = [Entry(f"{number}", 0o644, STORED, 0, 0, b"") for number in range(0x10001)]
    with path.open("wb") as out:
        write_zip(out, entries, epoch=0)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 0x10001


def test_a_member_larger_than_a_plain_archive_can_say(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    size = 5_000_000_000
    with path.open("wb") as out:
        # The stream is not inflated here: what matters is that both headers give the size.
        write_zip(out, [Entry("large", 0o644, DEFLATED, 1, size, b"stream"), Entry("é", 0o644, 0, 0, 0, b"")], epoch=0)
    with zipfile.ZipFile(path) as archive:
        assert [(info.filename, info.file_size) for info in archive.infolist()] == [("large", size), ("é", 0)]
        assert archive.infolist()[0].compress_size == len(b"stream")
    assert size.to_bytes(8, "little") in path.read_bytes()[:100]
