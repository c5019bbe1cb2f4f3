"""`gpuwheel diff`: what changed between two wheels."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import jsonschema
from click.testing import CliRunner
from hostile import container, cubin, elf_library, entry

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any


def _wheel(folder: Path, version: str, members: Mapping[str, bytes], requires: str = "torch>=2.10") -> Path:
    info = f"ops-{version}.dist-info"
    head = f"Metadata-Version: 2.2\nName: ops\nVersion: {version}\nRequires-Dist: {requires}\n"
    texts = {
        f"{info}/METADATA": head.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"ops-{version}-py3-none-any.whl"
    write_wheel(path, [Member(name, data) for name, data in {**texts, **members}.items()])
    return path


def _library(*archs: int, needed: str = "libc.so.6", exports: tuple[str, ...] = ()) -> bytes:
    code = container(b"".join(entry(bytes(8 * arch), arch=arch) for arch in archs))
    return elf_library({}, needed=[needed], exports=exports, sections={".nv_fatbin": code})


def _document(old: Path, new: Path, exit_code: int) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["diff", "--json", str(old), str(new)])
    assert result.exit_code == exit_code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "diff.schema.json").read_text(encoding="utf-8")))
    return document


def test_the_same_content_packed_differently_is_the_same(tmp_path: Path) -> None:
    one = _wheel(tmp_path, "1", {"ops/_C.so": _library(80)})
    other = tmp_path / "again" / one.name
    other.parent.mkdir()
    with zipfile.ZipFile(one) as source, zipfile.ZipFile(other, "w", zipfile.ZIP_STORED) as copy:
        for name in reversed(source.namelist()):
            copy.writestr(name, source.read(name))
    document = _document(one, other, exit_code=0)
    assert document["same"]
    assert document["old"]["sha256"] != document["new"]["sha256"]
    assert "packed differently" in CliRunner().invoke(main, ["diff", str(one), str(other)]).stdout
    assert "the same file" in CliRunner().invoke(main, ["diff", str(one), str(one)]).stdout


def test_every_kind_of_change_is_told(tmp_path: Path) -> None:
    old = _wheel(tmp_path, "1", {"ops/_C.so": _library(75, 80, exports=("f",)), "ops/a.py": b"1", "ops/b.py": b"2"})
    library = _library(80, 90, needed="libcudart.so.13", exports=("g",))
    new = _wheel(tmp_path, "2", {"ops/_C.so": library, "ops/a.py": b"3", "ops/c.py": b"2"}, "torch>=2.11")
    document = _document(old, new, exit_code=1)
    assert document["metadata"]["Requires-Dist"] == {"removed": ["torch>=2.10"], "added": ["torch>=2.11"]}
    changes = {row["name"]: row["change"] for row in document["members"]}
    # The folder of the metadata has another name, and WHEEL in it is the same.
    assert changes == {
        "ops-2.dist-info/METADATA": "changed",
        "ops-2.dist-info/RECORD": "changed",
        "ops/_C.so": "changed",
        "ops/a.py": "changed",
        "ops/b.py": "removed",
        "ops/c.py": "added",
    }
    (found,) = document["libraries"]
    assert found["changes"]["needed"] == {"removed": ["libc.so.6"], "added": ["libcudart.so.13"]}
    assert found["changes"]["exports"] == {"removed": ["f"], "added": ["g"]}
    code = {row["target"]: (bool(row["before"]), bool(row["after"])) for row in document["device_code"]}
    assert code == {"sm_75": (True, False), "sm_90": (False, True)}
    text = CliRunner().invoke(main, ["diff", str(old), str(new)]).stdout
    for word in ("- torch>=2.10", "+ torch>=2.11", "~ ops/_C.so", "+ ops/c.py", "- sm_75 cubin", "+ sm_90 cubin"):
        assert word in text


def test_a_library_is_the_same_one_under_the_name_of_another_python_or_digest(tmp_path: Path) -> None:
    names = ("ops/_C.cpython-311-x86_64-linux-gnu.so", "ops.libs/libgomp-a34b3233.so.1.0.0")
    others = ("ops/_C.cpython-312-x86_64-linux-gnu.so", "ops.libs/libgomp-98df74fd.so.1.1.0")
    old = _wheel(tmp_path, "1", dict.fromkeys(names, _library(80)))
    new = _wheel(tmp_path / "new", "1", dict.fromkeys(others, _library(80, needed="libm.so.6")))
    document = _document(old, new, exit_code=1)
    assert {(row["before"], row["after"]) for row in document["libraries"]} == set(zip(names, others, strict=True))


def test_another_order_of_what_is_needed_is_a_change(tmp_path: Path) -> None:
    old, new = (
        _wheel(tmp_path / str(place), "1", {"ops/_C.so": elf_library({}, needed=needed)})
        for place, needed in enumerate((["liba.so", "libb.so"], ["libb.so", "liba.so"]))
    )
    (library,) = _document(old, new, exit_code=1)["libraries"]
    assert library["changes"]["needed"] == {"removed": ["liba.so", "libb.so"], "added": ["libb.so", "liba.so"]}


def test_a_checksum_that_was_forged_hides_nothing(tmp_path: Path) -> None:
    # Two contents of one length and one CRC-32: the second is the first with the CRC's own polynomial laid over it.
    first = bytes(8)
    second = (0b1_11011011_01110001_00000110_01000001).to_bytes(5, "little") + bytes(3)
    import zlib  # noqa: PLC0415 (of this test alone)

    assert zlib.crc32(first) == zlib.crc32(second)
    old = _wheel(tmp_path / "old", "1", {"ops/data": first})
    new = _wheel(tmp_path / "new", "1", {"ops/data": second})
    assert {row["name"] for row in _document(old, new, exit_code=1)["members"]} >= {"ops/data"}


def test_long_lists_are_cut_unless_all_is_asked_for(tmp_path: Path) -> None:
    old = _wheel(tmp_path, "1", {})
    new = _wheel(tmp_path, "2", {f"ops/m{number}.py": b"" for number in range(60)})
    short = CliRunner().invoke(main, ["diff", str(old), str(new)]).stdout
    assert "more (--all shows them)" in short
    assert CliRunner().invoke(main, ["diff", "--all", str(old), str(new)]).stdout.count("ops/m") == 60


def test_kernels_that_cost_something_else(tmp_path: Path) -> None:
    codes = [cubin({"f": [(0, 8)], "g": [(0, 8)]}, registers) for registers in (32, 40)]
    old, new = (
        _wheel(tmp_path, str(place), {"ops/f.fatbin": container(entry(code, arch=90))})
        for place, code in enumerate(codes)
    )
    found = CliRunner().invoke(main, ["diff", "--json", "--kernels", str(old), str(new)])
    changes = {row["symbol"]: row for row in json.loads(found.stdout)["kernels"]}
    assert {name: row["before"]["registers"] for name, row in changes.items()} == {"f": 32, "g": 32}
    assert {name: row["after"]["registers"] for name, row in changes.items()} == {"f": 40, "g": 40}
    assert "~ sm_90 f  32 -> 40" in CliRunner().invoke(main, ["diff", "--kernels", str(old), str(new)]).stdout
    assert _document(old, new, exit_code=1)["kernels"] == []
