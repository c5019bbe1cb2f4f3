"""Whole wheels: what the audit says of them, and whether other tools accept what we write."""

from __future__ import annotations

import json
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel, platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Severity
from gpuwheel.model.pins import Pin, PinnedFile
from gpuwheel.model.toolchain import DeviceCompiler, HostCompiler, Toolchain, TorchSdk
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import Member, Packing, WheelEdits, edit_wheel, pack_wheel, read_wheel, toolchain_sbom, write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding

INFO = "fused_ops-1.0.dist-info"
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "toolkit": "12.9",
    "driver_floor": "525",
    "groups": {
        "fused": {"archs": ["sm_75", "sm_90a", "sm_100f", "sm_120"], "ptx": ["compute_100"], "kernels": {}},
    },
}
METADATA = "Metadata-Version: 2.2\nName: fused-ops\nVersion: 1.0\nRequires-Dist: {torch}\n"


class Wheels:
    """Writes wheels around one library, changed in one place each."""

    def __init__(self, folder: Path, library: bytes, platform: str) -> None:
        self.folder = folder
        self.library = library
        self.platform = platform

    def write(
        self, *, torch: str = "torch>=2.10", manifest: object = MANIFEST, platform: str = "", **files: bytes
    ) -> Path:
        """A wheel; `files` are further members."""
        tag = f"py3-none-{platform or self.platform}"
        members = {
            "fused_ops/__init__.py": b"",
            "fused_ops/_C.so": self.library,
            f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
            f"{INFO}/METADATA": METADATA.format(torch=torch).encode(),
        }
        if manifest is not None:
            members["fused_ops/_kernels.json"] = json.dumps(manifest).encode()
        path = self.folder / f"fused_ops-1.0-{tag}.whl"
        write_wheel(path, [Member(*item) for item in {**members, **files}.items()])
        return path


@pytest.fixture
def wheels(tmp_path: Path, clean: Path, tables: Tables) -> Wheels:
    library = clean.read_bytes()
    return Wheels(tmp_path, library, platform_tag([read_elf(library, "_C.so")], tables).tag)


def _errors(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in findings if finding.severity is Severity.ERROR]


@pytest.mark.compiler
def test_an_honest_wheel_has_no_errors(wheels: Wheels, tables: Tables) -> None:
    findings = audit_wheel(wheels.write(), tables, max_size=10**6)
    # PTX beside a cubin for the same GPUs is worth a note, no more.
    assert [(finding.rule, finding.severity) for finding in findings] == [("ptx-driver", Severity.NOTE)]


def _with(**changes: object) -> dict[str, Any]:
    return {**MANIFEST, **changes}


def _group(**changes: object) -> dict[str, Any]:
    return _with(groups={"fused": {**MANIFEST["groups"]["fused"], **changes}})


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"torch": "numpy"}, ["torch-requirement"]),
        ({"torch": "torch"}, ["torch-requirement"]),
        ({"torch": "torch<3"}, ["torch-requirement"]),
        ({"torch": "torch>=2.10; extra == 'gpu'"}, ["torch-requirement"]),
        ({"torch": "torch>=2.11,!=2.12.0"}, []),
        ({"torch": "torch==2.13.*"}, []),
        ({"manifest": _group(archs=["sm_75"])}, ["arch-undeclared"]),
        ({"manifest": _group(archs=[*MANIFEST["groups"]["fused"]["archs"], "sm_80"])}, ["arch-missing"]),
        ({"manifest": _group(ptx=[])}, ["arch-undeclared"]),
        ({"manifest": _with(driver_floor="x")}, ["manifest"]),
        ({"manifest": _with(schema=2)}, ["manifest"]),
        ({"manifest": []}, ["manifest"]),
        ({"platform": "manylinux_2_5_x86_64"}, ["platform-tag"]),
        ({"platform": "manylinux_2_28_s390x"}, ["platform-tag"]),
        ({"platform": "manylinux_2_40"}, ["platform-tag"]),
        ({"platform": "any"}, ["platform-tag"]),
        ({"fused_ops/libcuda.so.1": b""}, ["vendored-driver"]),
        ({"fused_ops.libs/libcuda-0123abcd.so.1": b""}, ["vendored-driver"]),
    ],
    ids=str,
)
def test_each_false_claim_is_found(wheels: Wheels, tables: Tables, changes: dict[str, Any], rules: list[str]) -> None:
    assert sorted(set(_errors(audit_wheel(wheels.write(**changes), tables)))) == rules


@pytest.mark.compiler
def test_a_floor_below_a_shim_is_found_in_the_metadata(wheels: Wheels, tables: Tables) -> None:
    shim = tables.shims["torch_call_dispatcher"]
    older = f"torch>={shim.since.major}.{shim.since.minor - 1}"
    findings = audit_wheel(wheels.write(torch=older), tables)
    assert _errors(findings) == ["torch-floor"]
    assert "torch_call_dispatcher" in findings[0].problem


@pytest.mark.compiler
def test_warnings_come_after_errors(wheels: Wheels, tables: Tables) -> None:
    machine = wheels.platform.split("_", 3)[-1]
    findings = audit_wheel(wheels.write(platform=f"linux_{machine}", manifest=None, torch="numpy"), tables)
    assert [(finding.rule, finding.severity.value) for finding in findings] == [
        ("torch-requirement", "error"),
        ("platform-local", "warning"),
        ("manifest-missing", "warning"),
    ]


@pytest.mark.compiler
def test_a_wheel_above_its_budget_says_what_takes_the_space(wheels: Wheels, tables: Tables) -> None:
    (finding,) = (f for f in audit_wheel(wheels.write(), tables, max_size=1000) if f.rule == "size-budget")
    assert "expected 0.00 MB or less" in finding.problem
    assert "sm_120 0.00 MB" in finding.problem


@pytest.mark.compiler
def test_a_wheel_changed_by_hand_is_found(wheels: Wheels, tables: Tables) -> None:
    path = wheels.write()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fused_ops/late.py", b"")
    assert _errors(audit_wheel(path, tables)) == ["record"]
    other = path.rename(path.with_name(path.name.replace("py3", "cp311")))
    assert sorted(_errors(audit_wheel(other, tables))) == ["record", "tag-mismatch"]


@pytest.mark.compiler
def test_a_damaged_library_or_requirement_is_an_error_with_its_name(wheels: Wheels, tables: Tables) -> None:
    with pytest.raises(AuditError, match=r"fused_ops/bad\.so is not a readable ELF file"):
        audit_wheel(wheels.write(**{"fused_ops/bad.so": wheels.library[:5000]}), tables)
    with pytest.raises(AuditError, match="'torch 2' is not a requirement"):
        audit_wheel(wheels.write(torch="torch 2"), tables)


# --- What other tools make of our wheels ---------------------------------------------------------------------------


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """A wheel that every machine installs, edited and written anew."""
    source = tmp_path / "source"
    source.mkdir()
    path = source / "fused_ops-1.0-py3-none-any.whl"
    wheel_file = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = [
        Member("fused_ops/__init__.py", b"answer = 42\n"),
        Member("fused_ops/\u00e9t\u00e9.txt", b"ete"),
        Member("fused_ops/data.bin", bytes(100_000)),
        Member("fused_ops-1.0.data/scripts/fused", b"#!python\nprint('fused')\n", executable=True),
        Member(f"{INFO}/WHEEL", wheel_file),
        Member(f"{INFO}/METADATA", b"Metadata-Version: 2.2\nName: fused-ops\nVersion: 1.0\n"),
    ]
    write_wheel(path, members)
    edits = WheelEdits(files={"sboms/x.cdx.json": b"{}"}, generator="gpuwheel 0")
    wheel = edit_wheel(read_wheel(path), edits)
    pack_wheel(wheel.members.values(), packing=Packing(threads=2)).write(tmp_path / str(wheel.name))
    return tmp_path / str(wheel.name)


@pytest.mark.parametrize(
    "installer",
    [[sys.executable, "-m", "pip", "--isolated"], ["uv", "pip"]],
    ids=["pip", "uv"],
)
def test_installers_accept_our_wheels(pure: Path, tmp_path: Path, installer: list[str]) -> None:
    site = tmp_path / "site"
    run([*installer, "install", "--no-index", "--no-deps", "--target", site, pure])
    assert run([sys.executable, "-c", "import fused_ops; print(fused_ops.answer)"], env={"PYTHONPATH": str(site)}
               ).stdout.strip() == "42"  # fmt: skip
    assert (site / "fused_ops" / "\u00e9t\u00e9.txt").read_bytes() == b"ete"
    assert (site / INFO / "sboms" / "x.cdx.json").exists()


def test_zipfile_accepts_our_wheels(pure: Path) -> None:
    assert "Done testing" in run([sys.executable, "-m", "zipfile", "-t", pure]).stdout


@pytest.mark.network
def test_wheel_unpack_accepts_our_wheels(pure: Path, tmp_path: Path, from_index: Callable[[str], Path]) -> None:
    site = from_index("wheel")
    run(
        [sys.executable, "-m", "wheel", "unpack", "--dest", tmp_path / "unpacked", pure],
        env={"PYTHONPATH": f"{site}:{from_index('packaging')}"},
    )
    assert (tmp_path / "unpacked" / "fused_ops-1.0" / "fused_ops" / "__init__.py").exists()


@pytest.mark.network
def test_the_bill_of_materials_is_valid_cyclonedx(tmp_path: Path, from_index: Callable[[str], Path]) -> None:
    schemas = from_index("cyclonedx-python-lib") / "cyclonedx" / "schema" / "_res"
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(json.loads((schemas / file).read_text(encoding="utf-8"))))
        for name, file in [
            ("http://cyclonedx.org/schema/spdx.schema.json", "spdx.SNAPSHOT.schema.json"),
            ("http://cyclonedx.org/schema/jsf-0.82.schema.json", "jsf-0.82.SNAPSHOT.schema.json"),
        ]
    )
    schema = json.loads((schemas / "bom-1.6.SNAPSHOT.schema.json").read_text(encoding="utf-8"))
    pin = Pin("nvidia-cuda-nvrtc-cu12", "12.9.86", (PinnedFile("nvrtc.whl", "ab" * 32, 10),))
    toolchain = Toolchain(
        device=DeviceCompiler(MinorVersion(12, 9), (pin.requirement,), (), tmp_path, tmp_path, (), "", "test"),
        torch=TorchSdk("2.15.0", tmp_path, tmp_path, "cd" * 32, "test"),
        host=HostCompiler(tmp_path, "g++ 12", "x86_64-linux-gnu", "test"),
    )
    validator = Draft7Validator(schema, registry=registry)
    for epoch in (None, 1763776800):
        document = json.loads(toolchain_sbom(toolchain, "fused-ops", epoch, [pin]))
        assert [error.message for error in validator.iter_errors(document)] == []
