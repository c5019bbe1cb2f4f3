"""Constraints of pip and uv that a pin of ours would meet in a build environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.toolchain.build_constraints import excluded_pins

if TYPE_CHECKING:
    from pathlib import Path

PINS = load_tables().cuda[next(version for version, kit in load_tables().cuda.items() if kit.components)].components
(NVRTC,) = (pin for pin in PINS if "nvrtc" in pin.name)
TORCHS = "nvidia-cuda-nvrtc-cu12==12.8.93"


def excluded(root: Path, **environ: str) -> list[str]:
    return [one.pin.name for one in excluded_pins(PINS, {"HOME": str(root / "home"), **environ}, root)]


@pytest.fixture
def constraints(tmp_path: Path) -> Path:
    file = tmp_path / "constraint.txt"
    file.write_text(
        f"# of the container\ntorch==2.9.0a0\n{TORCHS} ; python_version > '3'  # torch's own\n", encoding="utf-8"
    )
    return file


@pytest.mark.parametrize("variable", ["PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_BUILD_CONSTRAINT"])
def test_a_variable_that_names_constraints_is_followed(constraints: Path, tmp_path: Path, variable: str) -> None:
    assert excluded(tmp_path, **{variable: str(constraints)}) == [NVRTC.name]
    (one,) = excluded_pins(PINS, {variable: f"/nowhere {constraints}"}, tmp_path)
    assert one.origin == f"{variable} ({constraints})"
    assert excluded(tmp_path) == []


def test_configuration_files_are_followed(constraints: Path, tmp_path: Path) -> None:
    (tmp_path / "home/.config/pip").mkdir(parents=True)
    (tmp_path / "home/.config/pip/pip.conf").write_text(
        f"[install]\nbuild-constraint = {constraints}\n", encoding="utf-8"
    )
    assert excluded(tmp_path) == [NVRTC.name]
    (tmp_path / "home/.config/pip/pip.conf").unlink()
    (tmp_path / "home/.config/uv").mkdir()
    (tmp_path / "home/.config/uv/uv.toml").write_text(
        f"build-constraint-dependencies = ['{TORCHS}']\n", encoding="utf-8"
    )
    assert excluded(tmp_path) == [NVRTC.name]


@pytest.mark.parametrize(
    ("text", "excludes"),
    [
        (f"{NVRTC.name}=={NVRTC.version}", False),
        (f"{NVRTC.name.replace('-', '_').upper()}=={NVRTC.version}", False),
        (f"{NVRTC.name}>=12", False),
        (f"{NVRTC.name}<12.9", True),
        (f"{TORCHS} ; python_version < '3'", False),
        (f"{TORCHS} --hash=sha256:00 \\\n  --hash=sha256:11", True),
        (f"--index-url https://somewhere\n-e .\n\n   {TORCHS}", True),
        ("-r nested.txt\n", True),
        ("--constraint=nested.txt", True),
        ("-c constraint.txt", False),
        ("-c https://somewhere/c.txt", False),
        ("\0\0 not a requirement ==", False),
    ],
)
def test_files_are_read_as_pip_reads_them(tmp_path: Path, text: str, *, excludes: bool) -> None:
    (tmp_path / "constraint.txt").write_text(text, encoding="utf-8")
    (tmp_path / "nested.txt").write_text(TORCHS, encoding="utf-8")
    assert excluded(tmp_path, PIP_CONSTRAINT=f"file://{tmp_path}/constraint.txt") == ([NVRTC.name] if excludes else [])
