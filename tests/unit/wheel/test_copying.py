"""Wheels made from others: what is copied, what is deflated, and what RECORD says of both."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hostile import RawMember, deflated, raw_zip

from gpuwheel.errors import AuditError
from gpuwheel.wheel import Member, read_members, write_wheel
from gpuwheel.wheel.archive import check_record, record_digest
from gpuwheel.wheel.copying import CopyOrder, NewFile, source_wheel, write_copy
from gpuwheel.wheel.deflating import deflate_file

if TYPE_CHECKING:
    from pathlib import Path

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-any.whl"
TEXTS = {
    "ops/__init__.py": b"x = 1\n",
    "ops/run.sh": b"#!/bin/sh\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def wheel(path: Path, files: dict[str, bytes] | None = None) -> Path:
    members = [Member(name, data, name.endswith(".sh")) for name, data in (files or TEXTS).items()]
    write_wheel(path, members)
    return path


def copied(path: Path, out: Path, files: dict[str, NewFile], **how: bool) -> Path:
    work = out.parent / f"{out.name}.work"
    work.mkdir()
    with source_wheel(path) as base:
        write_copy(out, base, CopyOrder(files, **how), work, streams=base)  # type: ignore[arg-type]
    return out


def test_what_is_not_changed_keeps_its_stream_its_mode_and_its_row(tmp_path: Path) -> None:
    path = wheel(tmp_path / NAME)
    made = copied(path, tmp_path / "made.whl", {"ops/new.py": NewFile(b"y = 2\n")})
    before, after = read_members(path), read_members(made)
    assert set(after) == {*before, "ops/new.py"}
    for name in TEXTS:
        assert after[name].packed == before[name].packed
    assert after["ops/run.sh"].executable
    assert check_record(after) == []
    assert list(after)[-1] == f"{INFO}/RECORD"
    assert copied(path, tmp_path / "again.whl", {"ops/new.py": NewFile(b"y = 2\n")}).read_bytes() == made.read_bytes()


def test_a_row_that_was_wrong_stays_for_the_audit_unless_it_is_to_be_written_anew(tmp_path: Path) -> None:
    record = f"ops/a.py,{record_digest(b'other')},1\nops/gone.py,,\n{INFO}/RECORD,,\n".encode()
    files = {"ops/a.py": b"a", "ops/b.py": b"b", **TEXTS, f"{INFO}/RECORD": record}
    path = tmp_path / NAME
    path.write_bytes(raw_zip([deflated(name, data) for name, data in files.items()]))
    kept = read_members(copied(path, tmp_path / "kept.whl", {}))
    assert len(check_record(kept)) == 2 + len(TEXTS) + 1  # wrong, gone, and all that it does not list
    assert check_record(read_members(copied(path, tmp_path / "anew.whl", {}, record=True))) == []


def test_a_file_of_many_blocks_is_one_stream_whatever_the_threads(tmp_path: Path) -> None:
    rows = random.Random(1)  # noqa: S311
    data = b"".join(rows.randbytes(rows.randrange(9)) + bytes(rows.randrange(200)) for _ in range(22_000))
    assert len(data) > 2 << 20
    streams = []
    for threads in (1, 3):
        out = io.BytesIO()
        with ThreadPoolExecutor(threads) as pool:
            done = deflate_file(io.BytesIO(data), out, pool, threads=threads)
        assert (done.size, done.crc, done.packed_size) == (len(data), zlib.crc32(data), len(out.getvalue()))
        streams.append(out.getvalue())
    assert streams[0] == streams[1]
    assert zlib.decompress(streams[0], -15) == data
    # The end of one block is the dictionary of the next: cutting costs next to nothing.
    assert len(streams[0]) < len(zlib.compress(data, 6)) * 1.005
    source = tmp_path / "big"
    source.write_bytes(data)
    made = copied(wheel(tmp_path / NAME), tmp_path / "made.whl", {"ops/big.bin": NewFile(source)})
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.read("ops/big.bin") == data


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 2 << 20])
def test_a_stream_ends_where_the_file_does(size: int) -> None:
    data, out = b"\1" * size, io.BytesIO()
    with ThreadPoolExecutor(1) as pool:
        done = deflate_file(io.BytesIO(data), out, pool)
    assert done.size == size
    if size > 1:
        engine = zlib.decompressobj(-15)
        assert engine.decompress(out.getvalue()) == data
        assert engine.eof
        assert not engine.unused_data


def test_a_member_that_gains_nothing_is_stored(tmp_path: Path) -> None:
    source = tmp_path / "noise"
    source.write_bytes(random.Random(2).randbytes(1 << 20))  # noqa: S311
    data = source.read_bytes()
    made = copied(wheel(tmp_path / NAME), tmp_path / "made.whl", {"ops/noise": NewFile(source)})
    with zipfile.ZipFile(made) as archive:
        assert archive.getinfo("ops/noise").compress_type == zipfile.ZIP_STORED
        assert archive.read("ops/noise") == data


def test_a_method_that_installers_do_not_read_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / NAME
    members = [
        RawMember(b"ops/a.py", b"x", method=zipfile.ZIP_LZMA),
        *(deflated(name, data) for name, data in TEXTS.items()),
    ]
    path.write_bytes(raw_zip(members))
    (tmp_path / "out").mkdir()
    with pytest.raises(AuditError, match="method"):
        copied(path, tmp_path / "out" / "made.whl", {})
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["made.whl.work"]


def test_a_wheel_is_copied_in_less_memory_than_its_largest_file_takes(tmp_path: Path) -> None:
    path = wheel(tmp_path / NAME, {**TEXTS, "ops/big.bin": random.Random(3).randbytes(1 << 19) * 64})  # noqa: S311
    tracemalloc.start()
    with source_wheel(path) as base:
        base.unpack("ops/big.bin", tmp_path / "big")
    copied(path, tmp_path / "made.whl", {"ops/big.bin": NewFile(tmp_path / "big")})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20  # of 32 megabytes
