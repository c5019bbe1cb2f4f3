"""Reading fatbins: three made by NVRTC and nvFatbin (`fatbins/make.py`), and damaged ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hostile import container, cubin, elf_library, entry
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel.binary.device_files import cubin_image, file_images, is_cubin, ptx_image
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.extent import extent
from gpuwheel.binary.fatbin import MAGIC, find_containers, library_images, read_fatbin
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


BLOCK = 1 << 20


@pytest.mark.parametrize("at", [64, BLOCK - 1, BLOCK - 3, BLOCK, 3 * BLOCK - 2])
def test_containers_are_found_wherever_they_lie(at: int) -> None:
    """Also across the blocks in which a file is read; what only begins like one is chance outside of device code."""
    file = bytearray(4 * BLOCK)
    code = container(entry(b"image", arch=90, flags=0x100000))
    file[at : at + len(code)] = code
    file[at + 5000 : at + 5004] = MAGIC
    search = find_containers(extent(file), "a.so")
    assert [str(image) for image in search.images({})] == ["sm_90a"]
    assert [container.at for container in search.containers] == [at]
    for start, size in ((at + 4000, 2000), (at - 1, 20)):
        file[at - 1] = 1
        with pytest.raises(AuditError, match=r"a.so section .nv_fatbin is not a readable fatbin"):
            search.images({".nv_fatbin": extent(file).part(start, size)})


def test_cubins_and_ptx_in_files_of_their_own() -> None:
    file = bytearray(cubin({"f": [(0, 8)]}))
    file[7:9], file[48:52] = (65, 8), (0x600640A).to_bytes(4, "little")
    assert is_cubin(extent(file))
    image = cubin_image(extent(file), "a.cubin")
    assert (str(image), image.size, image.debug, image.line_info) == ("sm_100a", len(file), False, False)
    file[7:9], file[48:52] = (51, 7), (0x5A0D5A).to_bytes(4, "little")
    assert str(cubin_image(extent(file), "a.cubin")) == "sm_90a"
    text = b"//\n// Generated\n\n.version 8.8\n.target sm_100f, debug\n.address_size 64\n.loc 1 2 3\n"
    (found,) = file_images(extent(text), "a.ptx")
    assert (str(found), found.isa, found.debug, found.line_info) == ("compute_100f", MinorVersion(8, 8), True, True)
    for text in (b"mov.u32 %0, %laneid;", b".version 8.8\n.target sm_9\n"):
        assert file_images(extent(text), "part.ptx") == ()


def test_a_text_of_empty_lines_costs_no_time() -> None:
    before = time.process_time()
    image = ptx_image(extent(b".version 8.8\n.target sm_90\n" + b"\n" * (1 << 20)))
    assert image is not None
    assert not image.line_info
    assert time.process_time() - before < 1
