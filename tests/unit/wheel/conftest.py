from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from pathlib import Path

METADATA = b"""\
Metadata-Version: 2.2
Name: fused-ops
Version: 1.0
Dynamic: Requires-Dist
Requires-Dist: numpy>=1.26
Description-Content-Type: text/markdown

# fused-ops

Requires-Dist: this is text, not a field
"""
WHEEL_FILE = b"""\
Wheel-Version: 1.0
Generator: scikit-build-core 1.1.2
Root-Is-Purelib: false
Tag: py3-none-linux_x86_64

"""
INFO = "fused_ops-1.0.dist-info"


@pytest.fixture
def members() -> list[Member]:
    return [
        Member("fused_ops/_C.so", bytes(range(256)) * 64, executable=True),
        Member("fused_ops/__init__.py", b"__version__ = '1.0'\n"),
        Member(f"{INFO}/WHEEL", WHEEL_FILE),
        Member(f"{INFO}/METADATA", METADATA),
    ]


@pytest.fixture
def wheel(tmp_path: Path, members: list[Member]) -> Path:
    """A wheel as an inner backend leaves it."""
    path = tmp_path / "fused_ops-1.0-py3-none-linux_x86_64.whl"
    write_wheel(path, members)
    return path
