from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.audit.cases import CodeCase
from gpuwheel.audit.kernel_manifests import DeclaredCode
from gpuwheel.audit.rules import DEVICE_CODE_RULES
from gpuwheel.binary.fatbin import Image
from gpuwheel.model.archs import Arch
from gpuwheel.model.findings import Severity
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding


def _image(kind: str, arch: str, codec: str = "LZ4", isa: MinorVersion | None = None) -> Image:
    return Image(kind, Arch.parse(arch), codec, 10, 20, isa)


def _declared(cubins: str, ptx: str = "", driver: str = "525") -> DeclaredCode:
    return DeclaredCode(
        frozenset(map(Arch.parse, cubins.split())), frozenset(map(Arch.parse, ptx.split())), DriverVersion.parse(driver)
    )


def _check(images: list[Image], declared: DeclaredCode, tables: Tables) -> list[Finding]:
    case = CodeCase(images, "x.whl", declared, declared.driver, tables)
    return [finding for rule in DEVICE_CODE_RULES for finding in rule.findings(case)]


def test_equal_code_has_no_findings(tables: Tables) -> None:
    images = [_image("cubin", "7.5"), _image("cubin", "9.0a"), _image("cubin", "7.5")]
    assert _check(images, _declared("7.5 9.0a"), tables) == []


def test_missing_and_undeclared_targets_are_named(tables: Tables) -> None:
    images = [_image("cubin", "7.5"), _image("cubin", "9.0")]
    missing, no_ptx, extra = _check(images, _declared("7.5 9.0a", "9.0"), tables)
    assert (missing.rule, extra.rule, no_ptx.rule) == ("arch-missing", "arch-undeclared", "arch-missing")
    assert "sm_90a (found sm_75, sm_90, expected sm_75, sm_90a)" in missing.problem
    assert "sm_90 (" in extra.problem
    assert "compute_90 (found none, expected compute_90)" in no_ptx.problem


@pytest.mark.parametrize(
    ("codec", "driver", "refused"),
    [("LZ4", "525", False), ("zstd", "525", True), ("zstd", "550.54", False), ("zstd", "575", False)],
)
def test_compression_must_suit_the_driver_floor(tables: Tables, codec: str, driver: str, *, refused: bool) -> None:
    findings = _check([_image("cubin", "7.5", codec)], _declared("7.5", driver=driver), tables)
    assert [finding.rule for finding in findings] == ["compression-driver"] * refused
    if refused:
        assert "drivers from 550.54 on" in findings[0].problem


def test_an_unknown_compression_is_refused(tables: Tables) -> None:
    (finding,) = _check([_image("cubin", "7.5", "codec 0x4000")], _declared("7.5"), tables)
    assert "no known driver reads it" in finding.problem


@pytest.mark.parametrize(
    ("cubins", "driver", "severity"),
    [("", "525", Severity.ERROR), ("10.0", "525", Severity.NOTE), ("9.0", "525", Severity.ERROR), ("", "575", None)],
)
def test_ptx_newer_than_the_driver_floor(tables: Tables, cubins: str, driver: str, severity: Severity | None) -> None:
    images = [*[_image("ptx", "10.0", isa=MinorVersion(8, 8))] * 2, *(_image("cubin", arch) for arch in cubins.split())]
    findings = _check(images, _declared(cubins, "10.0", driver), tables)
    assert [(finding.rule, finding.severity) for finding in findings] == (
        [("ptx-driver", severity)] if severity else []
    )
