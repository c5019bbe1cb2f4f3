"""The frontends people use, in isolation, with gpuwheel from a wheel: pip, build, uv."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from gpuwheel.wheel import SBOM_FILE, read_members

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Environment, Project

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow]


READ_ONLY = """\
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && cd "$1" || exit 99
if touch "$1/written" 2>/dev/null; then echo "the tree is not read-only"; exit 98; fi
exec "$2" -c "$3"
"""


def isolated(project: Project, gpuwheel_wheel: Path) -> dict[str, str]:
    """The environment of a user who has gpuwheel's wheel in a folder, and nothing else."""
    links = str(gpuwheel_wheel.parent)
    return {**os.environ, **project.environ, "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links}


def call(words: list[str | Path], env: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def metadata(path: Path) -> bytes:
    """METADATA of a wheel, or PKG-INFO of an sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return next(wheel.read(name) for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    with tarfile.open(path) as sdist:
        member = next(name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("/PKG-INFO"))
        file = sdist.extractfile(member)
        assert file is not None
        return file.read()


def test_every_frontend_gives_the_same_bytes(project: Project, gpuwheel_wheel: Path, tmp_path: Path) -> None:
    """Also started from an environment that holds another NVRTC, which must not be used."""
    env = isolated(project, gpuwheel_wheel)
    other = tmp_path / "with NVRTC 12.8"
    call(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, other], env)
    nvrtc = ["nvidia-cuda-nvrtc-cu12==12.8.93", "cuda-bindings==12.8.0"]
    call(["uv", "pip", "install", "--quiet", "--python", other / "bin" / "python", *nvrtc], env)

    frontends: dict[str, list[str | Path]] = {
        "pip": [other / "bin" / "python", "-m", "pip", "wheel", "--verbose", "--no-deps", "--wheel-dir"],
        "uv": ["uv", "build", "--verbose", "--wheel", "--out-dir"],
        "build": [sys.executable, "-m", "build", "--verbose", "--wheel", "--installer=uv", "--outdir"],
    }
    wheels = {}
    for name, words in frontends.items():
        output = call([*words, tmp_path / name, project.root], env)
        assert "NVRTC of CUDA 12.9 (build environment)" in output, output
        (wheels[name],) = (tmp_path / name).glob("*.whl")
    assert len({path.name for path in wheels.values()}) == 1
    assert len({path.read_bytes() for path in wheels.values()}) == 1


@pytest.mark.parametrize("frontend", ["pip", "uv"])
def test_constraints_of_a_container_with_torch_do_not_end_in_the_resolver(
    project: Project, gpuwheel_wheel: Path, tmp_path: Path, frontend: str
) -> None:
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("# torch's own\nnvidia-cuda-nvrtc-cu12==12.8.93\n", encoding="utf-8")
    names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_BUILD_CONSTRAINT")
    env = isolated(project, gpuwheel_wheel) | dict.fromkeys(names, str(constraint))
    words: dict[str, list[str | Path]] = {
        "pip": [sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--wheel-dir"],
        "uv": ["uv", "build", "--verbose", "--wheel", "--out-dir"],
    }
    output = call([*words[frontend], tmp_path / "out", project.root], env)
    assert "goes into gpuwheel's cache: PIP_CONSTRAINT" in output
    assert "NVRTC of CUDA 12.9 (" in output
    assert list((tmp_path / "out").glob("*.whl"))


def test_an_sdist_carries_the_metadata_and_builds_the_same_wheel(
    project: Project, gpuwheel_wheel: Path, tmp_path: Path
) -> None:
    env = isolated(project, gpuwheel_wheel)
    call(["uv", "build", "--out-dir", tmp_path / "both", project.root], env)  # the wheel is built from the sdist
    (sdist,) = (tmp_path / "both").glob("*.tar.gz")
    (wheel,) = (tmp_path / "both").glob("*.whl")
    assert metadata(sdist) == metadata(wheel)
    direct, from_sdist = read_members(project.wheel(tmp_path / "direct")), read_members(wheel)
    differing = {name for name in direct.keys() | from_sdist.keys() if direct[name].data != from_sdist[name].data}
    # It names the sdist, which `gpuwheel rebuild` asks for; all else is what the checkout gives.
    assert {name.partition("/")[2] for name in differing} == {SBOM_FILE, "RECORD"}

    # A resolver needs to build nothing: with neither torch nor CUDA here it reads the requirements from the sdist.
    user = tmp_path / "user"
    user.mkdir()
    (user / "pyproject.toml").write_text(
        f"""\
[project]
name = "user"
version = "1"
requires-python = ">=3.11"
dependencies = ["tiny-ops @ {sdist.as_uri()}"]
""",
        encoding="utf-8",
    )
    call(["uv", "lock", "--no-build", "--project", user], env)
    lock = (user / "uv.lock").read_text(encoding="utf-8")
    tiny = lock[lock.index('name = "tiny-ops"') :]
    assert re.search(r'\{ name = "torch", specifier = ">=2\.10" \}', tiny)


def test_two_builds_at_once(make_project: Callable[..., Project], fresh_cache: Path, tmp_path: Path) -> None:
    project = make_project()
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(project.wheel, tmp_path / name, GPUWHEEL_CACHE_DIR=str(fresh_cache)) for name in ("one", "two")
        ]
        one, two = (future.result() for future in futures)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare to mount the tree read-only with")
def test_a_read_only_tree(project: Project, tmp_path: Path) -> None:
    unshare = shutil.which("unshare") or ""
    out = tmp_path / "out"
    out.mkdir()
    code = f"from gpuwheel import backend; print('HOOK RETURNED', backend.build_wheel({str(out)!r}))"
    done = subprocess.run(  # noqa: TID251 (a user's machine, not gpuwheel)
        [unshare, "--mount", "--map-root-user", "sh", "-c", READ_ONLY, "sh", project.root, sys.executable, code],
        env={**os.environ, **project.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stdout and "HOOK" not in done.stdout:
        pytest.skip("mounting is not permitted here")
    assert done.returncode == 0, done.stdout
    assert list(out.glob("*.whl"))


@pytest.mark.torch
def test_editable_follows_the_sources_and_compiles_only_what_changed(
    project: Project, environment: Environment, fresh_cache: Path
) -> None:
    settings = {"GPUWHEEL_CACHE_DIR": str(fresh_cache)}
    install = ["install", "--verbose", "--no-deps", "--no-build-isolation", "--editable", project.root]
    use = "import torch, tiny_ops; print(tiny_ops.__doc__, tiny_ops.scale(torch.ones(2), 3.0).tolist())"

    first = environment.pip(*install, **settings)
    assert "compiling 6 images" in first.output
    used = environment.run("-c", use)
    assert used.output.strip() == "One operator. [3.0, 3.0]", used.output

    project.replace("tiny_ops/__init__.py", "One operator.", "Edited.")  # no install needed
    assert environment.run("-c", use).output.startswith("Edited.")

    project.replace("csrc/fill.cu", "1.0f", "2.0f")
    second = environment.pip(*install, **settings)
    assert "compiling 3 images" in second.output
    assert "Building CXX object" not in second.output, "no C++ file changed"
    assert environment.run("-c", use).output.strip() == "Edited. [3.0, 3.0]"

    third = environment.pip(*install, **settings)
    assert "kernel group tiny: compiling" not in third.output
    assert "linked libraries are taken from the cache" in third.output
