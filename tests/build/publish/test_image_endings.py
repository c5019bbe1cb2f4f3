"""An image that is killed, interrupted or out of space while it is written: nothing half of it has a name."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tiny_images import TinyWheel, tiny_base

from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = 40_000_000


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """`gpuwheel image` with a wheel that takes a second."""
    noise = random.Random(1).randbytes(SIZE)  # noqa: S311 (any bytes will do)
    heavy = TinyWheel("heavy", files={"heavy.bin": noise}).write(tmp_path)
    wheel = TinyWheel(requires=["heavy"]).write(tmp_path)
    base = tiny_base(tmp_path / "base")
    return [
        sys.executable,
        "-m",
        "gpuwheel",
        "image",
        "--base",
        base,
        "--compression",
        "gzip:9",
        str(wheel),
        str(heavy),
    ]


def _start(words: list[str], tmp_path: Path, limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        cwd=tmp_path,
        env={**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,  # noqa: PLW1509 (no threads here)
    )


def _while_writing(process: subprocess.Popen[str], tmp_path: Path) -> None:
    """Wait until it has begun to write the large layer, and is not done."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        sizes = [path.stat().st_size for path in tmp_path.rglob("blob") if path.is_file()]
        if sizes and 0 < max(sizes) < SIZE:
            return
        time.sleep(0.005)
    pytest.fail(f"it was never in the middle: {process.communicate()}")


def _is_as_before(tmp_path: Path) -> bool:
    return json.loads((tmp_path / "image/index.json").read_bytes())["manifests"] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_leaves_no_image_and_the_next_call_makes_it(
    words: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    process = _start(words, tmp_path)
    _while_writing(process, tmp_path)
    process.send_signal(number)
    began = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10, "it waited for its layers"
    assert process.returncode in {-number, 128 + number}
    assert "Traceback" not in errors
    assert _is_as_before(tmp_path)
    if number is not signal.SIGKILL:
        assert not list((tmp_path / "image/blobs/sha256").glob(".*"))
        assert not list((tmp_path / "cache").rglob("blob"))
    again = _start(words, tmp_path)
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    layout = Layout.open(tmp_path / "image")
    assert layout.find("latest").digest == output.splitlines()[-1]


def test_no_space_is_said_and_leaves_no_image(words: list[str], tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, SIZE // 2))

    process = _start(words, tmp_path, limit)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in {7, 15}, errors
    assert "ulimit -f" in errors or "File too large" in errors
    assert "Traceback" not in errors
    assert _is_as_before(tmp_path)
    assert not list((tmp_path / "cache").rglob("blob"))
