"""`gpuwheel inspect`: what is in a wheel, for people and machines, without a judgement."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner
from hostile import container, cubin, elf_library, entry
from small_wheels import small_wheel

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from typing import Any

_ZSTD = 0x8000
FATBINS = Path(__file__).resolve().parents[1] / "binary" / "fatbins"


def _wheel(folder: Path, name: str = "ops-1-py3-none-any.whl", **members: bytes) -> Path:
    info = "-".join(name.split("-")[:2]) + ".dist-info"
    texts = {
        f"{info}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\nRequires-Dist: torch>=2.10\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand (1)\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    path = folder / name
    write_wheel(path, [Member(name, data) for name, data in {**texts, **members}.items()])
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    code = container(entry(bytes(64), arch=80) + entry(bytes(128), arch=90) + entry(b"ptx" * 9, kind=1, arch=90))
    more = container(entry(bytes(32), arch=80, flags=_ZSTD))
    needs = {"memcpy": ("libc.so.6", "GLIBC_2.14"), "fma": ("libc.so.6", "GLIBC_2.9"), "free": None}
    library = elf_library(needs, exports=["PyInit__C"], sections={".nv_fatbin": code})
    return _wheel(tmp_path, **{"ops/_C.so": library, "ops/more.fatbin": more, "ops/__init__.py": b""})


def _document(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["inspect", "--json", *map(str, words)])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "inspect.schema.json").read_text(encoding="utf-8")))
    return document


def test_the_document_has_every_part(wheel: Path) -> None:
    (found,) = _document(wheel)["wheels"]
    assert (found["name"], found["version"]) == ("ops", "1")
    assert found["requires_dist"] == ["torch>=2.10"]
    assert found["tags"] == ["py3-none-any"]
    assert found["not_read"] == []
    (library,) = found["libraries"]
    assert library["needed"] == ["libc.so.6"]
    assert library["versions"] == {"libc.so.6": ["GLIBC_2.14", "GLIBC_2.9"]}
    assert (library["imported"], library["exported"]) == (3, 1)
    assert "exports" not in library
    code = {row["file"]: [(one["target"], one["images"]) for one in row["targets"]] for row in found["device_code"]}
    assert code == {"ops/_C.so": [("sm_80", 1), ("sm_90", 1), ("compute_90", 1)], "ops/more.fatbin": [("sm_80", 1)]}
    with zipfile.ZipFile(wheel) as archive:
        stated = {info.filename: (info.file_size, info.compress_size) for info in archive.infolist()}
    assert {row["name"]: (row["size"], row["packed"]) for row in found["members"]} == stated


def test_symbols_are_named_on_demand(wheel: Path) -> None:
    (library,) = _document("--symbols", wheel)["wheels"][0]["libraries"]
    assert library["exports"] == ["PyInit__C"]
    assert library["imports"] == ["fma", "free", "memcpy"]


def test_people_read_the_newest_version_of_each_family_and_all_code_added_up(wheel: Path) -> None:
    lines = CliRunner().invoke(main, ["inspect", str(wheel)]).stdout.splitlines()
    (versions,) = [line for line in lines if "versions" in line]
    assert versions.split() == ["versions", "GLIBC_2.14"]  # 2.9 is older, though "9" sorts behind "1"
    whole = lines[lines.index("  device code of the whole wheel") :]
    (sm_80,) = [line for line in whole if "sm_80" in line]
    assert "2 images" in sm_80
    assert "mixed" in sm_80
    assert not any(word in line for line in lines for word in ("error", "warning"))


def test_thousands_of_loose_files_are_one_row(tmp_path: Path) -> None:
    code = container(entry(bytes(8), arch=100))
    path = _wheel(tmp_path, **{f"ops/k/{number}.fatbin": code for number in range(40)})
    text = CliRunner().invoke(main, ["inspect", str(path)]).stdout
    assert "ops/k/ (40 files)" in text
    assert "40 images" in text
    assert "ops/k/7.fatbin" not in text
    assert len(_document(path)["wheels"][0]["device_code"]) == 40


def test_of_what_cannot_be_read_the_rest_is_told(tmp_path: Path) -> None:
    path = _wheel(tmp_path, **{"ops/_C.so": b"\x7fELF" + bytes(9), "ops/__init__.py": b""})
    (found,) = _document(path)["wheels"]
    assert found["requires_dist"] == ["torch>=2.10"]
    assert "ops/_C.so" in found["not_read"][0]
    assert "not read:" in CliRunner().invoke(main, ["inspect", str(path)]).stdout


def test_a_file_that_is_no_wheel_leaves_the_others_their_turn(tmp_path: Path) -> None:
    broken = tmp_path / "ops-1-py3-none-any.whl"
    broken.write_bytes(b"no archive")
    result = CliRunner().invoke(main, ["inspect", str(broken), str(small_wheel(tmp_path, "other"))])
    assert result.exit_code == 17
    assert "other 1.0" in result.stdout
    assert "is not a readable wheel" in result.stderr


def test_kernels_on_demand(tmp_path: Path) -> None:
    code = (FATBINS / "lz4.fatbin").read_bytes()
    path = _wheel(tmp_path, **{"ops/_C.so": elf_library({}, sections={".nv_fatbin": code})})
    assert "kernels" not in _document(path)["wheels"][0]
    (found,) = _document("--kernels", path)["wheels"]
    assert found["not_read"] == []
    assert {row["target"] for row in found["kernels"]} == {"sm_75", "sm_90a", "sm_100f", "sm_120"}
    assert all(row["registers"] > 0 and row["size"] > 0 for row in found["kernels"])
    text = CliRunner().invoke(main, ["inspect", "--kernels", str(path)]).stdout
    head = next(line for line in text.splitlines() if line.split()[:1] == ["sm_75"] and "sm_120" in line)
    assert head.split() == ["sm_75", "sm_120", "sm_90a", "sm_100f"]


def test_a_section_for_debuggers_that_takes_no_bytes_hides_no_kernel(tmp_path: Path) -> None:
    code = bytearray(cubin({"f": [(0, 8)]}))
    # The section of a kernel's constants, said to be shared memory of a gigabyte, as nvcc 11 says it for debuggers.
    headers, count = int.from_bytes(code[0x28:0x30], "little"), int.from_bytes(code[0x3C:0x3E], "little")
    row = next(
        at
        for at in range(headers, headers + 64 * count, 64)
        if code[at + 0x20 : at + 0x28] == (64).to_bytes(8, "little")
    )
    code[row + 4 : row + 8] = (0x7000000A).to_bytes(4, "little")
    code[row + 0x20 : row + 0x28] = (1 << 30).to_bytes(8, "little")
    path = _wheel(tmp_path, **{"ops/f.fatbin": container(entry(bytes(code), arch=80))})
    (found,) = _document("--kernels", path)["wheels"]
    assert found["not_read"] == []
    assert [row["symbol"] for row in found["kernels"]] == ["f"]


def test_of_kernels_that_cannot_be_read_the_rest_is_told(tmp_path: Path) -> None:
    code = container(entry(b"no cubin", arch=80)) + (FATBINS / "none.fatbin").read_bytes()
    path = _wheel(tmp_path, **{"ops/_C.so": elf_library({}, sections={".nv_fatbin": code})})
    (found,) = _document("--kernels", path)["wheels"]
    assert {row["target"] for row in found["kernels"]} == {"sm_75"}
    assert "sm_80" in found["not_read"][0]
