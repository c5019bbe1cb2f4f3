"""What `stat` says of files, and opening them to digest what they hold."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache.file_state import YOUNG, is_settled, opened, state_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_whose_time_was_set_back_is_young(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.utime(path, ns=(0, 0))
    state = state_of(str(path))
    assert state is not None
    assert not is_settled(state, time.time_ns())
    assert is_settled(state, time.time_ns() + 2 * YOUNG)


def test_nobody_waits_at_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with opened(tmp_path / "pipe") as file:
        assert not file.read(1)


def test_a_link_is_followed_unless_that_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    with opened(tmp_path / "link") as file:
        assert file.read() == b"content"
    with pytest.raises(OSError, match="link"):
        opened(tmp_path / "link", os.O_NOFOLLOW)
