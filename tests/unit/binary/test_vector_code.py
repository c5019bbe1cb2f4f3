from __future__ import annotations

import hashlib

import pytest

from gpuwheel.binary.extent import extent
from gpuwheel.binary.vector_code import vector_code

# As `as` writes them: movdqa, pxor, addsd; their VEX and EVEX forms.
SSE = ("660f6fc1", "660fefc1", "f20f58c1", "f30f10442408", "66440f28c8")
AVX = ("c5f96fc1", "c5f9efc1", "c5fb58c1", "c5fa10442408", "c57928c9")
AVX512 = ("62f1fd486fc1", "62f17d48efc1", "62f1fd4858c1")


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        (SSE, (5, 0, 0, 0)),
        (AVX, (0, 5, 0, 0)),
        (AVX512, (0, 0, 3, 0)),
        (("0fa2", "0f01d0"), (0, 0, 0, 2)),
        (("90", "c3", "4889e5"), (0, 0, 0, 0)),
    ],
)
def test_each_kind_is_counted(code: tuple[str, ...], counts: tuple[int, ...]) -> None:
    found = vector_code(extent(bytes.fromhex("90".join(code))))
    assert (found.sse, found.avx, found.avx512, found.asking) == counts


def test_chance_finds_few() -> None:
    found = vector_code(extent(hashlib.shake_256(b"chance").digest(1 << 20)))
    assert found.looked_at == 1 << 19
    assert found.sse < 20
    assert found.avx < 60
    assert found.avx512 < 40


def test_long_code_is_looked_at_in_pieces() -> None:
    """The end counts too."""
    code = bytes(3 << 20) + bytes.fromhex(AVX[0]) * 100_000
    found = vector_code(extent(code))
    assert found.avx > 1000
    assert found.looked_at == 8 << 16
