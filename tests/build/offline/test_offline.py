"""Locked, fetched, and then built with the network cut for real: by a network namespace of its own."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from conftest import without_network

from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

    from offline.conftest import LockedProject

pytestmark = [pytest.mark.compiler, pytest.mark.network]

LOCKED = {"gpuwheel.locked": "true"}


@pytest.mark.namespaces
def test_after_fetch_a_locked_build_needs_no_network(locked_project: LockedProject, tmp_path: Path) -> None:
    cut = without_network()
    assert cut is not None
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    assert "Network is unreachable" in run([*cut, sys.executable, "-c", reach], check=False).stderr

    out = tmp_path / "dist"
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", out]
    run([*cut, *pip_wheel, "-C", "gpuwheel.locked=true", locked_project.root])

    (wheel,) = out.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("sboms/gpuwheel.cdx.json"))
        sbom = json.loads(archive.read(name))
    digest = hashlib.sha256(locked_project.lock.read_bytes()).hexdigest()
    assert {"name": "gpuwheel:lock-sha256", "value": digest} in sbom["metadata"]["properties"]


@pytest.mark.namespaces
def test_without_fetch_it_says_what_is_missing(locked_project: LockedProject, tmp_path: Path) -> None:
    cut = without_network()
    assert cut is not None
    own = {"GPUWHEEL_CACHE_DIR": str(tmp_path / "cache"), "GPUWHEEL_INDEX_URL": "https://pypi.org/simple"}
    done = locked_project.hook(f"build_wheel({str(tmp_path)!r}, {LOCKED})", cut, PIP_RETRIES="0", **own)
    assert done.returncode == 6
    assert "cannot be had: https://pypi.org/simple/" in done.stderr
    assert "cannot be reached" in done.stderr
    assert "gpuwheel fetch" in done.stderr
    assert "Traceback" not in done.output


def test_the_lock_leaves_no_choice_to_a_resolver(locked_project: LockedProject) -> None:
    done = locked_project.hook(f"get_requires_for_build_wheel({LOCKED})")
    requirements = json.loads(done.stdout.replace("'", '"'))
    assert all("==" in requirement for requirement in requirements)
    assert {"cmake", "ninja", "nvidia-cuda-nvrtc-cu12"} <= {text.partition("==")[0] for text in requirements}


def test_a_lock_that_is_up_to_date(locked_project: LockedProject) -> None:
    assert locked_project.gpuwheel("lock", "--check").returncode == 0


@pytest.mark.parametrize("part", ["file", "headers", "compiler", "package", "gpuwheel"])
def test_what_the_lock_does_not_name_is_refused(locked_project: LockedProject, tmp_path: Path, part: str) -> None:
    project = locked_project.copy(tmp_path / "project")
    text = project.lock.read_text(encoding="utf-8")
    environ = {}
    match part:
        case "file":  # the digest of NVRTC's wheel
            nvrtc = re.search(r'name = "nvidia_cuda_nvrtc_[^"]*x86_64.whl".* sha256 = "(\w+)"', text)
            assert nvrtc is not None
            old = nvrtc[1]
            project.edit(old, "0" * 64)
            expected = f"has sha256 {old} (the lock says {'0' * 64})"
        case "headers":
            old = text.partition('"torch==')[2].partition('= "')[2][:64]
            project.edit(old, "1" * 64)
            expected = f"is {old} (the lock says {'1' * 64})"
        case "compiler":
            shim = tmp_path / "c++"
            body = '#!/bin/sh\ncase "$1" in --version) echo "c++ 99.1";; -dumpmachine) echo x86_64-linux-gnu;; esac\n'
            shim.write_text(body, encoding="utf-8")
            shim.chmod(0o755)
            environ = {"CXX": str(shim)}
            expected = "the C++ compiler is c++ 99.1 for x86_64-linux-gnu (the lock says"
        case "package":
            version = text.partition('name = "cmake"\nversion = "')[2].partition('"')[0]
            project.edit(f'name = "cmake"\nversion = "{version}"', 'name = "cmake"\nversion = "3.26.0"')
            while f"/cmake-{version}-" in project.lock.read_text(encoding="utf-8"):
                project.edit(f'"cmake-{version}-', '"cmake-3.26.0-')
                project.edit(f"/cmake-{version}-", "/cmake-3.26.0-")
            expected = f"cmake is {version} (the lock says 3.26.0)"
        case _:
            project.edit('[tool.gpuwheel]\nschema = 1\nversion = "', '[tool.gpuwheel]\nschema = 1\nversion = "99.')
            expected = "(the lock says 99."

    done = project.hook(f"build_wheel({str(tmp_path)!r}, {LOCKED})", **environ)

    assert done.returncode == 12, done.output
    assert "error: pylock.gpuwheel.toml does not allow this build:" in done.stderr
    assert expected in done.stderr
    assert "hint: " in done.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_a_locked_build_without_a_lock(locked_project: LockedProject, tmp_path: Path) -> None:
    project = locked_project.copy(tmp_path / "project")
    project.lock.unlink()
    done = project.hook(f"build_wheel({str(tmp_path)!r})", GPUWHEEL_LOCKED="1")
    assert done.returncode == 12
    assert "does not exist (expected the lock file" in done.stderr
    assert "gpuwheel lock" in done.stderr
