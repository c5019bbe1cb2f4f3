"""The table of Python's stable ABI: right as it is, refused where one part contradicts the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel.compatibility.exports.python_abi import load_python_abi
from gpuwheel.errors import DataError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_table_holds_its_laws() -> None:
    table = load_python_abi()
    assert min(table.stable.values()) == MinorVersion(3, 2)
    assert all(version < table.stable[name] for name, version in table.exported.items())
    assert table.first_exported("PyObject_GetAttr") == MinorVersion(3, 2)
    assert table.first_exported("_PyObject_GetDictPtr") is None


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "python_abi.toml"
    path.write_bytes(resource("data", "python_abi.toml").read_bytes())
    monkeypatch.setattr("gpuwheel._toml.resource", lambda *_: path)
    load_python_abi.cache_clear()
    yield path
    load_python_abi.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("PySys_Audit PyVectorcall_Call", "PySys_Audit PyVectorcall_Cell", "PyVectorcall_Cell"),
        ("PySys_Audit PyVectorcall_Call", "PySys_Audit PyList_New", "PyList_New"),
        ('"3.16" = ', '"three" = ', "three"),
        ("exported = ", "else = ", "exported"),
    ],
)
def test_what_breaks_a_law_is_refused(old: str, new: str, told: str, written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert old in text
    written.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=told):
        load_python_abi()
