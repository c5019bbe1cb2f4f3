"""The journal: what is noted is found again, what a kill cut short is not."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gpuwheel.matrix.journal import Finished, Journal

if TYPE_CHECKING:
    from pathlib import Path


def _finished(folder: Path, key: str = "k", name: str = "a-1-py3-none-any.whl", data: bytes = b"wheel") -> Finished:
    (folder / name).write_bytes(data)
    return Finished(key, "python-torch2.10-any", name, sha256(data).hexdigest(), len(data), 1.5)


def test_what_was_added_is_found(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "hidden" / "journal.jsonl")
    one = _finished(tmp_path)
    journal.add(one)
    assert journal.finished({"k": one.identifier}, tmp_path) == {"k": one}


@pytest.mark.parametrize("keys", [{}, {"other": "python-torch2.10-any"}, {"k": "python-any"}])
def test_only_the_same_task_is_found(tmp_path: Path, keys: dict[str, str]) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add(_finished(tmp_path))
    assert journal.finished(keys, tmp_path) == {}


@pytest.mark.parametrize("data", [b"whee", b"WHEEL", b""])
def test_a_wheel_that_changed_is_not_finished(tmp_path: Path, data: bytes) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    one = _finished(tmp_path)
    journal.add(one)
    (tmp_path / one.wheel).write_bytes(data)
    assert journal.finished({"k": one.identifier}, tmp_path) == {}


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_cut_short_is_as_good_as_none(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    first, second = _finished(tmp_path), _finished(tmp_path, "k2", "b-1-py3-none-any.whl")
    journal.add(first)
    journal.add(second)
    path.write_bytes(path.read_bytes()[:-cut])
    third = _finished(tmp_path, "k3", "c-1-py3-none-any.whl")
    journal.add(third)
    keys = dict.fromkeys(["k", "k2", "k3"], first.identifier)
    # A line that lacks only its end is whole.
    assert set(journal.finished(keys, tmp_path)) == ({"k", "k2", "k3"} if cut == 1 else {"k", "k3"})


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"key": "k", "identifier": "i", "wheel": "../a.whl", "sha256": "", "size": 5, "seconds": 1}',
        b'{"key": "k", "identifier": "i", "wheel": ["a.whl"], "sha256": "", "size": 5, "seconds": 1}',
    ],
)
def test_whatever_else_stands_there_is_left_alone(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line + b"\n")
    journal = Journal(path)
    one = _finished(tmp_path)
    journal.add(one)
    assert journal.finished({"k": one.identifier}, tmp_path) == {"k": one}
