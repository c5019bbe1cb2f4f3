"""Wheels made to hurt who reads them: an error of ours, in bounded time and memory, for each."""

from __future__ import annotations

import json
import os
import re
import resource
import struct
import time
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hostile import RawMember, container, deflated, elf_library, entry, raw_zip

from gpuwheel._archives import Archive
from gpuwheel.audit import audit_wheel
from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.publish.upload.archive_form import archive_form
from gpuwheel.wheel import read_members
from gpuwheel.wheel.archive import record_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n"
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ZEROS = bytes(100_000_000)


@contextmanager
def little(seconds: float = 10, megabytes: int = 256) -> Iterator[None]:
    """Neither more time nor more memory than this."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - start < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < megabytes * 1024


def _wheel(tmp_path: Path, *members: RawMember, metadata: bytes = METADATA, **files: bytes) -> Path:
    path = tmp_path / NAME
    told = [deflated(f"{INFO}/METADATA", metadata), deflated(f"{INFO}/WHEEL", WHEEL)]
    path.write_bytes(raw_zip([*members, *told, *(deflated(name, data) for name, data in files.items())]))
    return path


def _deflated_zeros(size: int) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = engine.compress(bytes(1_000_000)) + engine.flush(zlib.Z_FULL_FLUSH)
    return block * (size // 1_000_000) + engine.flush()


BOMB = _deflated_zeros(300_000_000)

ARCHIVES = {
    "a bomb that says its size": ([RawMember(b"a.fatbin", BOMB, 8, 300_000_000)], "unpacks to far more"),
    "a bomb that says another size": ([RawMember(b"a.fatbin", BOMB, 8, 10)], "bad CRC-32 or size"),
    "members that overlap": (
        [RawMember(b"a", BOMB, 8, 1000), *(RawMember(b"b%d" % n, b"", 8, 1000, offset=0) for n in range(200))],
        "overlap",
    ),
    "a member behind the end": ([RawMember(b"a", b"x", offset=2**31)], "not where the directory says"),
    "a member inside the directory": ([RawMember(b"a", b"x", compressed=400)], "overlap|not where the directory says"),
    "an extra field that is cut": ([RawMember(b"a", b"x", extra=b"\1\0\x10\0")], "Corrupt extra field"),
    "a local extra field behind the end": ([RawMember(b"a", b"x", local_extra_size=60000)], "not where the directory"),
    "another method": ([RawMember(b"a", b"x", 99)], "ZIP method 99|compression"),
    "an encrypted member": ([RawMember(b"a", b"x", flags=1)], "encrypted"),
    "a name that is not UTF-8": ([RawMember(b"\xff\xfe", b"x", flags=0x800)], "not utf-8 text"),
    "a file that is a folder too": ([RawMember(b"link", b"/etc"), RawMember(b"link/x", b"")], "as a file and as a"),
    "a name that occurs twice": ([RawMember(b"a", b"x"), RawMember(b"a", b"y")], "holds a twice"),
    "a part of a name that no disk takes": ([RawMember(b"a" * 300, b"")], "unsafe name"),
    "a name of many folders": ([RawMember(b"a/" * 3000 + b"a", b"")], "unsafe name"),
    "a stream that is cut": ([RawMember(b"a", BOMB[:50], 8, 1000)], "cut short|size"),
    "a stream that is none": ([RawMember(b"a", b"\xff" * 40, 8, 1000)], "invalid|readable wheel"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive(tmp_path: Path, case: str) -> None:
    members, words = ARCHIVES[case]
    path = _wheel(tmp_path, *members)
    with little(), pytest.raises(AuditError, match=words):
        read_members(path)


def test_an_archive_that_lacks_its_beginning(tmp_path: Path) -> None:
    path = _wheel(tmp_path, deflated("ops/a.so", b"x" * 99))
    whole = path.read_bytes()
    for cut in range(1, whole.index(b"PK\1\2") + 1, 7):  # of zipfile, members then lie at negative offsets
        path.write_bytes(whole[cut:])
        with pytest.raises(AuditError, match="lacks its first bytes"):
            read_members(path)
        with path.open("rb") as file:
            archive = Archive(file, NAME, len(whole) - cut, error=AuditError, hint="", strict=False)
            with pytest.raises(AuditError, match="is not where the directory says"):
                archive.read(archive.members[0])
        assert any("between its members" in oddity for oddity in archive_form(path).oddities)


@pytest.mark.parametrize("offset", [2**32, 2**62, 2**63 - 2, 2**63 - 1, 2**63, 2**64 - 2])
def test_a_member_at_a_place_that_no_file_has(tmp_path: Path, offset: int) -> None:
    """Of ZIP64: of some such places the system says that they are none, in reading and not in seeking."""
    wide = struct.pack("<HHQ", 1, 8, offset)
    elsewhere = replace(deflated("ops/b.so", b"x" * 99), offset=0xFFFFFFFF, extra=wide)
    path = _wheel(tmp_path, deflated("ops/a.so", b"x" * 99), elsewhere)
    with pytest.raises(AuditError, match=r"ops/b\.so is not where the directory says"):
        read_members(path)
    (tmp_path / "other").mkdir()
    other = _wheel(tmp_path / "other", deflated("ops/a.so", b"x" * 99))
    for words in (["audit"], ["inspect"], ["repair", "--dry-run"], ["diff", str(other)]):
        ended = CliRunner().invoke(main, [*words, str(path)])
        assert ended.exit_code in {0, 1, 9, 17}, (words, ended.output)
        assert isinstance(ended.exception, (SystemExit, AuditError, NoneType)), (words, ended.exception)
    assert any("between its members" in oddity for oddity in archive_form(path).oddities)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    for path in (tmp_path / NAME, tmp_path, tmp_path / "missing.whl"):
        with pytest.raises(AuditError, match=r"is not a regular file|does not exist"):
            read_members(path)


def test_a_gigabyte_of_zeros_in_a_megabyte(tmp_path: Path) -> None:
    stream = _deflated_zeros(1_000_000_000)
    path = _wheel(tmp_path, RawMember(b"a.fatbin", stream, 8, 1_000_000_000))
    assert path.stat().st_size < 1_500_000
    with little(), pytest.raises(AuditError, match=r"archive-expansion"):
        read_members(path)


def test_what_compresses_well_and_is_small_passes(tmp_path: Path) -> None:
    path = _wheel(tmp_path, deflated("ops/table.bin", bytes(40_000_000)))
    assert len(read_members(path)["ops/table.bin"].data) == 40_000_000


def test_a_large_member_takes_no_longer_than_its_size(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        archive.writestr("ops/table.bin", os.urandom(1 << 20) * 96)
    start = time.process_time()
    assert read_members(path)["ops/table.bin"].size == 96 << 20
    assert time.process_time() - start < 1.5  # a quarter of a second; three where the rest is copied for each block


MEMBERS = {
    "a fatbin whose header has size 0": {"a.fatbin": struct.pack("<IHHQ", 0xBA55ED50, 1, 0, 0)},
    "a fatbin with a container inside its header": {"a.fatbin": container(entry(b"x"), header=8)},
    "a fatbin entry whose header has size 0": {"a.fatbin": container(entry(b"x", header=0))},
    "a fatbin entry longer than its container": {"a.fatbin": container(entry(b"x")[:-4])},
    "a fatbin of another size": {"a.fatbin": container(b"", size=2**63)},
    "a fatbin of empty containers": {"a.fatbin": container(b"") * 200_001},
    "a fatbin of nothing": {"a.fatbin": container(b"", magic=0)},
    "an ELF file that ends in its header": {"a.so": elf_library({})[:40]},
    "segments that wrap around": {"a.so": elf_library({})[:32] + struct.pack("<Q", 2**63 + 64) + elf_library({})[40:]},
}


@pytest.mark.parametrize("case", MEMBERS)
def test_device_code_and_libraries(tmp_path: Path, case: str) -> None:
    path = _wheel(tmp_path, **MEMBERS[case])
    with little():
        (found,) = [it for it in audit_wheel(path, load_tables()) if it.rule == "unreadable"]
    assert re.match(r"is not a readable (fatbin|ELF file) \(.*, expected", found.problem)
    assert found.subject in MEMBERS[case]


def test_sections_that_wrap_around_are_no_concern_of_the_loader(tmp_path: Path) -> None:
    data = elf_library({})
    path = _wheel(tmp_path, **{"a.so": data[:40] + struct.pack("<Q", 2**64 - 8) + data[48:]})
    with little():
        assert all(finding.rule != "unreadable" for finding in audit_wheel(path, load_tables()))


def test_zeros_where_device_code_should_be(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.fatbin", ZEROS)
        archive.writestr(f"{INFO}/METADATA", METADATA)
        archive.writestr(f"{INFO}/WHEEL", WHEEL)
    start = time.process_time()
    audit_wheel(path, load_tables())
    assert time.process_time() - start < 5


VERSIONS = {"memcpy": ("libc.so.6", "GLIBC_2.14"), "pow": ("libm.so.6", "GLIBC_2.29"), "free": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", b"\xff\xff"),
        ("first", b"\xff\xff\xff\xff"),
        ("next", b"\xff\xff\xff\xff"),
        ("next", b"\1\0\0\0"),
        ("first", b"\0\0\0\0"),
    ],
)
def test_versions_that_lead_nowhere(tmp_path: Path, field: str, value: bytes) -> None:
    library = bytearray(elf_library(VERSIONS))
    at = bytes(library).index(struct.pack("<HH", 1, 1), 64 + 24 * 4)
    offset = at + {"count": 2, "first": 8, "next": 12}[field]
    library[offset : offset + len(value)] = value
    path = _wheel(tmp_path, **{"ops/a.so": bytes(library)})
    with little():
        try:
            audit_wheel(path, load_tables())
        except AuditError as error:
            assert "is not a readable ELF file" in error.message  # noqa: PT017  # either is right


def _record(rows: str) -> bytes:
    return rows.encode()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (f"{'x' * 200_000},,\n".encode(), "field larger"),
        (b"a,b\rc,d\n", "new-line character|columns"),
        (b"\xff\xfe,,\n", "not utf-8 text"),
        (b'"' * 70_001, "columns|cannot be read"),
        (b"x\n" * 100_000, "columns"),
    ],
)
def test_a_record_is_a_finding(tmp_path: Path, record: bytes, words: str) -> None:
    path = _wheel(tmp_path, **{f"{INFO}/RECORD": record})
    with little():
        findings = [found for found in audit_wheel(path, load_tables()) if found.rule.startswith("record")]
    assert findings
    assert any(re.search(words, found.problem) for found in findings), findings
    assert len(findings) <= 25
    assert all(len(found.problem) < 1000 for found in findings)


@pytest.mark.parametrize(
    "manifest",
    [
        b"[" * 200_000,
        b"9" * 5000,
        json.dumps({"schema": 1, "toolkit": [], "driver_floor": "525", "groups": {}}).encode(),
        json.dumps({"schema": 1, "toolkit": "12.9", "driver_floor": 525, "groups": {}}).encode(),
        json.dumps({"schema": 1, "toolkit": "12.9", "driver_floor": "525", "groups": []}).encode(),
        json.dumps({"schema": 1, "toolkit": "12.9", "driver_floor": "525", "groups": {"a": {"archs": 1}}}).encode(),
        json.dumps({"schema": 1, "toolkit": "12.9", "driver_floor": "525", "groups": {"a": None}}).encode(),
        json.dumps({"schema": [[]], "toolkit": "12.9", "driver_floor": "525", "groups": {}}).encode(),
        b"\xff\xfe\xff",
        b" " * 9_000_000,
    ],
    ids=range(10),
)
def test_a_manifest_is_a_finding(tmp_path: Path, manifest: bytes) -> None:
    path = _wheel(tmp_path, **{"ops/_kernels.json": manifest})
    with little():
        findings = [found for found in audit_wheel(path, load_tables()) if found.rule == "manifest"]
    assert len(findings) == 1
    assert len(findings[0].problem) < 1000


@pytest.mark.parametrize(
    "metadata",
    [
        b"Requires-Dist: torch>=" + b"1" * 5000,
        b"Requires-Dist: torch; " + b"(" * 3000,
        b"Requires-Dist: torch; " + b"(" * 20_000,
    ],
    ids=range(3),
)
def test_a_requirement_is_a_finding(tmp_path: Path, metadata: bytes) -> None:
    path = _wheel(tmp_path, metadata=METADATA + metadata)
    with little():
        findings = [found for found in audit_wheel(path, load_tables()) if found.rule == "metadata-requirement"]
    assert len(findings) == 1
    assert len(findings[0].problem) < 1000


@pytest.mark.parametrize(
    "lines", [b"Requires-Dist: a\n" * 6_000, b"Requires-Dist: a; %s\n" % b" or ".join([b"os_name>'a'"] * 50) * 3_000]
)
def test_requirements_without_end(tmp_path: Path, lines: bytes) -> None:
    path = _wheel(tmp_path, metadata=METADATA + lines)
    with little(seconds=2), pytest.raises(AuditError) as caught:
        audit_wheel(path, load_tables())
    assert len(caught.value.message) < 1000


def test_a_field_of_many_lines_takes_no_longer_than_they_take(tmp_path: Path) -> None:
    path = _wheel(tmp_path, metadata=METADATA + b"Summary: x\n" + b" y\n" * 300_000)
    with little():
        audit_wheel(path, load_tables())


def test_a_wheel_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    good = _wheel(tmp_path)
    listed = {f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL}
    record = "".join(f"{name},{record_digest(data)},{len(data)}\n" for name, data in listed.items())
    _wheel(tmp_path, **{f"{INFO}/RECORD": f"{record}{INFO}/RECORD,,\n".encode()})
    bad = good.with_name("ops-2-py3-none-any.whl")
    bad.write_bytes(b"no archive")
    result = CliRunner().invoke(main, ["audit", "--json", str(bad), str(good)])
    assert result.exit_code == 17, result.output
    broken, honest = json.loads(result.stdout)["wheels"]
    assert broken["file"] == bad.name
    assert broken["findings"][0]["rule"] == "unreadable"
    assert broken["findings"][0]["severity"] == "error"
    assert honest["findings"] == []
    text = CliRunner().invoke(main, ["audit", str(bad), str(good)])
    assert text.exit_code == 17
    assert f"{good.name}: holds what it claims" in text.stdout
    assert "is not a readable wheel" in text.output
