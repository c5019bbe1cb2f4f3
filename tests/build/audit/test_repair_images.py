"""Device code taken out and compressed, in libraries and in files of its own, beside NVIDIA's tools."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from typing import TYPE_CHECKING

import pytest
from hostile import container, elf_library, entry

from gpuwheel._run import run
from gpuwheel.audit.repair import Act, EditsAsked, RepairRequest, repaired
from gpuwheel.binary.fatbin import read_fatbin
from gpuwheel.binary.fatbin_edit import compressed, containers, raw_image
from gpuwheel.errors import AuditError
from gpuwheel.model.versions import DriverVersion
from gpuwheel.wheel import Member, read_members, write_wheel

from .conftest import CLEAN, FATBINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel.compatibility import Tables

    from .conftest import Compiler

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-linux_x86_64.whl"


def code(seed: int, size: int = 4000) -> bytes:
    """An image that compresses."""
    return b"".join(struct.pack("<I", seed * index) + bytes(12) for index in range(size // 16))


def wheel(folder: Path, files: Mapping[str, bytes]) -> Path:
    texts = {
        f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n",
    }
    write_wheel(folder / NAME, [Member(name, data) for name, data in {**files, **texts}.items()])
    return folder / NAME


def plain(path: Path, file: Path) -> bytes:
    """A fatbin with its images as they are before compression."""
    with path.open("rb") as stream:
        (found,) = containers(stream, 0, path.stat().st_size)
        entries = b""
        for one in found:
            raw = raw_image(stream, one)
            fields = list(one.fields)
            padded = raw + bytes(-len(raw) % 8)
            fields[3], fields[4], fields[13] = len(padded), 0, 0
            fields[11] &= ~0xE000
            stream.seek(one.at + 64)
            entries += struct.pack("<HHIQIIHHIIIQQQ", *fields) + stream.read(one.header_size - 64) + padded
    file.write_bytes(container(entries))
    return file.read_bytes()


def asked(**edits: object) -> RepairRequest:
    return RepairRequest(edits=EditsAsked(**edits), graft=False)  # type: ignore[arg-type]


COMPRESS = asked(compress=True, driver=DriverVersion.parse("550.54"))


def test_what_is_compressed_is_as_nvfatbin_compresses_it(tmp_path: Path) -> None:
    path = tmp_path / "plain.fatbin"
    before = plain(FATBINS / "zstd.fatbin", path)
    assert {image.codec for image in read_fatbin(before, "x")} == {"none"}
    with path.open("r+b") as file:
        (found,) = containers(file, 0, len(before))
        done = compressed(file, found)
    after = path.read_bytes()
    assert (done.images, len(after)) == (len(found), len(before))
    assert after[-done.size :] == bytes(done.size)
    with path.open("rb") as file, (FATBINS / "zstd.fatbin").open("rb") as theirs:
        (ours,), (expected,) = (containers(one, 0, one.seek(0, 2)) for one in (file, theirs))
        for mine, other in zip(ours, expected, strict=True):
            # Kind, options, arch, name and flags; sizes differ with the release of zstd.
            assert [mine.fields[i] for i in (0, 2, 5, 8, 9, 10, 11)] == [
                other.fields[i] for i in (0, 2, 5, 8, 9, 10, 11)
            ]
            assert mine.fields[3] - mine.fields[4] in range(8)
            assert raw_image(file, mine).rstrip(b"\0") == raw_image(theirs, other).rstrip(b"\0")
            assert mine.size < other.size * 1.02


def test_what_is_compressed_by_lz4_is_compressed_by_zstd(tmp_path: Path) -> None:
    path = tmp_path / "a.fatbin"
    path.write_bytes((FATBINS / "lz4.fatbin").read_bytes())
    with path.open("r+b") as file, (FATBINS / "zstd.fatbin").open("rb") as theirs:
        (found,), (expected,) = (tuple(containers(one, 0, one.seek(0, 2))) for one in (file, theirs))
        done = compressed(file, found)
        (after,) = containers(file, 0, file.seek(0, 2))
        assert (done.images, {image.codec for image in read_fatbin(path.read_bytes(), "x")}) == (len(found), {"zstd"})
        for mine, other in zip(after, expected, strict=True):
            assert [field for place, field in enumerate(mine.fields) if place not in {3, 4}] == [
                field for place, field in enumerate(other.fields) if place not in {3, 4}
            ]
            assert raw_image(file, mine) == raw_image(theirs, other)
        again = compressed(file, after)
        assert (again.images, again.size) == (0, 0)


def test_an_image_that_lz4_cannot_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.fatbin"
    data = bytearray((FATBINS / "lz4.fatbin").read_bytes())
    with (FATBINS / "lz4.fatbin").open("rb") as file:
        (found,) = containers(file, 0, len(data))
    for at in (found[0].at + found[0].header_size, found[1].at + found[1].size - 9):
        data[at : at + 9] = b"\xff" * 9
    path.write_bytes(data)
    with path.open("r+b") as file:
        done = compressed(file, found)
        (after,) = containers(file, 0, len(data))
    assert done.images == len(found) - sum(one.codec == other.codec for one, other in zip(found, after, strict=True))
    assert after[0].fields == found[0].fields


@pytest.mark.compiler
@pytest.mark.network
def test_cuobjdump_finds_the_same_code_in_what_is_left(
    compiler: Compiler, from_index: Callable[[str], Path], tables: Tables, tmp_path: Path
) -> None:
    (cuobjdump,) = from_index("nvidia-cuda-cuobjdump").glob("nvidia/*/bin/cuobjdump")
    row = tmp_path / "row.fatbin"
    first = plain(FATBINS / "zstd.fatbin", row)
    none, lz4 = ((FATBINS / name).read_bytes() for name in ("none.fatbin", "lz4.fatbin"))
    row.write_bytes(b"".join(one + bytes(-len(one) % 64) for one in (first, none, lz4)))
    library = compiler.library("row", CLEAN, fatbin=str(row))

    def extracted(path: Path) -> list[tuple[str, bytes]]:
        folder = path.parent / f"{path.name}.images"
        folder.mkdir()
        run([cuobjdump, "--extract-elf", "all", "--extract-ptx", "all", path], cwd=folder)
        images = (re.search(r"((?:sm|compute)_\d+\w*)\.(?:cubin|ptx)", file.name) for file in folder.iterdir())
        names = [match[1] for match in images if match]
        return sorted(zip(names, (file.read_bytes() for file in folder.iterdir()), strict=True))

    before = extracted(library)
    request = asked(compress=True, drop=("sm_90a",), driver=DriverVersion.parse("550.54"), allow_holes=True)
    result = repaired(wheel(tmp_path, {"ops/_C.so": library.read_bytes()}), tmp_path / "out", request, tables)
    assert result.path is not None
    mended = tmp_path / "mended.so"
    mended.write_bytes(read_members(result.path)["ops/_C.so"].data)
    assert extracted(mended) == [image for image in before if image[0] != "sm_90a"]
    assert {edit.kind for edit in result.edits} >= {"compress", "drop-arch"}
    again = repaired(result.path, tmp_path / "again", request, tables)
    assert (again.act, again.edits) == (Act.KEPT, ())


def test_a_file_of_device_code_shrinks_in_its_place(tmp_path: Path, tables: Tables) -> None:
    one = container(entry(code(1), arch=80) + entry(code(2), arch=86) + entry(code(3), arch=80, kind=1))
    two = container(entry(code(4), arch=80) + entry(code(5), arch=90, flags=0x100000))
    row = one + bytes(-len(one) % 64) + two
    path = wheel(tmp_path, {"ops/fused.fatbin": row})
    result = repaired(path, tmp_path / "out", asked(drop=("8.6",)), tables)
    assert result.path is not None
    data = read_members(result.path)["ops/fused.fatbin"].data
    assert [str(image) for image in read_fatbin(data, "x")] == ["sm_80", "compute_80", "sm_80", "sm_90a"]
    second = len(one) + -len(one) % 64
    assert data[second:] == two  # where it was, as it was
    assert data[16 : 16 + 64 + 4000] == one[16 : 16 + 64 + 4000]
    small = repaired(path, tmp_path / "small", COMPRESS, tables)
    assert small.path is not None
    made = read_members(small.path)["ops/fused.fatbin"].data
    assert {image.codec for image in read_fatbin(made, "x")} == {"zstd"}
    assert second < len(made) < second + len(two) // 2  # nothing is behind the last one that zeros would keep in place
    assert small.path.stat().st_size < path.stat().st_size


@pytest.mark.parametrize(
    ("drop", "said"),
    [("sm_80", "sm_86"), ("compute_90", "sm_100"), ("sm_75", "nothing but sm_75")],
)
def test_a_gpu_left_without_code_is_an_error(tmp_path: Path, tables: Tables, drop: str, said: str) -> None:
    whole = container(entry(code(1), arch=80) + entry(code(2), arch=90) + entry(code(3), arch=90, kind=1))
    alone = container(entry(code(4), arch=75))
    path = wheel(tmp_path, {"ops/fused.fatbin": whole, "ops/old.fatbin": alone})
    with pytest.raises(AuditError, match=said):
        repaired(path, tmp_path / "out", asked(drop=(drop,)), tables)
    assert not (tmp_path / "out").exists()
    if drop != "sm_75":
        assert repaired(path, tmp_path / "out", asked(drop=(drop,), allow_holes=True), tables).act is Act.EDITED
    assert repaired(path, tmp_path / "kept", asked(drop=("sm_121",)), tables).act is Act.KEPT


def test_the_manifest_declares_what_is_left(tmp_path: Path, tables: Tables) -> None:
    cost = {"bytes": 1, "registers": 1, "shared": 0, "local": 0}
    group = {"archs": ["sm_80", "sm_86"], "ptx": ["compute_80"], "kernels": {"f": {"sm_80": cost, "sm_86": cost}}}
    document = {"schema": 1, "toolkit": "12.9", "driver_floor": "525", "groups": {"fused": group}}
    fatbin = container(entry(code(1), arch=80) + entry(code(2), arch=86) + entry(code(3), arch=80, kind=1))
    files = {"ops/fused.fatbin": fatbin, "ops/_kernels.json": json.dumps(document).encode()}
    result = repaired(wheel(tmp_path, files), tmp_path / "out", asked(drop=("sm_86",)), tables)
    assert result.path is not None
    left = json.loads(read_members(result.path)["ops/_kernels.json"].data)["groups"]["fused"]
    assert left == {"archs": ["sm_80"], "ptx": ["compute_80"], "kernels": {"f": {"sm_80": cost}}}
    assert not [found for found in result.findings if found.rule.startswith("arch-")]


def test_older_drivers_keep_what_they_read(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path, {"ops/fused.fatbin": container(entry(code(1), arch=80))})
    for stated in (None, DriverVersion.parse("525")):
        with pytest.raises(AuditError, match=r"550\.54") as caught:
            repaired(path, tmp_path / "out", asked(compress=True, driver=stated), tables)
        assert "--driver 550.54" in str(caught.value.hint)


def test_a_bill_of_materials_says_what_is_known(tmp_path: Path, tables: Tables) -> None:
    library = elf_library(
        {},
        sections={".nv_fatbin": container(entry(code(1), arch=80) + entry(code(2), arch=86)), ".comment": b"GCC: 12\0"},
    )
    path = wheel(tmp_path, {"ops/_C.so": library, "ops.libs/libz-12345678.so.1": elf_library({})})
    result = repaired(path, tmp_path / "out", asked(sbom=True, drop=("sm_86",)), tables)
    assert result.path is not None
    members = read_members(result.path)
    bill = json.loads(members[f"{INFO}/sboms/gpuwheel-repair.cdx.json"].data)
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", "1")
    found = {one["name"]: one for one in bill["components"]}
    for name in ("ops/_C.so", "ops.libs/libz-12345678.so.1"):
        assert found[name]["hashes"][0]["content"] == hashlib.sha256(members[name].data).hexdigest()
    facts = {(one["name"], one["value"]) for one in found["ops/_C.so"]["properties"]}
    assert facts >= {("gpuwheel:compiler", "GCC: 12"), ("gpuwheel:device-code", "sm_80")}
    assert ("gpuwheel:device-code", "sm_86") not in facts
    copied = {"name": "gpuwheel:copied-by", "value": "auditwheel"}
    assert copied in found["ops.libs/libz-12345678.so.1"]["properties"]
    again = repaired(result.path, tmp_path / "again", asked(sbom=True, drop=("sm_86",)), tables)
    assert (again.act, again.edits) == (Act.KEPT, ())
