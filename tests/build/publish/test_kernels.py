"""A wheel that `gpuwheel publish` laid out as a kernel, loaded by Hugging Face's `kernels` beside a real torch."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from made_wheels import INFO, METADATA

from gpuwheel._run import Completed, run
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("kernels", exc_type=ImportError)
pytestmark = [pytest.mark.torch, pytest.mark.compiler]

TAG = "py3-none-manylinux_2_17_x86_64"
CODE = '__attribute__((visibility("default"))) int answer(void) { return 42; }\n'
# As packages of gpuwheel do: they name themselves, and look for their library by that name.
PACKAGE = """\
from ops.inner import answer
__all__ = ["answer"]
"""
INNER = """\
import ctypes, importlib.util
import torch
_library = ctypes.CDLL(importlib.util.find_spec("ops._C").origin)
def answer():
    return torch.full((2,), _library.answer())
"""
LOADS = """\
import pathlib, sys
from kernels import get_local_kernel
from kernels._rust import Digest, DigestAlgorithm, Metadata
kernel = get_local_kernel(pathlib.Path(sys.argv[1]))
print(kernel.answer().tolist(), kernel.__name__)
for variant in sorted(pathlib.Path(sys.argv[1], "build").iterdir()):
    metadata = Metadata.read_from_file(variant / "metadata.json")
    metadata.digest.validate(Digest.hash_variant(DigestAlgorithm.SHA256, variant))
    print(variant.name, metadata.backend.backend_type)
for other in sys.argv[2:]:
    get_local_kernel(pathlib.Path(other))
"""


def _wheel(folder: Path, version: str = "1") -> Path:
    folder.mkdir()
    (folder / "answer.c").write_text(CODE, encoding="utf-8")
    flags = ["-shared", "-fPIC", "-O2", "-fvisibility=hidden", "-nostdlib"]
    run(["cc", *flags, "answer.c", "-o", "_C.so"], cwd=folder, env=dict(os.environ))
    info = INFO.replace("-1.", f"-{version}.")
    metadata = METADATA.replace("Version: 1\n", f"Version: {version}\n")
    members = {
        "ops/__init__.py": PACKAGE.encode(),
        "ops/inner.py": INNER.encode(),
        "ops/_C.so": (folder / "_C.so").read_bytes(),
        f"{info}/METADATA": f"{metadata}Requires-Dist: torch>=2.10\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {TAG}\n".encode(),
    }
    path = folder / f"ops-{version}-{TAG}.whl"
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return path


def _laid_out(wheel: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "gpuwheel", "publish", "--to", f"kernels:{out}", wheel]
    done = run(command, cwd=out.parent, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.output
    return out


def _load(*places: Path) -> Completed:
    return run([sys.executable, "-c", LOADS, *places], env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=False)


def test_a_kernel_loads_from_a_folder_and_is_what_its_metadata_says(tmp_path: Path) -> None:
    done = _load(_laid_out(_wheel(tmp_path / "a"), tmp_path / "k"))
    assert done.returncode == 0, done.output
    first, *variants = done.stdout.splitlines()
    assert first.startswith("[42, 42] _ops_cpu_")
    assert variants == ["torch-stable-abi210-cpu-x86_64-linux cpu"]


def test_two_versions_in_one_process_are_refused_by_name(tmp_path: Path) -> None:
    one = _laid_out(_wheel(tmp_path / "a"), tmp_path / "k1")
    other = _laid_out(_wheel(tmp_path / "b", "2"), tmp_path / "k2")
    done = _load(one, other)
    assert done.returncode == 1
    assert "another ops is loaded already" in done.stderr
