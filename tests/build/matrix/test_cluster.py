"""`gpuwheel build --executor dask:...`: a real cluster here gives the same wheels, whatever happens to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("distributed", reason="dask is not installed (gpuwheel[dask])")

from dask_cluster import Cluster, Keys, descendants, environment_of, wait_until
from tiny_matrix import WHEELS, write_tiny_matrix

import gpuwheel
from gpuwheel._resources import resource
from gpuwheel._run import Completed, run
from gpuwheel.errors import ConfigError, MatrixError, NetworkError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.compiler, pytest.mark.network]

MARK = "marked-secret"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": MARK,
    "TWINE_PASSWORD": MARK,
    "UV_INDEX_OURS_PASSWORD": MARK,
    "GITHUB_TOKEN": MARK,
    "SCCACHE_REDIS": f"redis://:{MARK}@host",
}
# With a variable that no key covers nothing is kept, so that every machine compiles by itself; it has to travel, too.
NOTHING_KEPT = {"CMAKE_OF_A_TEST": "far"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_matrix(tmp_path_factory.mktemp("far-away"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.made(tmp_path_factory.mktemp("certificates") / "ours")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without TLS, and without workers."""
    with Cluster(tmp_path / "cluster") as started:
        yield started


def _words(project: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "gpuwheel", "build", "-p", str(project), "-o", str(out), *more]


def _build(project: Path, out: Path, *more: str, environ: Mapping[str, str] | None = None) -> Completed:
    return run(_words(project, out, *more), env={**os.environ, **(environ or {})}, check=False)


def _wheels(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}


def _of_cells(environments: list[bytes], workers: list[subprocess.Popen[str]]) -> int:
    """How many processes of cells were seen in `environments`, to which those that run now are added."""
    environments += [environment_of(pid) for worker in workers for pid in [worker.pid, *descendants(worker.pid)]]
    return sum(b"CMAKE_OF_A_TEST=far" in environment for environment in set(environments))


def test_a_cluster_makes_the_same_bytes_though_a_worker_is_killed_and_is_told_no_secret(
    project: Path, keys: Keys, tmp_path: Path
) -> None:
    environ = {**os.environ, **NOTHING_KEPT}
    with Cluster(tmp_path / "cluster", keys) as cluster:
        workers = [cluster.add_worker(), cluster.add_worker()]
        words = _words(project, tmp_path / "far", "--json", "--executor", cluster.address)
        building = subprocess.Popen(
            [*words, *keys.options("--dask", "client")],
            env={**environ, **SECRETS},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: len(cluster.cells()) == 2 or building.poll() is not None, 300)
        # A cell begins with its environment, which may have to be made; its own process comes after that.
        environments: list[bytes] = []
        wait_until(lambda: _of_cells(environments, workers) >= 2 or building.poll() is not None, 300)
        lost = descendants(workers[0].pid)
        os.kill(workers[0].pid, signal.SIGKILL)
        wait_until(lambda: not any(b"gpuwheel" in environment_of(pid) for pid in lost), 20)
        said, log = building.communicate(timeout=600)
    assert building.returncode == 0, log
    assert [cell["state"] for cell in json.loads(said)["cells"]] == ["built"] * WHEELS
    assert all(cell["stages"] and cell["cpu_seconds"] > 0 for cell in json.loads(said)["cells"])
    assert sum(b"CMAKE_OF_A_TEST=far" in environment for environment in environments) >= 2
    assert not any(MARK.encode() in environment for environment in environments)

    here = _build(project, tmp_path / "here", environ=NOTHING_KEPT)
    assert here.returncode == 0, here.output
    assert len(_wheels(tmp_path / "here")) == WHEELS
    assert _wheels(tmp_path / "far") == _wheels(tmp_path / "here")


def test_who_is_stopped_ends_what_runs_elsewhere(project: Path, cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_worker()
    words = _words(project, tmp_path / "far", "--executor", cluster.address)
    environ = {**os.environ, **NOTHING_KEPT}
    for number in (signal.SIGINT, signal.SIGKILL):
        building = subprocess.Popen(words, env=environ, stderr=subprocess.PIPE)
        wait_until(lambda: cluster.cells() or building.poll() is not None, 120)  # noqa: B023  # called at once
        assert building.poll() is None
        building.send_signal(number)
        wait_until(lambda: not cluster.cells(), 20)
        building.communicate(timeout=60)
        assert building.returncode == (128 + number if number == signal.SIGINT else -number)


def test_a_cluster_that_lost_all_its_workers_is_not_waited_for_for_ever(
    project: Path, cluster: Cluster, tmp_path: Path
) -> None:
    worker = cluster.add_worker()
    words = _words(project, tmp_path / "far", "--json", "--timeout", "10", "--executor", cluster.address)
    environ = {**os.environ, **NOTHING_KEPT}
    building = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: cluster.cells() or building.poll() is not None, 120)
    worker.kill()
    said, log = building.communicate(timeout=120)
    assert building.returncode == MatrixError.exit_code, log
    cells = json.loads(said)["cells"]
    assert [cell["state"] for cell in cells] == ["failed"] * WHEELS
    assert all("no worker any more (waited 10 s" in cell["error"]["message"] for cell in cells)


def test_a_worker_with_another_gpuwheel_is_told_before_anything_is_built(
    project: Path, cluster: Cluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(gpuwheel.__file__).parent, other / "gpuwheel", ignore=shutil.ignore_patterns("__pycache__"))
    if not (other / "gpuwheel" / "templates").exists():
        shutil.copytree(resource("templates"), other / "templates")  # where it runs from its checkout, they lie beside
    file = other / "gpuwheel" / "__init__.py"
    file.write_text(re.sub(r"(?m)^__version__ = .*$", '__version__ = "9.9.9"', file.read_text()))
    cluster.add_worker()
    cluster.add_worker({"PYTHONPATH": str(other)})
    wait_until(lambda: (cluster.folder / "log").read_text().count("Register worker") == 2, 60)
    result = _build(project, tmp_path / "far", "--executor", cluster.address)
    assert result.returncode == ToolchainError.exit_code, result.output
    assert "found 9.9.9" in result.stderr
    assert f"expected {gpuwheel.__version__}" in result.stderr
    assert _wheels(tmp_path / "far") == {}


def test_certificates_of_another_authority_open_nothing(project: Path, keys: Keys, tmp_path: Path) -> None:
    others = Keys.made(tmp_path / "others")
    mixed, spoilt = tmp_path / "mixed", tmp_path / "spoilt"
    shutil.copytree(others.folder, mixed)
    shutil.copy(keys.folder / "ca.pem", mixed)
    shutil.copytree(keys.folder, spoilt)
    (spoilt / "client.key").write_text("no key")
    with Cluster(tmp_path / "cluster", keys) as cluster:
        for options, code in {
            (*others.options("--dask", "client"),): NetworkError.exit_code,  # we do not believe the scheduler
            (*Keys(mixed).options("--dask", "client"),): NetworkError.exit_code,  # and it does not believe us
            (*Keys(spoilt).options("--dask", "client"),): ConfigError.exit_code,
            (): ConfigError.exit_code,
        }.items():
            result = _build(project, tmp_path / "far", "--executor", cluster.address, *options)
            assert result.returncode == code, result.output
            assert "error: " in result.stderr
            assert "Traceback" not in result.stderr
    assert _wheels(tmp_path / "far") == {}


def test_a_cluster_without_workers_and_one_that_is_not_there(project: Path, cluster: Cluster, tmp_path: Path) -> None:
    result = _build(project, tmp_path / "far", "--timeout", "2", "--executor", cluster.address)
    assert result.returncode == ToolchainError.exit_code
    assert "has no worker (waited 2 s" in result.stderr
    address = cluster.address
    cluster.processes[0].kill()
    cluster.processes[0].wait()
    result = _build(project, tmp_path / "far", "--timeout", "2", "--executor", address)
    assert result.returncode == NetworkError.exit_code
    assert "Traceback" not in result.stderr


def test_a_cluster_of_this_machine_comes_and_goes_with_the_command(project: Path, tmp_path: Path) -> None:
    result = _build(project, tmp_path / "far", "*torch2.13*", "--jobs", "1", "--executor", "dask")
    assert result.returncode == 0, result.output
    assert len(_wheels(tmp_path / "far")) == 1


def test_all_parts_together_are_the_wheels_of_one_build(project: Path, tmp_path: Path) -> None:
    made: list[str] = []
    for part in ("1/3", "2/3", "3/3", "4/4"):
        result = _build(project, tmp_path / part, "--json", "--shard", part)
        assert result.returncode == 0, result.output
        assert {cell["state"] for cell in json.loads(result.stdout)["cells"]} <= {"built"}
        made += _wheels(tmp_path / part)
    # The fourth of four has nothing to do, and says so.
    assert "part 4/4: 0 wheels" in result.stderr
    assert len(made) == len(set(made)) == WHEELS


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, with which the page makes certificates, is missing"
)
def test_the_commands_of_the_page_do_what_it_says(project: Path, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "build-on-many-machines.md").read_text("utf-8")
    blocks = re.findall(r"<!-- commands: \w+ -->\n```sh\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shutil.copytree(project, tmp_path / "project")
    script = "\n".join(["set -e", "trap 'kill -9 $(jobs -p)' EXIT", *blocks]).replace("8786", port)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = run(["bash", "-c", script], cwd=tmp_path / "project", env=environ, check=False)
    assert result.returncode == 0, result.output
    assert len(_wheels(tmp_path / "project" / "dist")) == WHEELS
