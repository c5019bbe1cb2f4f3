"""Reading fatbins: three made by NVRTC and nvFatbin (`fatbins/make.py`), and damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import container, elf_library, entry
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.fatbin import library_images, read_fatbin
from gpuwheel.errors import AuditError
from gpuwheel.model.versions import MinorVersion

TARGETS = ["sm_75", "sm_90a", "sm_100f", "sm_120", "compute_100"]


def _fatbin(name: str) -> bytes:
    return (Path(__file__).parent / "fatbins" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "targets"),
    [
        ("none.fatbin", "none", ["sm_75", "compute_100"]),
        ("lz4.fatbin", "LZ4", TARGETS),
        ("zstd.fatbin", "zstd", TARGETS),
    ],
)
def test_images_are_read(name: str, codec: str, targets: list[str]) -> None:
    data = _fatbin(name)
    images = read_fatbin(data, name)
    assert [str(image) for image in images] == targets
    assert {image.codec for image in images} == {codec}
    assert [image.isa for image in images] == [*[None] * (len(targets) - 1), MinorVersion(8, 8)]
    assert 0 < sum(image.size for image in images) < len(data)
    assert all((image.raw_size > image.size) == (codec != "none") for image in images)


def test_sizes_before_compression_agree() -> None:
    lz4, zstd = (read_fatbin(_fatbin(name), name) for name in ("lz4.fatbin", "zstd.fatbin"))
    assert [image.raw_size for image in lz4] == [image.raw_size for image in zstd]


def test_containers_of_several_groups_lie_between_zeros() -> None:
    one = _fatbin("none.fatbin")
    section = one + bytes(24) + one + bytes(8)
    library = read_elf(elf_library({}, sections={".nv_fatbin": section, ".text": b"x"}), "a.so")
    assert library_images(library) == read_fatbin(one, "one") * 2
    assert library_images(read_elf(elf_library({}), "a.so")) == ()


@given(data=st.data())
def test_a_damaged_fatbin_is_an_error_or_other_images_but_never_a_crash(data: st.DataObject) -> None:
    header = b"\x50\xed\x55\xba\x01\x00\x10\x00" + data.draw(st.binary(min_size=8, max_size=8))
    try:
        read_fatbin(header + data.draw(st.binary(max_size=200)), "x")
    except AuditError as error:
        assert error.message.startswith("x is not a readable fatbin")  # noqa: PT017 (images would be right as well)


@pytest.mark.parametrize("cut", [1, 15, 17, 100, 4000])
def test_a_cut_fatbin_is_refused(cut: int) -> None:
    with pytest.raises(AuditError, match="not a readable fatbin"):
        read_fatbin(_fatbin("lz4.fatbin")[:cut], "cut")


def test_code_for_a_debugger_and_lines_of_source_are_told() -> None:
    named = bytearray(entry(b"image"))
    named[36:40] = (4).to_bytes(4, "little")  # the length of a name
    data = container(entry(b"image") + bytes(named) + entry(b"image", flags=0x2))
    assert [(it.debug, it.line_info) for it in read_fatbin(data, "x")] == [(False, False), (False, True), (True, True)]
