"""Whole wheels: what the audit says of them, and whether other tools accept what we write."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel, platform_tag
from gpuwheel.audit.repair.proved import Proof
from gpuwheel.binary.elf import read_elf
from gpuwheel.model.findings import Severity
from gpuwheel.model.pins import Pin, PinnedFile
from gpuwheel.model.toolchain import DeviceCompiler, HostCompiler, Toolchain, TorchSdk
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import Member, Packing, WheelEdits, edit_wheel, pack_wheel, read_wheel, toolchain_sbom, write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.compatibility import Tables

INFO = "fused_ops-1.0.dist-info"
MANIFEST: dict[str, Any] = {
    "schema": 1,
    "toolkit": "12.9",
    "driver_floor": "525",
    "groups": {
        "fused": {"archs": ["sm_75", "sm_90a", "sm_100f", "sm_120"], "ptx": ["compute_100"], "kernels": {}},
    },
}


@pytest.mark.compiler
def test_an_honest_wheel_has_no_errors(clean: Path, tmp_path: Path, tables: Tables) -> None:
    library = clean.read_bytes()
    tag = f"py3-none-{platform_tag([read_elf(library, '_C.so')], tables).tag}"
    members = {
        "fused_ops/_C.so": library,
        "fused_ops/_kernels.json": json.dumps(MANIFEST).encode(),
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: gpuwheel 1\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: fused-ops\nVersion: 1.0\nRequires-Dist: torch>=2.10\n",
    }
    path = tmp_path / f"fused_ops-1.0-{tag}.whl"
    write_wheel(path, [Member(*item) for item in members.items()])
    findings = audit_wheel(path, tables, max_size=10**6)
    # PTX beside a cubin for the same GPUs is worth a note, no more.
    assert [(finding.rule, finding.severity) for finding in findings] == [("ptx-driver", Severity.NOTE)]


# --- What other tools make of our wheels ---------------------------------------------------------------------------


@pytest.fixture
def pure(tmp_path: Path) -> Path:
    """A wheel that every machine installs, edited and written anew."""
    source = tmp_path / "source"
    source.mkdir()
    path = source / "fused_ops-1.0-py3-none-any.whl"
    wheel_file = b"Wheel-Version: 1.0\nGenerator: gpuwheel 1\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
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
        known = Proof("cccl", "3.0.1", 0.9, (("ops/_C.so", "CUB_300001_SM_800_NS"),))
        unknown = Proof(
            "cutlass", None, 0.9, (("ops/_C.so", "_ZN7cutlass6KernelE"), ("ops/_D.so", "_ZN7cutlass4gemmE"))
        )
        document["components"] += [known.component, unknown.component]
        assert [error.message for error in validator.iter_errors(document)] == []
