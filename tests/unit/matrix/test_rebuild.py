"""What differs between a wheel and its rebuild, and why; which wheels say what they were built from."""

from __future__ import annotations

import json
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hostile import container, elf_library, entry

from gpuwheel.errors import LockError
from gpuwheel.matrix.rebuild.differences import differences
from gpuwheel.matrix.rebuild.proofs import Recorded, check_files, check_given, recorded
from gpuwheel.wheel import Member, Packing, pack_wheel, write_wheel
from gpuwheel.wheel.archive import sealed_members
from gpuwheel.wheel.sdist_tree import archive_digest, folder_digest

if TYPE_CHECKING:
    from pathlib import Path

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-linux_x86_64.whl"
SECTIONS = {
    ".text": b"\x90" * 16,
    ".rodata": b"text\0",
    ".comment": b"GCC: (Debian 12.2.0) 12.2.0\0",
    ".nv_fatbin": container(entry(bytes(64))),
    ".note.gnu.build-id": b"1234",
}


def wheel(folder: Path, *, further: dict[str, bytes] | None = None, **sections: bytes) -> Path:
    named = {f".{name.removeprefix('.')}": data for name, data in sections.items()}
    files = {
        "ops/_C.so": elf_library({}, sections={**SECTIONS, **named}),
        "ops/__init__.py": b"x = 1\n" * 200,
        f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: gpuwheel 1\nRoot-Is-Purelib: false\n",
        **(further or {}),
    }
    folder.mkdir()
    write_wheel(folder / NAME, [Member(name, data) for name, data in files.items()])
    return folder / NAME


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, []),
        ({"rodata": b"/builds/1234/ops/csrc\0"}, [(".rodata", "build-path")]),
        ({"rodata": b"Nov 30 2026 18:00:00\0"}, [(".rodata", "time-stamp")]),
        ({"text": b"\x91" * 16}, [(".text", "compiler")]),
        ({"nv_fatbin": container(entry(b"\1" * 64))}, [(".nv_fatbin", "toolkit")]),
        # Another compiler: that explains the code too.
        ({"comment": b"GCC: 13\0", "text": b"\x91" * 20}, [(".comment", "compiler"), (".text", "compiler")]),
        # The build ID follows from whatever else differs.
        ({"rodata": b"/builds/ops/csrc\0", ".note.gnu.build-id": b"5678"}, [(".rodata", "build-path")]),
    ],
)
def test_a_library_is_compared_by_its_sections(
    tmp_path: Path, sections: dict[str, bytes], expected: list[tuple[str, str]]
) -> None:
    found = differences(wheel(tmp_path / "a"), wheel(tmp_path / "b", **sections))
    assert [(one.section, one.cause) for one in found] == expected
    assert {one.member for one in found} <= {"ops/_C.so"}


def test_files_that_came_or_changed_are_told(tmp_path: Path) -> None:
    one = wheel(tmp_path / "a", further={"ops/a.py": b"a\n"})
    other = wheel(tmp_path / "b", further={"ops/b.py": b"b\n", "ops/__init__.py": b"# 2026-11-30\n"})
    found = {one.member: one.cause for one in differences(one, other)}
    assert found == {"ops/a.py": "sources", "ops/b.py": "sources", "ops/__init__.py": "time-stamp"}


def test_what_is_only_packed_otherwise_is_no_other_content(tmp_path: Path) -> None:
    one = wheel(tmp_path / "a")
    with zipfile.ZipFile(one) as archive:
        members = [Member(name, archive.read(name)) for name in archive.namelist()]
    sealed = sealed_members(members, NAME).values()
    ways = [({"packing": Packing(level=1)}, "deflate"), ({"epoch": 10**9}, "time-stamp")]
    for place, (how, cause) in enumerate(ways):
        other = tmp_path / str(place) / NAME
        other.parent.mkdir()
        pack_wheel(sealed, **how).write(other)  # type: ignore[arg-type]
        found = differences(one, other)
        assert [one.cause for one in found] == [cause]
        assert not any(one.is_content for one in found)


def test_an_sdist_and_its_folder_have_one_digest_and_a_checkout_has_none(tmp_path: Path) -> None:
    root = tmp_path / "ops-1"
    (root / "csrc").mkdir(parents=True)
    (root / "csrc" / "a.cu").write_text("int x;", encoding="utf-8")
    assert folder_digest(root) is None
    (root / "PKG-INFO").write_text("Metadata-Version: 2.2\n", encoding="utf-8")
    (root / "link").symlink_to("csrc/a.cu")
    sdist = tmp_path / "ops-1.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(root, "ops-1")
    assert folder_digest(root) == archive_digest(sdist)
    (root / "lock").write_text("x", encoding="utf-8")
    assert folder_digest(root) != archive_digest(sdist)
    assert folder_digest(root, without={"lock"}) == archive_digest(sdist)


def test_a_wheel_that_says_nothing_of_its_build_cannot_be_rebuilt(tmp_path: Path) -> None:
    path = wheel(tmp_path / "a")
    with pytest.raises(LockError, match="does not say"):
        recorded(path)
    bill = {"metadata": {"timestamp": "2026-11-30T18:00:00Z", "properties": []}, "components": []}
    told = wheel(tmp_path / "b", further={f"{INFO}/sboms/gpuwheel.cdx.json": json.dumps(bill).encode()})
    facts = recorded(told)
    assert (facts.sdist, facts.lock, facts.epoch) == (None, None, 1796061600)
    with pytest.raises(LockError, match="from which sdist"):
        check_files(NAME, facts, path, path)


def told(folder: Path, *properties: tuple[str, str]) -> Recorded:
    bill = {"metadata": {"properties": [{"name": f"gpuwheel:{name}", "value": value} for name, value in properties]}}
    text = json.dumps({**bill, "components": []}).encode()
    return recorded(wheel(folder, further={f"{INFO}/sboms/gpuwheel.cdx.json": text}))


def test_the_settings_of_a_build_are_those_that_the_wheel_has(tmp_path: Path) -> None:
    facts = told(
        tmp_path / "a",
        ("cell", "embed-cu12.9-linux_x86_64"),
        ("config-setting", "gpuwheel.archs=9.0"),
        ("config-setting", "cmake.args=-DA=1"),
        ("config-setting", "cmake.args=-DB=2"),
        ("environment", "CXXFLAGS=-O3"),
    )
    assert facts.settings == {
        "gpuwheel.only": "embed-cu12.9-linux_x86_64",
        "gpuwheel.archs": "9.0",
        "cmake.args": ["-DA=1", "-DB=2"],
    }
    check_given(NAME, facts, {}, {})


def test_what_a_wheel_withholds_has_to_be_given(tmp_path: Path) -> None:
    facts = told(tmp_path / "a", ("withheld", "-C cmake.define.SDK"), ("withheld", "CXXFLAGS"))
    for settings, variables, missing in (
        ({}, {"CXXFLAGS": "-I/x"}, "-C cmake.define.SDK"),
        ({"cmake.define.SDK": "/x"}, {}, "CXXFLAGS"),
    ):
        with pytest.raises(LockError, match="no value") as caught:
            check_given(NAME, facts, settings, variables)
        assert missing in caught.value.message
        assert f"{missing}=VALUE" in (caught.value.hint or "")
    check_given(NAME, facts, {"cmake.define.SDK": "/x"}, {"CXXFLAGS": "-I/x"})


@pytest.mark.parametrize("told_as", ["environment", "withheld"])
@pytest.mark.parametrize(
    "variable", ["LD_PRELOAD", "AWS_SECRET_ACCESS_KEY", "PIP_INDEX_URL", "GPUWHEEL_REMOTE_KEY", "PATH"]
)
def test_a_wheel_cannot_ask_for_variables_that_no_build_records(tmp_path: Path, told_as: str, variable: str) -> None:
    value = variable if told_as == "withheld" else f"{variable}=x"
    with pytest.raises(LockError, match="no build records"):
        check_given(NAME, told(tmp_path / "a", (told_as, value)), {}, {variable: "hunter2"})


def test_a_bill_that_was_told_something_else_differs_by_its_settings(tmp_path: Path) -> None:
    def of(folder: str, value: str) -> Path:
        properties = [{"name": "gpuwheel:config-setting", "value": value}]
        text = json.dumps({"metadata": {"properties": properties}, "components": []}).encode()
        return wheel(tmp_path / folder, further={f"{INFO}/sboms/gpuwheel.cdx.json": text})

    assert [one.cause for one in differences(of("a", "gpuwheel.archs=8.0"), of("b", "gpuwheel.archs=9.0"))] == [
        "settings"
    ]
