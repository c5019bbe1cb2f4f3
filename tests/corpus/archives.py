"""The archive: what its readers take differently, or not at all."""

from __future__ import annotations

import bz2
import io
import struct
import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from hostile import RawMember, deflated

from corpus._zips import patched, renamed, with_bytes_behind, with_bytes_between, with_comment, with_end
from corpus.cases import case
from corpus.wheels import wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
TEXT = b"x = 1\n"
INFO = "ops-1.0.dist-info"
PURE = "py3-none-any"
PURE_FILES = {"ops/_C.so": None}
WARNING, NOTE = Severity.WARNING, Severity.NOTE


def pure(files: dict[str, bytes | None] | None = None, **changes: object) -> WheelFile:
    """A wheel without a library, for every system."""
    return wheel({**PURE_FILES, **(files or {})}, tag=PURE, pure=True, **changes)  # type: ignore[arg-type]


def with_text(**changes: object) -> WheelFile:
    return wheel({"ops/a.txt": TEXT * 50}, **changes)  # type: ignore[arg-type]


@case("archive-duplicate")
def a_member_twice() -> Pair:
    return wheel(raw=[deflated("ops/__init__.py", b"")]), wheel()


@case("archive-duplicate", sneaky=True)
def a_member_twice_and_far_apart_with_other_content() -> Pair:
    # The last is the one that pip takes, and the one that RECORD has.
    first = RawMember(b"ops/a.txt", b"first")
    broken = wheel({"ops/a.txt": b"last!"}, raw=[first])
    data = broken.data.replace(b"first", b"last!")
    return replace(broken, data=_with_crc(data, b"last!")), wheel({"ops/a.txt": b"last!"})


def _with_crc(data: bytes, content: bytes) -> bytes:
    return data.replace(struct.pack("<I", zlib.crc32(b"first")), struct.pack("<I", zlib.crc32(content)))


@case("archive-encrypted")
def an_encrypted_member() -> Pair:
    return patched(with_text(), "ops/a.txt", flags=1), with_text()


@case("archive-encrypted", sneaky=True)
def a_member_with_strong_encryption() -> Pair:
    return patched(with_text(), "ops/a.txt", flags=0x40), with_text()


@case("archive-method")
def a_member_compressed_with_zstd() -> Pair:
    return patched(with_text(), "ops/a.txt", method=93), with_text()


@case("archive-method", sneaky=True)
def a_member_compressed_with_bzip2_which_python_reads() -> Pair:
    record = with_text()
    stream = bz2.compress(TEXT * 50)
    member = RawMember(b"ops/a.txt", stream, zipfile.ZIP_BZIP2, len(TEXT) * 50, zlib.crc32(TEXT * 50))
    rows = wheel({"ops/a.txt": TEXT * 50})
    with zipfile.ZipFile(_file(rows)) as archive:
        listed = archive.read(f"{INFO}/RECORD")
    return wheel({f"{INFO}/RECORD": listed}, raw=[member]), record


def _file(file: WheelFile):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import io  # noqa: PLC0415

    return io.BytesIO(file.data)


@case("archive-special")
def a_symbolic_link() -> Pair:
    return patched(with_text(), "ops/a.txt", attributes=0o120777 << 16), with_text()


@case("archive-special", sneaky=True, severity=WARNING)
def a_member_that_says_it_is_a_pipe() -> Pair:
    return patched(with_text(), "ops/a.txt", attributes=0o010644 << 16), patched(
        with_text(), "ops/a.txt", attributes=0o100644 << 16
    )


@case("archive-header")
def a_local_header_with_another_name() -> Pair:
    return renamed(with_text(), "ops/a.txt", b"ops/b.txt", "local"), with_text()


@case("archive-header", sneaky=True)
def a_local_header_with_another_size() -> Pair:
    return patched(with_text(), "ops/a.txt", "local", size=7), with_text()


@case("archive-header", sneaky=True)
def a_local_header_with_another_method() -> Pair:
    return patched(with_text(), "ops/a.txt", "local", method=0), with_text()


@case("archive-header", sneaky=True)
def a_local_header_with_another_checksum() -> Pair:
    return patched(with_text(), "ops/a.txt", "local", crc=7), with_text()


@case("archive-header", sneaky=True)
def another_name_in_an_extra_field() -> Pair:
    field = struct.pack("<HHBI", 0x7075, 5 + 9, 1, zlib.crc32(b"ops/a.txt")) + b"ops/b.txt"
    listed = {"ops/a.txt": TEXT}
    given = deflated("ops/a.txt", TEXT)
    return _raw(listed, replace(given, extra=field)), _raw(listed, given)


def _raw(files: dict[str, bytes], member: RawMember) -> WheelFile:
    """A wheel that lists these files, and has the member in their place."""
    with zipfile.ZipFile(_file(wheel(files))) as archive:  # type: ignore[arg-type]
        listed = archive.read(f"{INFO}/RECORD")
    return wheel({f"{INFO}/RECORD": listed}, raw=[member])


@case("archive-overlap")
def members_that_share_bytes() -> Pair:
    files = {"ops/a.txt": TEXT, "ops/b.txt": TEXT}
    broken = wheel(files)  # type: ignore[arg-type]
    # The second is said to be where the first is.
    data = bytearray(broken.data)
    first, second = data.index(b"PK\1\2"), 0
    places = {}
    at = first
    while data[at : at + 4] == b"PK\1\2":
        named, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        places[bytes(data[at + 46 : at + 46 + named])] = at
        at += 46 + named + extra + comment
    second = places[b"ops/b.txt"]
    offset = struct.unpack_from("<I", data, places[b"ops/a.txt"] + 42)[0]
    struct.pack_into("<I", data, second + 42, offset)
    # What the first header says is a.txt, so that the names agree where they share bytes.
    return replace(broken, data=bytes(data)), wheel(files)  # type: ignore[arg-type]


@case("archive-hidden")
def bytes_between_members_and_directory() -> Pair:
    return with_bytes_between(wheel(), b"hidden" * 9), wheel()


@case("archive-hidden", sneaky=True)
def bytes_behind_the_end() -> Pair:
    return with_bytes_behind(wheel(), b"\0" * 16), wheel()


@case("archive-hidden", sneaky=True)
def a_member_that_the_directory_does_not_list() -> Pair:
    hidden = wheel(raw=[deflated("ops/__evil.py", b"import os")])
    data = bytearray(hidden.data)
    at = data.rindex(b"PK\1\2")
    entry = 46 + len(b"ops/__evil.py")
    del data[at : at + entry]
    end = data.rindex(b"PK\5\6")
    count, size = struct.unpack_from("<H", data, end + 8)[0] - 1, struct.unpack_from("<I", data, end + 12)[0] - entry
    struct.pack_into("<HHI", data, end + 8, count, count, size)
    return replace(hidden, data=bytes(data)), wheel()


@case("archive-hidden", sneaky=True, severity=WARNING)
def a_comment_behind_the_directory() -> Pair:
    return with_comment(wheel(), b"built by us"), wheel()


@case("archive-end")
def an_end_that_counts_wrong() -> Pair:
    return with_end(wheel(), count=9), wheel()


@case("archive-hidden", sneaky=True)
def a_program_in_front_of_the_archive() -> Pair:
    # Readers that count from the end find the members; those that believe the offset do not.
    broken = wheel()
    return replace(broken, data=b"#!/bin/sh\n" + broken.data), wheel()


@case("archive-end", sneaky=True)
def an_end_of_several_disks() -> Pair:
    broken = wheel()
    at = broken.data.rindex(b"PK\5\6")
    return replace(broken, data=broken.data[: at + 4] + b"\1\0" + broken.data[at + 6 :]), wheel()


@case("archive-descriptor", severity=WARNING)
def sizes_behind_the_data() -> Pair:
    plain = deflated("ops/a.txt", TEXT)
    streamed = replace(plain, flags=8, stream=plain.stream)
    return _streamed(_raw({"ops/a.txt": TEXT}, streamed)), _raw({"ops/a.txt": TEXT}, plain)


def _streamed(file: WheelFile) -> WheelFile:
    """The last member with its sizes behind it."""
    at = file.data.index(b"PK\1\2")
    central = file.data.rindex(b"PK\1\2")
    crc, packed, size = struct.unpack_from("<III", file.data, central + 16)
    behind = b"PK\7\x08" + struct.pack("<III", crc, packed, size)
    data = file.data[:at] + behind + file.data[at:]
    return patched(
        with_end(replace(file, data=data), offset=at + len(behind)), "ops/a.txt", "local", crc=0, packed=0, size=0
    )


@case("archive-time", severity=NOTE)
def a_date_that_is_none() -> Pair:
    return patched(with_text(), "ops/a.txt", date=0), with_text()


@case("archive-time", sneaky=True, severity=NOTE)
def a_date_in_month_thirteen() -> Pair:
    return patched(with_text(), "ops/a.txt", date=(40 << 9) | (13 << 5) | 1), patched(
        with_text(), "ops/a.txt", date=(40 << 9) | (12 << 5) | 1
    )


@case("archive-mode", severity=NOTE)
def a_file_that_its_owner_cannot_read() -> Pair:
    return patched(with_text(), "ops/a.txt", attributes=0o100200 << 16), with_text()


@case("archive-mode", sneaky=True, severity=NOTE)
def a_program_that_is_set_user_id() -> Pair:
    return patched(with_text(), "ops/a.txt", attributes=0o104755 << 16), patched(
        with_text(), "ops/a.txt", attributes=0o100755 << 16
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _named(name: str, **changes: object) -> WheelFile:
    return wheel({name: TEXT}, **changes)  # type: ignore[arg-type]


@case("archive-name")
def an_absolute_path() -> Pair:
    return _unlisted("/opt/x.py"), wheel()


@case("archive-name")
def a_name_that_leads_out() -> Pair:
    return _unlisted("../ops.py"), wheel()


@case("archive-name", sneaky=True)
def a_name_that_leads_out_behind_a_folder() -> Pair:
    return _unlisted("ops/../../ops.py"), wheel()


@case("archive-name", sneaky=True)
def a_backslash() -> Pair:
    return _unlisted("ops\\x.py"), wheel()


@case("archive-name", sneaky=True)
def a_nul_in_a_name() -> Pair:
    return _unlisted("ops/x.py\0.txt"), wheel()


def _unlisted(name: str) -> WheelFile:
    """A wheel whose RECORD lists what `zipfile` calls the member."""
    return wheel({name: TEXT})


@case("archive-name-encoding")
def a_name_in_latin_1() -> Pair:
    return _raw({"ops/éx.txt": TEXT}, RawMember("ops/éx.txt".encode("latin-1"), TEXT)), wheel()


@case("archive-name-encoding", sneaky=True)
def a_name_in_utf_8_that_is_not_marked() -> Pair:
    # The writer of these tests marks no name.
    return _named("ops/éx.txt"), patched(_named("ops/éx.txt"), "ops/éx.txt", flags=0x800)


@case("archive-clash")
def a_file_and_a_folder_of_one_name() -> Pair:
    return wheel({"ops/a": TEXT, "ops/a/b.txt": TEXT}), wheel({"ops/a.txt": TEXT, "ops/a/b.txt": TEXT})


@case("archive-clash", sneaky=True)
def a_file_and_a_folder_with_a_file_between_them() -> Pair:
    files = {"ops/a": TEXT, "ops/a-b": TEXT, "ops/a/b.txt": TEXT}
    return wheel(files), wheel({**files, "ops/a": None, "ops/ab": TEXT})  # type: ignore[arg-type,dict-item]


@case("archive-case", severity=WARNING)
def names_that_differ_in_case() -> Pair:
    return pure({"ops/a.txt": TEXT, "ops/A.txt": TEXT}), pure({"ops/a.txt": TEXT, "ops/b.txt": TEXT})


@case("archive-case", sneaky=True, severity=WARNING)
def folders_that_differ_in_case() -> Pair:
    return pure({"ops/a/x.txt": TEXT, "ops/A/y.txt": TEXT}), pure({"ops/a/x.txt": TEXT, "ops/a/y.txt": TEXT})


@case("archive-name-portable", severity=WARNING)
def a_device_of_windows() -> Pair:
    return pure({"ops/aux.py": TEXT}), pure({"ops/auxiliary.py": TEXT})


@case("archive-name-portable", sneaky=True, severity=WARNING)
def a_name_that_ends_with_a_dot() -> Pair:
    return pure({"ops/a.": TEXT}), pure({"ops/.a": TEXT})


@case("archive-name-portable", sneaky=True, severity=WARNING)
def a_question_mark() -> Pair:
    return pure({"ops/what?.txt": TEXT}), wheel({"ops/what?.txt": TEXT})


@case("archive-method", sneaky=True)
def every_member_compressed_otherwise() -> Pair:
    whole, packed = wheel(), io.BytesIO()
    with zipfile.ZipFile(_file(whole)) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as out:
        for info in archive.infolist():
            out.writestr(zipfile.ZipInfo(info.filename), archive.read(info), zipfile.ZIP_LZMA)
    return replace(whole, data=packed.getvalue()), whole
