"""The stable ABI, beside abi3audit and the table that it goes by: what that finds, the audit finds."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hostile import elf_library

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility.exports.python_abi import load_python_abi
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gpuwheel.compatibility import Tables

pytestmark = pytest.mark.network

INFO = "ops-1.dist-info"
OUTSIDE = (
    *("PyFrame_GetBack", "_PyObject_MakeTpCall", "_Py_CheckFunctionResult", "PyGILState_Check", "PyUnicode_AsUTF8"),
    *("Py_CompileStringExFlags", "PyCode_New", "_PyLong_AsByteArray", "PyDict_SetItem_KnownHash", "PyCFunction_New"),
)
"""Functions of which some are stable (PyCFunction_New)."""


@pytest.fixture(scope="module")
def abi3audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed abi3audit, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("abi3audit")
    run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", folder, "abi3audit"])
    return folder


def _environ(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site)}


def _stable_of(site: Path) -> dict[str, str]:
    """Every name of abi3audit's table that a Python on Linux has, and since when it is stable."""
    code = (
        "import json; from abi3info import DATAS, FUNCTIONS; "
        "print(json.dumps({one.name: str(row.added) for t in (FUNCTIONS, DATAS) for one, row in t.items()"
        " if not row.ifdef or row.ifdef.name not in ('MS_WINDOWS', 'USE_STACKCHECK', 'Py_REF_DEBUG')}))"
    )
    names: dict[str, str] = json.loads(run([sys.executable, "-c", code], env=_environ(site)).stdout)
    return names


def _told(site: Path, path: Path) -> tuple[set[str], set[str]]:
    """What abi3audit says of a module for 3.10 and later: names outside of the stable ABI, and names that are newer."""
    words = ["--assume-minimum-abi3", "3.10", "--report", path]
    done = run([sys.executable, "-m", "abi3audit", *words], env=_environ(site), check=False)
    result = json.loads(done.stdout)["specs"][str(path)]["object"]["result"]
    return set(result["non_abi3_symbols"]), set(result["future_abi3_objects"])


def _found(folder: Path, data: bytes, tables: Tables) -> tuple[set[str], set[str]]:
    """The same by the audit."""
    path = folder / "ops-1-cp310-abi3-manylinux_2_17_x86_64.whl"
    texts = {
        f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\nRequires-Python: >=3.10\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp310-abi3-manylinux_2_17_x86_64\n",
    }
    write_wheel(path, [Member("m.abi3.so", data), *(Member(name, text) for name, text in texts.items())])
    found: dict[str, set[str]] = {"limited-api": set(), "limited-api-version": set()}
    for finding in audit_wheel(path, tables):
        if finding.rule in found:
            found[finding.rule] |= set(finding.facts["symbols"])  # type: ignore[call-overload]
    return found["limited-api"], found["limited-api-version"]


def _module(names: Iterable[str]) -> bytes:
    return elf_library(dict.fromkeys(names), exports=["PyInit_m"])


def test_what_abi3audit_finds_is_found(abi3audit: Path, tmp_path: Path, tables: Tables) -> None:
    stable = _stable_of(abi3audit)
    assert len(stable) > 700
    modules = {
        "clean": ["PyList_New", "PyModule_Create2", "Py_IncRef"],
        "outside": ["PyList_New", *OUTSIDE],
        "newer": ["PyList_New", *(name for name, since in stable.items() if since in {"3.11", "3.12", "3.13"})],
        "everything": [*stable, *OUTSIDE],
    }
    for name, imports in modules.items():
        folder = tmp_path / name
        folder.mkdir()
        data = _module(imports)
        (folder / "m.abi3.so").write_bytes(data)
        outside, newer = _told(abi3audit, folder / "m.abi3.so")
        ours = _found(folder, data, tables)
        assert outside <= ours[0], name
        assert newer <= ours[1], name
        assert bool(outside or newer) == (name != "clean") == bool(ours[0] or ours[1])
        # What is found beyond is newer than abi3audit's table.
        assert {one for one in ours[0] - outside if one in stable} == set()


def test_both_tables_say_since_when_a_name_is_stable(abi3audit: Path) -> None:
    ours = {name: str(since) for name, since in load_python_abi().stable.items()}
    theirs = _stable_of(abi3audit)
    assert {name for name in theirs if name not in ours} == set()
    # Before the oldest Python that anybody asks about, both say "for ever" in their own way.
    differ = {name: (ours[name], since) for name, since in theirs.items() if ours[name] != since and since > "3.2"}
    assert differ == {}
