"""RECORD."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from typing import TYPE_CHECKING

from corpus.cases import case
from corpus.wheels import recorded, wheel
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
INFO = "ops-1.0.dist-info"
RECORD = f"{INFO}/RECORD"
TEXT = b"x = 1\n"
PATH = "ops/a.txt"
ROW = recorded({PATH: TEXT}, INFO).decode().splitlines()[0]


def edited(edit: Callable[[str], str], files: dict[str, bytes] | None = None) -> WheelFile:
    """A wheel whose RECORD is edited as a text."""
    given = {PATH: TEXT, **(files or {})}
    with zipfile.ZipFile(io.BytesIO(wheel(given).data)) as archive:
        text = archive.read(RECORD).decode()
    return wheel({**given, RECORD: edit(text).encode("utf-8", "surrogateescape")})


def replaced(row: str) -> Pair:
    """The row of a file, and another one in its place."""
    return edited(lambda text: text.replace(ROW, row)), edited(str)


def digest(algorithm: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, TEXT).digest()).rstrip(b"=").decode()


@case("record")
def no_record() -> Pair:
    return wheel({RECORD: None}), wheel()


@case("record")
def a_file_that_was_edited() -> Pair:
    return replaced(f"{PATH},{_sha(b'x = 2')},{len(TEXT)}")


def _sha(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@case("record", sneaky=True)
def an_edited_file_whose_digest_is_sha512() -> Pair:
    wrong = base64.urlsafe_b64encode(hashlib.sha512(b"x = 2").digest()).rstrip(b"=").decode()
    right = edited(lambda text: text.replace(ROW, f"{PATH},sha512={digest('sha512')},{len(TEXT)}"))
    return replaced(f"{PATH},sha512={wrong},{len(TEXT)}")[0], right


@case("record", sneaky=True)
def another_size_and_the_right_digest() -> Pair:
    return replaced(f"{PATH},{_sha(TEXT)},7")


@case("record", sneaky=True)
def a_size_that_is_no_number() -> Pair:
    return replaced(f"{PATH},{_sha(TEXT)},6 bytes")


@case("record")
def a_file_that_is_not_listed() -> Pair:
    return edited(lambda text: text.replace(f"{ROW}\n", "")), edited(str)


@case("record")
def a_row_without_a_file() -> Pair:
    return edited(lambda text: f"ops/gone.py,{_sha(b'')},0\n{text}"), edited(str)


@case("record", sneaky=True)
def a_record_in_latin_1() -> Pair:
    return edited(lambda text: text.replace("ops/a", "ops/\udce9")), edited(str)


@case("record-hash")
def a_digest_of_md5() -> Pair:
    return replaced(f"{PATH},md5={digest('md5')},{len(TEXT)}")


@case("record-hash", sneaky=True)
def no_digest() -> Pair:
    return replaced(f"{PATH},,{len(TEXT)}")


@case("record-hash", sneaky=True)
def a_digest_in_hexadecimal() -> Pair:
    return replaced(f"{PATH},sha256={hashlib.sha256(TEXT).hexdigest()},{len(TEXT)}")


@case("record-hash", sneaky=True)
def a_digest_with_padding() -> Pair:
    return replaced(f"{PATH},{_sha(TEXT)}=,{len(TEXT)}")


@case("record-row")
def a_row_twice() -> Pair:
    return edited(lambda text: f"{ROW}\n{text}"), edited(str)


@case("record-row", sneaky=True)
def a_row_twice_with_another_digest_first() -> Pair:
    return edited(lambda text: f"{PATH},{_sha(b'')},0\n{text}"), edited(str)


@case("record-row")
def an_absolute_path_in_record() -> Pair:
    return edited(lambda text: f"/etc/passwd,,\n{text}"), edited(str)


@case("record-row", sneaky=True)
def a_path_in_record_that_leads_out() -> Pair:
    return edited(lambda text: f"ops/../../bin/ops,,\n{text}"), edited(str)


@case("record-row")
def a_row_of_two_columns() -> Pair:
    return edited(lambda text: f"{text}ops/b.txt,{_sha(b'')}\n"), edited(str)


@case("record-row", sneaky=True)
def an_empty_line() -> Pair:
    return edited(lambda text: f"\n{text}"), edited(str)


@case("record-row", sneaky=True)
def a_row_that_starts_with_a_dot() -> Pair:
    return replaced(f"./{ROW}")


@case("record-row", sneaky=True)
def a_row_with_backslashes() -> Pair:
    return replaced(ROW.replace("/", "\\", 1))


@case("record-row", sneaky=True)
def a_record_with_its_own_digest() -> Pair:
    return edited(lambda text: text.replace("RECORD,,", f"RECORD,{_sha(b'')},0")), edited(str)


@case("record-row", sneaky=True, severity=Severity.WARNING)
def a_record_that_does_not_list_itself() -> Pair:
    return edited(lambda text: text.replace(f"{RECORD},,\n", "")), edited(str)


def _signed(name: str) -> Pair:
    with zipfile.ZipFile(io.BytesIO(wheel().data)) as archive:
        text = archive.read(RECORD)
    return wheel({f"{INFO}/{name}": b"{}", RECORD: text}), wheel()


@case("record-signature", severity=Severity.WARNING)
def a_signature_that_nobody_checks() -> Pair:
    return _signed("RECORD.jws")


@case("record-signature", sneaky=True, severity=Severity.WARNING)
def a_signature_of_smime() -> Pair:
    return _signed("RECORD.p7s")


def _with_size(size: str) -> Pair:
    return edited(lambda text: re.sub(r"(__init__\.py,sha256=[^,]*),0\n", f"\\1,{size}\n", text)), edited(str)


@case("record", sneaky=True)
def a_size_in_digits_of_another_script() -> Pair:
    return _with_size("\N{ARABIC-INDIC DIGIT ZERO}")


@case("record", sneaky=True)
def a_size_of_thousands_of_digits() -> Pair:
    return _with_size("9" * 5000)
