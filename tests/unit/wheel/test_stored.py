"""Members of a wheel on disk, read at any place without being held."""

from __future__ import annotations

import hashlib
import random
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hostile import RawMember, deflated, raw_zip

from gpuwheel.errors import AuditError
from gpuwheel.wheel.archive import record_digest, stored_members

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 40_000_123
INFO = [deflated("a-1.dist-info/METADATA", b"Name: a\n")]


@pytest.fixture(scope="module")
def content() -> bytes:
    """Compresses to a third, and no two blocks are alike."""
    words = random.Random(7)  # noqa: S311
    block = b"".join(bytes([words.randrange(256)]) * 3 + words.randbytes(1) for _ in range(1000))
    data = bytearray((block * (SIZE // 4000 + 1))[:SIZE])
    for at in range(0, SIZE, 4096):
        data[at : at + 8] = at.to_bytes(8, "little")
    return bytes(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_any_place_is_read_in_any_order_and_little_is_held(tmp_path: Path, content: bytes, method: int) -> None:
    path, chance = tmp_path / "a.whl", random.Random(3)  # noqa: S311
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        archive.writestr("a.so", content)
    places = [(chance.randrange(SIZE), chance.choice((1, 100, 5000, 3_000_000))) for _ in range(40)]
    tracemalloc.start()
    with stored_members(path) as members:
        member = members["a.so"]
        for number, (at, size) in enumerate([(SIZE - 10, 100), (0, 64), *places]):
            assert bytes(member.read(at, size)) == content[at : at + size]
            if number == 10:
                assert member.digest == record_digest(content)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert member.read(SIZE, 10) == b""
        assert hashlib.sha256(member.data).digest() == hashlib.sha256(content).digest()
    # The blocks that are kept, a read of 3 MB, and what the comparison and the digest copied.
    assert peak < 2 * SIZE


DAMAGED = {
    "another CRC": RawMember(**{**vars(deflated("a.so", bytes(3_000_000))), "crc": 1}),
    "another size": RawMember(**{**vars(deflated("a.so", bytes(3_000_000))), "size": 2_999_999}),
    "a larger size": RawMember(**{**vars(deflated("a.so", bytes(3_000_000))), "size": 3_000_001}),
    "a stream that is cut": RawMember(b"a.so", deflated("", random.Random(7).randbytes(9000)).stream[:5000], 8, 9000),  # noqa: S311
    "a stored file of another size": RawMember(b"a.so", b"x" * 100, size=101),
    "another method": RawMember(b"a.so", b"x" * 100, 14),
    "an encrypted file": RawMember(b"a.so", b"x" * 100, flags=1),
    "nothing, with a CRC": RawMember(b"a.so", b"", crc=1),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_says_so_each_time(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.whl"
    path.write_bytes(raw_zip([*INFO, DAMAGED[case]]))
    with stored_members(path) as members:
        for _ in range(2):
            with pytest.raises(AuditError, match=r"^a.so cannot be unpacked \("):
                _ = members["a.so"].digest
        assert members["a-1.dist-info/METADATA"].data == b"Name: a\n"
