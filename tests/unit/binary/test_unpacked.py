"""Device code unpacked as a driver sees it: what nvFatbin wrote, and what nobody would write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpuwheel.binary.cubin import read_cubin
from gpuwheel.binary.extent import extent
from gpuwheel.binary.fatbin import read_fatbin
from gpuwheel.binary.lz4_block import lz4_block
from gpuwheel.binary.unpacked import unpacked_image
from gpuwheel.errors import AuditError

FATBINS = Path(__file__).parent / "fatbins"


def _code(name: str) -> dict[str, bytes]:
    images = read_fatbin((FATBINS / f"{name}.fatbin").read_bytes(), name)
    return {f"{image.kind} {image}": unpacked_image(image, name) for image in images}


def test_each_codec_gives_the_code_that_was_compressed() -> None:
    pytest.importorskip("zstandard")
    lz4, zstd, plain = _code("lz4"), _code("zstd"), _code("none")
    assert lz4 == zstd
    assert len(lz4) > 3
    assert plain["cubin sm_75"] == lz4["cubin sm_75"]
    for name, data in lz4.items():
        if name.startswith("cubin"):
            assert read_cubin(data, name)
        else:
            assert b".version" in data


@pytest.mark.parametrize(
    ("block", "unpacked"),
    [
        (b"\x00", b""),
        (b"\x30abc", b"abc"),
        # Three literals, then nine bytes from three back: the match runs into what it makes.
        (b"\x35abc\x03\x00\x00", b"abcabcabcabc"),
        (b"\x1fa\x01\x00\x05\x00", b"a" * 25),
        # 15 + 255 + 3 literals.
        (b"\xf0\xff\x03" + b"x" * 273, b"x" * 273),
        (b"\x30abc" + b"\0" * 9, b"abc"),
    ],
)
def test_an_lz4_block(block: bytes, unpacked: bytes) -> None:
    assert lz4_block(block, len(unpacked)) == unpacked


@pytest.mark.parametrize(
    ("block", "size"),
    [
        (b"\x30ab", 3),  # cut short
        (b"\x30abc", 2),  # more than is said
        (b"\x30abc", 9),  # less
        (b"\x10a\x00\x00", 5),  # a match that begins nowhere
        (b"\x10a\x02\x00", 5),  # or before the beginning
        (b"\x1fa\x01\x00" + b"\xff" * 99, 10**9),  # lengths without an end
        (b"", 1),
    ],
)
def test_a_damaged_lz4_block_is_refused(block: bytes, size: int) -> None:
    with pytest.raises((ValueError, IndexError)):
        lz4_block(block, size)


@pytest.mark.parametrize("codec", ["LZ4", "zstd", "codec 0x6000"])
def test_a_damaged_image_is_an_error_that_names_it(codec: str) -> None:
    if codec == "zstd":
        pytest.importorskip("zstandard")
    image = read_fatbin((FATBINS / "lz4.fatbin").read_bytes(), "x")[0]
    broken = replace(image, codec=codec, payload=extent(b"\xf0" + b"\xff" * 40))
    with pytest.raises(AuditError, match=r"ops/_C\.so: sm_75"):
        unpacked_image(broken, "ops/_C.so: sm_75")


def test_an_image_that_claims_to_be_huge_is_not_unpacked() -> None:
    image = read_fatbin((FATBINS / "lz4.fatbin").read_bytes(), "x")[0]
    with pytest.raises(AuditError, match="unpacked-image"):
        unpacked_image(replace(image, raw_size=1 << 40), "x")
