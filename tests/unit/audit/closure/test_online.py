"""`gpuwheel audit --online`: what the table does not have is read from the user's indexes, here a folder of wheels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from corpus.wheels import library, wheel

from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KERNELS = {"fast_kernels/lib/libfast.so.1": library(soname="libfast.so.1", exports=("fast",)), "ops/_C.so": None}


def _found(tmp_path: Path, *options: str) -> list[tuple[str, str]]:
    module = library(needed=("libfast.so.1", "libc.so.6"), runpath="$ORIGIN/../fast_kernels/lib")
    asking = wheel({"ops/_C.so": module}, requires=["fast-kernels>=2"])
    path = tmp_path / asking.name
    path.write_bytes(asking.data)
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "links"), "HOME": str(tmp_path)}
    result = CliRunner().invoke(main, ["audit", "--json", *options, str(path)], env=environ)
    document = json.loads(result.stdout)
    return [(it["rule"], it["severity"]) for it in document["wheels"][0]["findings"]]


def _offer(tmp_path: Path, version: str, files: dict[str, bytes | None], tag: str = "py3-none-any") -> None:
    offered = wheel(files, name="fast_kernels", version=version, tag=tag)
    (tmp_path / "links").mkdir(exist_ok=True)
    (tmp_path / "links" / offered.name).write_bytes(offered.data)


def test_what_nobody_looked_up_is_not_checked_until_the_index_is_asked(tmp_path: Path) -> None:
    _offer(tmp_path, "2.0", KERNELS)
    assert _found(tmp_path) == [("library-not-checked", "note")]
    assert _found(tmp_path, "--online") == []


@pytest.mark.parametrize(
    ("version", "files", "tag", "found"),
    [
        ("2.0", {"ops/_C.so": None}, "py3-none-any", [("missing-library", "error")]),
        # None of these is installed beside the wheel, so that nothing is known.
        ("1.9", KERNELS, "py3-none-any", [("library-not-checked", "note")]),
        ("2.0", KERNELS, "cp39-cp39-manylinux_2_17_x86_64", [("library-not-checked", "note")]),
        ("2.0", KERNELS, "py3-none-manylinux_2_17_aarch64", [("library-not-checked", "note")]),
        ("2.0", KERNELS, "cp310-abi3-manylinux_2_17_x86_64", []),
    ],
)
def test_the_index_answers_for_what_is_installed(
    tmp_path: Path, version: str, files: dict[str, bytes | None], tag: str, found: list[tuple[str, str]]
) -> None:
    _offer(tmp_path, version, files, tag)
    assert _found(tmp_path, "--online") == found


def test_the_newest_and_the_oldest_are_read(tmp_path: Path) -> None:
    _offer(tmp_path, "2.0", {"ops/_C.so": None})
    _offer(tmp_path, "2.1", KERNELS)
    assert _found(tmp_path, "--online") == [("missing-library", "warning")]


def test_a_wheel_that_cannot_be_read_is_not_checked(tmp_path: Path) -> None:
    _offer(tmp_path, "2.0", KERNELS)
    (damaged,) = (tmp_path / "links").iterdir()
    damaged.write_bytes(b"PK")
    assert _found(tmp_path, "--online") == [("library-not-checked", "note")]
