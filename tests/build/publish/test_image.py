"""Images of `gpuwheel image` in the hands of others: skopeo, podman, a registry; and by another Python."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter
from local_podman import HERE, LocalPodman, host_base, local_podman
from registries import docker_registry, require_programs
from tiny_images import TinyWheel

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.containers

CODE = """\
import importlib.metadata, os, pathlib, sys

def main():
    distribution = importlib.metadata.distribution("ops")
    missing = [str(file) for file in distribution.files if not file.locate().exists()]
    (pathlib.Path.home() / "kept").write_text("x")
    found = sorted(one.name for one in importlib.metadata.distributions())
    print(os.getuid(), sys.prefix, pathlib.Path.cwd(), missing, found, *sys.argv[1:])
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPodman]:
    with local_podman(tmp_path_factory.mktemp("podman")) as engine:
        yield engine


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    ops = TinyWheel(
        requires=["dep"],
        files={"ops/__init__.py": CODE.encode()},
        entry_points="[console_scripts]\nops-run = ops:main\n",
    )
    dep = TinyWheel("dep", files={"dep.py": b"1", "dep_data.bin": os.urandom(100_000) + bytes(500_000)})
    return [one.write(tmp_path / "wheels") for one in (ops, dep)]


def _image(tmp_path: Path, *words: object, python: Path | str = sys.executable) -> str:
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    return run([str(python), "-m", "gpuwheel", "image", *map(str, words)], env=environ, cwd=tmp_path).stdout


def _expected() -> str:
    home = "/home/" + "nonroot"
    return f"65532 /opt/venv {home} [] ['dep', 'ops'] --flag\n"


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
def test_podman_runs_what_skopeo_reads(
    podman: LocalPodman, wheels: list[Path], tmp_path: Path, compression: str
) -> None:
    if compression == "zstd":
        pytest.importorskip("zstandard")
    base = host_base(tmp_path / "base")
    words = ["--base", base, "--python", HERE, "--entrypoint", "ops-run", "--compression", compression]
    digest = _image(tmp_path, *words, *wheels).splitlines()[-1]
    inspected = json.loads(run(["skopeo", "inspect", f"oci:{tmp_path}/image:latest"]).stdout)
    assert inspected["Digest"] == digest
    assert len(inspected["Layers"]) == 4
    image = podman.pull(f"oci:{tmp_path}/image:latest")
    assert podman.inside(image, "--flag") == _expected()


def test_every_engine_loads_a_docker_archive(podman: LocalPodman, wheels: list[Path], tmp_path: Path) -> None:
    base = host_base(tmp_path / "base")
    words = ["--base", base, "--python", HERE, "--entrypoint", "ops-run"]
    _image(tmp_path, *words, "-o", "docker-archive:ops.tar:localhost/ops:1.0", *wheels)
    assert json.loads(run(["skopeo", "inspect", f"docker-archive:{tmp_path}/ops.tar"]).stdout)["Os"] == "linux"
    podman("load", "--quiet", "--input", tmp_path / "ops.tar")
    assert podman.inside("localhost/ops:1.0", "--flag") == _expected()


def test_a_registry_gives_the_base_and_takes_the_image(podman: LocalPodman, wheels: list[Path], tmp_path: Path) -> None:
    require_programs("docker-registry", "skopeo")
    base = host_base(tmp_path / "base")
    with docker_registry(tmp_path / "registry") as host:
        run(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", base, f"docker://{host}/team/base:1"])
        raw = run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/team/base:1"]).stdout
        layer = json.loads(raw)["layers"][0]
        words = ["--python", HERE, "--entrypoint", "ops-run", "--json"]
        words += ["--base", f"{host}/team/base:1", "--push", f"{host}/team/ops:1.0"]
        first = json.loads(_image(tmp_path, *words, *wheels))
        assert first["pushed"]["mounted"] == layer["size"]
        image = podman.pull(f"{host}/team/ops:1.0", "--tls-verify=false")
        assert podman.inside(image, "--flag") == _expected()

        changed = TinyWheel(requires=["dep"], files={"ops/__init__.py": b"# one line\n" + CODE.encode()})
        changed.write(tmp_path / "wheels")
        (tmp_path / "wheels/ops-1.0-py3-none-any.whl").touch()
        second = json.loads(_image(tmp_path, *words, *wheels))
        assert second["pushed"]["sent"] < 10_000
        assert second["pushed"]["skipped"] > 100_000
        shared = _image(tmp_path, "--json", "--compare", first["pushed"]["reference"], second["pushed"]["reference"])
        (row,) = json.loads(shared)["platforms"]
        assert [one["title"] for one in row["only_second"]] == ["ops 1.0"]
        assert len(row["shared"]) == 3


@pytest.mark.pythons
def test_another_python_makes_the_same_image(wheels: list[Path], tmp_path: Path) -> None:
    other = next((one for one in map(find_interpreter, ("3.13", "3.12", "3.11")) if one is not None), None)
    if other is None:
        pytest.skip("no other Python on this machine")
    digests = []
    for python in (Path(sys.executable), other):
        environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / python.name)}
        # Its libraries are pure Python: another interpreter takes them from this one's environment.
        environ |= {"PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])}
        words = ["image", "--base", "scratch", "--python", "3.11=/usr/bin/python3.11", "--platform", "linux/amd64"]
        done = run(
            [str(python), "-m", "gpuwheel", *words, "-o", f"oci:{tmp_path / python.name}-image", *map(str, wheels)],
            env=environ,
        )
        digests.append(done.stdout.splitlines()[-1])
    assert digests[0] == digests[1]
