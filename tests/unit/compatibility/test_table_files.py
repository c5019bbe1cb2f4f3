"""The table files are as the scripts would write them, so that a refresh shows only what changed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._toml import parse_toml

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[3] / "ci" / "tables" / "update_table.py"


@pytest.fixture(scope="module")
def update_table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        *("ci.toml", "cuda.toml", "gpus.toml", "pins.toml", "platforms.toml", "providers.toml", "torch.toml"),
        *("publish.toml", "torch_shims.toml"),
    ],
)
def test_file_is_canonical(update_table: ModuleType, name: str) -> None:
    comment, table = update_table.read(name)
    assert update_table.dump(comment, table) == (update_table.DATA / name).read_text(encoding="utf-8")


def test_what_is_written_reads_back(update_table: ModuleType) -> None:
    table = {
        "text": 'a "quoted" \\ word',
        "number": 3,
        "truth": True,
        "words": ["one", "two"] * 40,
        "lines": "first\nsecond\n",
        "rows": [{"name": "x", "size": 1}, {"name": "y", "size": 2}],
        "nested": {"12.9": {"key": "value"}, "bare": {"deeper": {"a.b": 1}}},
    }
    text = update_table.dump("# comment\n", table)
    assert parse_toml(text.encode()) == table
    assert text.startswith("# comment\n\n")
    assert max(map(len, text.splitlines())) <= 120
