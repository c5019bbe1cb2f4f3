"""The reader refuses what it does not know, and says where."""

from __future__ import annotations

import re

import pytest

from gpuwheel.compatibility.parsing import Reader, read_table
from gpuwheel.errors import DataError
from gpuwheel.model.versions import MinorVersion


def test_unknown_key_is_an_error_that_names_it() -> None:
    message = "cuda.toml has keys nobody reads (ptx_isa, expected none)"
    reader = Reader("cuda.toml", {"ptx-isa": "8.8", "ptx_isa": "8.8"})
    with pytest.raises(DataError, match=re.escape(message)), reader as row:
        row.text("ptx-isa")


def test_missing_key_is_an_error() -> None:
    with pytest.raises(DataError, match=re.escape("cuda.toml lacks a key (gcc-max, expected int)")):
        Reader("cuda.toml", {}).integer("gcc-max")


@pytest.mark.parametrize("value", ["14", True, [14]])
def test_wrong_type_is_an_error(value: object) -> None:
    message = f"cuda.toml has a wrong gcc-max ({value!r}, expected int)"
    with pytest.raises(DataError, match=re.escape(message)):
        Reader("cuda.toml", {"gcc-max": value}).integer("gcc-max")


def test_wrong_value_is_an_error_that_says_what_was_expected() -> None:
    with pytest.raises(DataError, match=re.escape("torch.toml has a wrong cuda ('thirteen' is not a major.minor")):
        Reader("torch.toml", {"cuda": "thirteen"}).parsed("cuda", MinorVersion.parse)


def test_place_of_a_nested_key_is_named() -> None:
    reader = Reader("cuda.toml", {"toolkits": {"12.9": {"archs": 75}}})
    ((_, row),) = reader.named_tables("toolkits", MinorVersion.parse)
    with pytest.raises(DataError, match=re.escape("cuda.toml: toolkits: 12.9 has a wrong archs")):
        row.words("archs", str)


def test_value_without_a_source_is_an_error() -> None:
    row = Reader("cuda.toml", {"archs": "7.5", "gcc-max": 14, "sources": {"archs": "ptxas --help"}})
    with pytest.raises(DataError, match=re.escape("has values without a source (gcc-max, expected one each")):
        row.sources({})


def test_absent_file_is_a_data_error() -> None:
    with pytest.raises(DataError, match=re.escape("no_such_table.toml cannot be read")):
        read_table("no_such_table.toml")


def test_wrong_name_of_a_table_is_an_error() -> None:
    reader = Reader("cuda.toml", {"toolkits": {"newest": {}}})
    with pytest.raises(DataError, match=re.escape("cuda.toml: toolkits has a wrong newest ('newest' is not a major.")):
        list(reader.named_tables("toolkits", MinorVersion.parse))
