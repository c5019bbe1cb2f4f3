from __future__ import annotations

import random
import tarfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.publish.image.contents.zero_runs import MOST, deflated


def _back(stream: bytes) -> bytes:
    engine = zlib.decompressobj(-15)
    found = engine.decompress(stream) + engine.flush()
    assert engine.eof
    assert engine.unused_data == b""
    return found


def test_runs_of_every_length_come_back() -> None:
    for length in range(600):
        for data in (bytes(length), b"x" + bytes(length) + b"\xff", bytes(length) + b"y" + bytes(length)):
            assert _back(deflated(data)) == data


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 2000).map(bytes)), max_size=20).map(b"".join))
def test_anything_comes_back(data: bytes) -> None:
    assert _back(deflated(data)) == data
    assert len(deflated(data)) <= len(data) + 5 * (1 + len(data) // 0xFFFF)


def test_noise_and_large_pieces_are_stored() -> None:
    noise = random.Random(1).randbytes(MOST)  # noqa: S311 (any bytes will do)
    for data in (noise, noise + noise, bytes(MOST + 1)):
        assert _back(deflated(data)) == data
        assert len(deflated(data)) > len(data)


def test_a_header_of_a_tar_takes_a_third() -> None:
    header = tarfile.TarInfo("opt/venv/lib/python3.11/site-packages/ops/__init__.py").tobuf(tarfile.PAX_FORMAT)
    assert len(deflated(header)) < len(header) / 3
