from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuwheel.audit import Image, library_images, read_fatbin
from gpuwheel.audit.device_code import DeclaredCode, check_device_code, size_by_arch
from gpuwheel.errors import AuditError
from gpuwheel.model.archs import Arch
from gpuwheel.model.findings import Severity
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.audit import ElfFile
    from gpuwheel.compatibility import Tables

TARGETS = ["sm_75", "sm_90a", "sm_100f", "sm_120", "compute_100"]


@pytest.mark.parametrize(
    ("name", "codec", "targets"),
    [
        ("none.fatbin", "none", ["sm_75", "compute_100"]),
        ("lz4.fatbin", "LZ4", TARGETS),
        ("zstd.fatbin", "zstd", TARGETS),
    ],
)
def test_images_are_read(fatbin: Callable[[str], bytes], name: str, codec: str, targets: list[str]) -> None:
    data = fatbin(name)
    images = read_fatbin(data, name)
    assert [str(image) for image in images] == targets
    assert {image.codec for image in images} == {codec}
    assert [image.isa for image in images] == [*[None] * (len(targets) - 1), MinorVersion(8, 8)]
    assert 0 < sum(image.size for image in images) < len(data)
    assert all((image.raw_size > image.size) == (codec != "none") for image in images)


def test_sizes_before_compression_agree(fatbin: Callable[[str], bytes]) -> None:
    lz4, zstd = (read_fatbin(fatbin(name), name) for name in ("lz4.fatbin", "zstd.fatbin"))
    assert [image.raw_size for image in lz4] == [image.raw_size for image in zstd]


def test_containers_of_several_groups_lie_between_zeros(
    fatbin: Callable[[str], bytes], elf: Callable[..., ElfFile]
) -> None:
    one = fatbin("none.fatbin")
    section = one + bytes(24) + one + bytes(8)
    library = elf(sections={".nv_fatbin": memoryview(section), ".text": memoryview(b"x")})
    assert library_images(library) == read_fatbin(one, "one") * 2
    assert library_images(elf(sections={})) == ()


@settings(deadline=None)  # a busy machine is not a slow function
@given(data=st.data())
def test_a_damaged_fatbin_is_an_error_or_other_images_but_never_a_crash(data: st.DataObject) -> None:
    header = b"\x50\xed\x55\xba\x01\x00\x10\x00" + data.draw(st.binary(min_size=8, max_size=8))
    try:
        read_fatbin(header + data.draw(st.binary(max_size=200)), "x")
    except AuditError as error:
        assert error.message.startswith("x is not a readable fatbin")  # noqa: PT017 (images would be right as well)


@pytest.mark.parametrize("cut", [1, 15, 17, 100, 4000])
def test_a_cut_fatbin_is_refused(fatbin: Callable[[str], bytes], cut: int) -> None:
    with pytest.raises(AuditError, match="not a readable fatbin"):
        read_fatbin(fatbin("lz4.fatbin")[:cut], "cut")


def _image(kind: str, arch: str, codec: str = "LZ4", isa: MinorVersion | None = None) -> Image:
    return Image(kind, Arch.parse(arch), codec, 10, 20, isa)


def _declared(cubins: str, ptx: str = "", driver: str = "525") -> DeclaredCode:
    return DeclaredCode(
        frozenset(map(Arch.parse, cubins.split())), frozenset(map(Arch.parse, ptx.split())), DriverVersion.parse(driver)
    )


def test_equal_code_has_no_findings(tables: Tables) -> None:
    images = [_image("cubin", "7.5"), _image("cubin", "9.0a"), _image("cubin", "7.5")]
    assert check_device_code(images, "x.whl", _declared("7.5 9.0a"), tables) == []


def test_missing_and_undeclared_targets_are_named(tables: Tables) -> None:
    images = [_image("cubin", "7.5"), _image("cubin", "9.0")]
    missing, extra, no_ptx = check_device_code(images, "x.whl", _declared("7.5 9.0a", "9.0"), tables)
    assert (missing.rule, extra.rule, no_ptx.rule) == ("arch-missing", "arch-undeclared", "arch-missing")
    assert "sm_90a (found sm_75, sm_90, expected sm_75, sm_90a)" in missing.problem
    assert "sm_90 (" in extra.problem
    assert "compute_90 (found none, expected compute_90)" in no_ptx.problem


@pytest.mark.parametrize(
    ("codec", "driver", "refused"),
    [("LZ4", "525", False), ("zstd", "525", True), ("zstd", "550.54", False), ("zstd", "575", False)],
)
def test_compression_must_suit_the_driver_floor(tables: Tables, codec: str, driver: str, *, refused: bool) -> None:
    findings = check_device_code([_image("cubin", "7.5", codec)], "x.whl", _declared("7.5", driver=driver), tables)
    assert [finding.rule for finding in findings] == ["compression-driver"] * refused
    if refused:
        assert "drivers from 550.54 on" in findings[0].problem


def test_an_unknown_compression_is_refused(tables: Tables) -> None:
    (finding,) = check_device_code([_image("cubin", "7.5", "codec 0x4000")], "x", _declared("7.5"), tables)
    assert "no known driver reads it" in finding.problem


@pytest.mark.parametrize(
    ("cubins", "driver", "severity"),
    [("", "525", Severity.ERROR), ("10.0", "525", Severity.NOTE), ("9.0", "525", Severity.ERROR), ("", "575", None)],
)
def test_ptx_newer_than_the_driver_floor(tables: Tables, cubins: str, driver: str, severity: Severity | None) -> None:
    images = [*[_image("ptx", "10.0", isa=MinorVersion(8, 8))] * 2, *(_image("cubin", arch) for arch in cubins.split())]
    findings = check_device_code(images, "x.whl", _declared(cubins, "10.0", driver), tables)
    assert [(finding.rule, finding.severity) for finding in findings] == (
        [("ptx-driver", severity)] if severity else []
    )


def test_sizes_by_target() -> None:
    images = [_image("cubin", "7.5"), _image("ptx", "7.5"), _image("cubin", "7.5")]
    assert size_by_arch(images) == {"sm_75": 20, "compute_75": 10}
