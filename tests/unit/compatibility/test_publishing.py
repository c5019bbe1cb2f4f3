"""The table of places to publish to: right as it is, refused where it would admit everything or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_table_holds_its_laws() -> None:
    table = load_publishing()
    assert set(table.targets) == {"pypi", "testpypi"}
    assert table.refuses.file < table.refuses.project
    assert table.variants.namespace in table.variants.requires


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "publish.toml"
    path.write_bytes(resource("data", "publish.toml").read_bytes())
    monkeypatch.setattr("gpuwheel._toml.resource", lambda *_: path)
    load_publishing.cache_clear()
    yield path
    load_publishing.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('upload = "https://upload.pypi.org/legacy/"', 'upload = "http://upload.pypi.org/legacy/"', "safely"),
        ("file = 104857600", "file = 0", "admit nothing"),
        ("file = 104857600", "file = 99999999999", "admit nothing"),
        ('metadata = "2.5"', 'metadata = "new"', "metadata"),
        ('python = "3.10"\n', 'python = "3.10"\nmore = 1\n', "more"),
        ("testpypi = ", "else = ", "testpypi"),
        ("cuda-toolkit nvidia-", "CUDA_Toolkit nvidia-", "CUDA_Toolkit"),
    ],
)
def test_what_breaks_a_law_is_refused(old: str, new: str, told: str, written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert old in text
    written.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=told):
        load_publishing()
