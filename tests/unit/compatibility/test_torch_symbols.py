from __future__ import annotations

import importlib.util
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.exports.torch_symbols import TABLE, digest, load_torch_symbols, unpacked
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from types import ModuleType

TABLES = Path(__file__).resolve().parents[3] / "ci" / "tables"


@pytest.fixture(scope="module")
def updater() -> ModuleType:
    """The script, whose imports are its neighbours."""
    sys.path.insert(0, str(TABLES))
    try:
        spec = importlib.util.spec_from_file_location("update_torch_symbols", TABLES / "update_torch_symbols.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(TABLES))
    return module


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", "2.2", "2.6"),
        ("_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", "2.7", "2.15"),
        ("_ZN3c104cuda19CUDAErrorLogCaptureC1Ev", "2.14", "2.15"),
        ("aoti_torch_delete_tensor_object", "2.2", "2.15"),
    ],
)
def test_known_names_and_the_torches_that_have_them(name: str, first: str, last: str) -> None:
    having = load_torch_symbols().having(name)
    assert (str(min(having)), str(max(having))) == (first, last)
    assert load_torch_symbols().exports(name)


def test_what_no_torch_has() -> None:
    table = load_torch_symbols()
    strangers = [f"_ZN2at{len(name)}{name}Ev" for name in (f"stranger{number}" for number in range(3000))]
    assert sum(bool(table.having(name)) for name in strangers) <= 3
    assert sum(table.exports(name) for name in strangers) <= 60


def test_what_torch_swallowed_is_known_without_its_version() -> None:
    table = load_torch_symbols()
    assert table.exports("_ZNSt18basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev")
    assert table.having("_ZNSt18basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev") == frozenset()


def test_it_agrees_with_the_table_of_shims() -> None:
    """Both were read of the same files, at other times and by other tools."""
    tables, symbols = load_tables(), load_torch_symbols()
    assert symbols.minors >= set(tables.torch)
    oldest = min(tables.torch)
    for name, shim in tables.shims.items():
        having = symbols.having(name)
        assert max(having) >= shim.since
        if shim.since > oldest:
            # Of 2.3 alone thousands were exported, of which some came again.
            assert not {minor for minor in having if oldest <= minor < shim.since}


def test_a_wheel_of_gpuwheel_stays_small() -> None:
    assert resource("data", TABLE).stat().st_size < 500_000


def test_a_table_of_two_torches(updater: ModuleType) -> None:
    torchs = {digest("_ZN2at1aEv"): {"2.9", "2.10"}, digest("_ZN2at1bEv"): {"2.10"}}
    written = updater.packed({"2.10": "b.whl", "2.9": "a.whl"}, torchs, {digest("mkl_a") >> 8})
    table = unpacked(written)
    assert updater.packed(*updater.rows_of(table)) == written
    assert table.having("_ZN2at1aEv") == table.minors == {MinorVersion(2, 9), MinorVersion(2, 10)}
    assert table.having("_ZN2at1bEv") == {MinorVersion(2, 10)}
    assert table.having("_ZN2at1cEv") == frozenset()
    assert table.exports("mkl_a")
    assert not table.exports("mkl_b")


@pytest.mark.parametrize("size", [10, 4000, -1])
def test_a_damaged_table_is_told(size: int) -> None:
    data = zlib.decompress(resource("data", TABLE).read_bytes())
    with pytest.raises((ValueError, KeyError)):
        unpacked(zlib.compress(data[:size]))
