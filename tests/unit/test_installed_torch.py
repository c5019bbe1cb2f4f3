"""The torch that is installed beside a build is compared with the one that is built for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from heard import Heard

from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]
[tool.gpuwheel]
torch = "{torch}"
nvmath = ">=1.0"
"""
EXACT = """\
[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
abi = "{abi}"
sources = ["a.cu"]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a torch may be installed, ahead of any that this environment has."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def warned(root: Path, torch: str, abi: str | None, version: str, site: Path) -> list[str]:
    """What a build says of an installed torch before it looks for a compiler, which it does not find."""
    info = site / f"torch-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n", encoding="utf-8")
    extension = EXACT.format(abi=abi) if abi else ""
    (root / "pyproject.toml").write_text(HEAD.format(torch=torch) + extension, encoding="utf-8")
    (root / "a.cu").touch()
    (root / "ops").mkdir()
    (root / "ops" / "__init__.py").touch()
    heard = Heard()
    environ = {"GPUWHEEL_CACHE_DIR": str(root / "cache"), "PATH": str(root)}
    try:
        Build(root, environ, {}, heard).wheel(root)
    except Exception:  # noqa: BLE001 (no compiler: not what is asked here)
        assert abi
    return [text for text in heard.warnings if "is installed here" in text]


@pytest.mark.parametrize(
    ("torch", "abi", "version", "said"),
    [
        ("==2.14.*", "exact", "2.13.0+cpu", 'built for torch 2.14 alone.*torch 2.13.0.cpu is.*torch = "==2.13.*"'),
        ("==2.13.*", "exact", "2.14.1", "built for torch 2.13 alone"),
        ("==2.13.*", "exact", "2.13.9", None),
        (">=2.11", "stable", "2.10.0", 'built for torch 2.11 and newer.*torch = ">=2.10"'),
        (">=2.10", "stable", "2.15.0", None),
        (">=2.10", "none", "1.0", None),
        (">=2.12", None, "2.10.0", "built for torch 2.12 and newer"),
    ],
)
def test_a_torch_that_the_result_does_not_load_with_is_named(
    tmp_path: Path, install: Path, torch: str, abi: str | None, version: str, said: str | None
) -> None:
    found = warned(tmp_path, torch, abi, version, install)
    assert [bool(re.search(said or "nothing", text)) for text in found] == ([True] if said else [])
