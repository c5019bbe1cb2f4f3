"""Cells in containers: engines, images, and what cibuildwheel is told. No engine is started."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel.errors import PlanError, ToolchainError
from gpuwheel.matrix.executors import CellFailedError, StoppedEarlyError
from gpuwheel.matrix.executors.container import ContainerExecutor, Surroundings
from gpuwheel.matrix.executors.engines import Engine, find_engine
from gpuwheel.matrix.executors.manylinux_images import identifier_of, image_of
from gpuwheel.matrix.own_wheel import OwnWheel
from gpuwheel.matrix.tasks import Task
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.matrix.executors import Made

EMBED = "embed-cu12.9-torch2.10-linux_x86_64"


def task(identifier: str = EMBED, python: str | None = None, **settings: str) -> Task:
    return Task(identifier, python, {**settings, "gpuwheel.only": identifier}, (), "key")


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'ops'\n", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("podman", Engine("podman")),
        (
            "docker; create_args: --gpus all --volume='/a b:/a'; disable_host_mount: true",
            Engine("docker", ("--gpus", "all", "--volume=/a b:/a"), ("disable_host_mount: true",)),
        ),
        ("podman; create-args: --network=host", Engine("podman", ("--network=host",))),
    ],
)
def test_an_engine_is_read_as_cibuildwheel_reads_it(text: str, engine: Engine) -> None:
    assert Engine.parse(text) == engine
    words = Engine.parse(engine.option(["--env=A=b c"])).create_args
    assert words == (*engine.create_args, "--env=A=b c")
    assert Engine.parse(engine.option([])).others == engine.others


def test_the_first_engine_that_runs_is_taken(bin_folder: Path, project: Path) -> None:
    environ = {"PATH": f"{bin_folder}:/bin:/usr/bin"}
    program(bin_folder, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")  # a client alone
    program(bin_folder, "podman", "exit 0")
    assert find_engine(project, environ).name == "podman"
    program(bin_folder, "docker", "exit 0")
    assert find_engine(project, environ).name == "docker"


def test_what_the_environment_or_the_project_names_is_taken(bin_folder: Path, project: Path) -> None:
    environ = {"PATH": f"{bin_folder}:/bin:/usr/bin"}
    for name in ("docker", "podman"):
        program(bin_folder, name, "exit 0")
    table = '[tool.cibuildwheel]\ncontainer-engine = {name = "podman", create-args = ["--gpus", "all"]}\n'
    (project / "pyproject.toml").write_text(table, encoding="utf-8")
    assert find_engine(project, environ) == Engine("podman", ("--gpus", "all"))
    assert find_engine(project, {**environ, "CIBW_CONTAINER_ENGINE": "docker"}) == Engine("docker")
    (project / "pyproject.toml").write_text(
        '[tool.cibuildwheel.linux]\ncontainer-engine = "podman"\n', encoding="utf-8"
    )
    assert find_engine(project, environ) == Engine("podman")


@pytest.mark.parametrize("stated", [{}, {"CIBW_CONTAINER_ENGINE": "docker"}])
def test_without_an_engine_the_way_without_containers_is_told(
    bin_folder: Path, project: Path, stated: dict[str, str]
) -> None:
    program(bin_folder, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ToolchainError, match="Cannot connect") as caught:
        find_engine(project, {"PATH": str(bin_folder), **stated})
    assert 'platform = "manylinux_2_28"' in str(caught.value.hint)


def test_the_python_of_a_cell_builds_it_and_any_other_cell_the_running_one() -> None:
    assert identifier_of(task("nvcc-cu13.0-cp312-linux_x86_64", "3.12")) == "cp312-manylinux_x86_64"
    assert identifier_of(task("nvcc-cu13.0-cp314-linux_aarch64", "3.14")) == "cp314-manylinux_aarch64"
    assert identifier_of(task()) == f"cp{running_python().replace('.', '')}-manylinux_x86_64"
    with pytest.raises(PlanError, match="every machine"):
        identifier_of(task("kernels-cu12.9-any"))


def test_images_are_pinned_and_those_of_the_environment_stay() -> None:
    variable = "CIBW_MANYLINUX_X86_64_IMAGE"
    assert "manylinux_2_28_x86_64@sha256:" in image_of(task(), "manylinux_2_28", {})[variable]
    assert image_of(task(), "example.org/mine:1", {}) == {variable: "example.org/mine:1"}
    assert image_of(task(), "manylinux_2_28", {variable: "mine"}) == {variable: "mine"}
    cross = image_of(task("embed-cu12.9-torch2.10-linux_aarch64"), "manylinux_2_34", {})
    assert list(cross) == ["CIBW_MANYLINUX_AARCH64_IMAGE"]
    assert "manylinux_2_34_aarch64@" in cross["CIBW_MANYLINUX_AARCH64_IMAGE"]


def test_nvcc_that_no_index_has_comes_with_an_image_that_has_it() -> None:
    variable = "CIBW_MANYLINUX_X86_64_IMAGE"
    assert "cuda12_9" in image_of(task("nvcc-cu12.9-linux_x86_64"), "manylinux_2_28", {})[variable]
    assert "cuda" not in image_of(task("nvcc-cu13.0-linux_x86_64"), "manylinux_2_28", {})[variable]
    assert "cuda" not in image_of(task("embed-cu12.9-torch2.10-linux_x86_64"), "manylinux_2_28", {})[variable]
    with pytest.raises(PlanError, match=r"nvcc 12\.6.*known: 12\.9") as caught:
        image_of(task("nvcc-cu12.6-linux_x86_64"), "manylinux_2_28", {})
    assert variable in str(caught.value.hint)


FAKE = """
import json, os, pathlib, sys
words = sys.argv[1:]
out = pathlib.Path(words[words.index("--output-dir") + 1])
told = {name: value for name, value in os.environ.items() if name.startswith("CIBW_")}
pathlib.Path(os.environ["TOLD"]).write_text(json.dumps({"words": words, **told}))
print("Building wheel...")
print("usage_usec 2500000")
exec(os.environ.get("THEN", ""))
(out / "ops-1-py3-none-manylinux_2_28_x86_64.whl").write_bytes(b"wheel")
"""


class Told:
    """An executor whose cibuildwheel is a program that writes down what it was told."""

    def __init__(self, folder: Path, **environ: str) -> None:
        (folder / "fake.py").write_text(FAKE, encoding="utf-8")
        (folder / "own").mkdir()
        (folder / "out").mkdir()
        self.out, self.log, self.events = folder / "out", folder / "log", list[str]()
        self._told = folder / "told.json"
        around = Surroundings(
            engine=Engine("podman", ("--gpus=all",)),
            program=(sys.executable, str(folder / "fake.py")),
            sdist=folder / "ops-1.tar.gz",
            own=OwnWheel(folder / "own" / "gpuwheel-0.1.0+src1-py3-none-any.whl", "0.1.0+src1"),
            cache=folder / "cache",
            place="mine",
        )
        given = {"PATH": "/nonexistent", "TOLD": str(self._told), **environ}
        self.executor = ContainerExecutor(around, given, self._heard, slots=2, seconds=20)

    def _heard(self, task: Task, event: dict[str, Any]) -> None:
        del task
        self.events.append(event["text"])

    def build(self, **settings: str) -> Made:
        return self.executor.build(task(**settings), self.out, self.log)

    @property
    def told(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._told.read_text(encoding="utf-8"))
        return document


def test_cibuildwheel_is_told_the_cell_and_what_to_build_it_with(tmp_path: Path) -> None:
    secret = {"PIP_INDEX_URL": "https://user:secret@example.org/simple"}
    further = {"GPUWHEEL_CACHE_DIR": "/elsewhere", "GPUWHEEL_ARCHS": "9.0", "CXXFLAGS": "-O1"}
    told = Told(tmp_path, **secret, **further)
    made = told.build(**{"gpuwheel.archs": "8.0 9.0"})
    assert made.wheel.read_bytes() == b"wheel"
    assert made.cpu_seconds == 2.5
    assert told.events == ["Building wheel..."]
    assert "Building wheel..." in told.log.read_text(encoding="utf-8")
    python = f"cp{running_python().replace('.', '')}"
    assert told.told["words"][:2] == ["--only", f"{python}-manylinux_x86_64"]
    assert told.told["words"][-1] == str(tmp_path / "ops-1.tar.gz")
    assert told.told["CIBW_MANYLINUX_X86_64_IMAGE"] == "mine"
    assert shlex.split(told.told["CIBW_CONFIG_SETTINGS_LINUX"]) == ["gpuwheel.archs=8.0 9.0", f"gpuwheel.only={EMBED}"]
    assert "gpuwheel repair" in told.told["CIBW_REPAIR_WHEEL_COMMAND_LINUX"]
    words = Engine.parse(told.told["CIBW_CONTAINER_ENGINE_LINUX"]).create_args
    assert words[0] == "--gpus=all"
    assert f"--volume={tmp_path / 'cache'}:/gpuwheel/cache" in words
    assert "--env=GPUWHEEL_CACHE_DIR=/gpuwheel/cache" in words
    # Secrets go by the engine's own environment: a command line is for all to see. Flags of this machine stay here.
    assert {"--env=PIP_INDEX_URL", "--env=GPUWHEEL_ARCHS"} <= set(words)
    assert not [word for word in words if "secret" in word or "CXXFLAGS" in word or "elsewhere" in word]


def test_a_container_learns_nothing_of_the_remote_of_this_machine(tmp_path: Path) -> None:
    stay = ("REMOTE", "REMOTE_KEY", "REMOTE_KEY_FILE", "REMOTE_TRUST", "REMOTE_VERIFY", "REMOTE_WRITE", "BROKER")
    passed = ("DEBUG", "INDEX_URL", "ARCHS")
    told = Told(tmp_path, **{f"GPUWHEEL_{name}": "marked" for name in (*stay, *passed)})
    told.build()
    words = Engine.parse(told.told["CIBW_CONTAINER_ENGINE_LINUX"]).create_args
    named = {word.partition("=")[2] for word in words if word.startswith("--env=GPUWHEEL_")}
    assert named == {"GPUWHEEL_CACHE_DIR=/gpuwheel/cache", *(f"GPUWHEEL_{name}" for name in passed)}


@pytest.mark.parametrize(
    ("then", "message", "hint"),
    [
        (
            "print('    error: ops.cpp does not compile (found x, expected y)\\n    hint: mend it'); sys.exit(1)",
            "ops.cpp does not compile",
            "mend it",
        ),
        ("sys.stderr.write('Error: no such image\\n'); sys.exit(125)", "no such image", None),
        ("print('Build failed because a pure Python wheel was generated.'); sys.exit(5)", "every machine", "--in"),
        ("sys.exit(3)", "cibuildwheel ended with 3", None),
        ("sys.exit(0) if out.joinpath('a.whl').write_bytes(b'') == 0 else 0", None, None),
        ("sys.exit(0)", "0 wheels", None),
    ],
)
def test_what_fails_in_a_container_is_told_as_if_it_failed_here(
    tmp_path: Path, then: str, message: str | None, hint: str | None
) -> None:
    told = Told(tmp_path, THEN=then)
    if message is None:
        assert told.build().wheel.name == "a.whl"
        return
    with pytest.raises(CellFailedError) as caught:
        told.build()
    assert message in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_a_container_that_takes_too_long_is_ended_and_removed(tmp_path: Path, bin_folder: Path) -> None:
    program(bin_folder, "podman", f'echo "$*" >> {tmp_path}/podman; [ "$1" = ps ] && echo abc; exit 0')
    told = Told(tmp_path, THEN="import time; time.sleep(60)", PATH=f"{bin_folder}:/bin:/usr/bin")
    threading.Timer(2, told.executor.stop).start()
    with pytest.raises(StoppedEarlyError):
        told.build()
    listed, removed = (tmp_path / "podman").read_text(encoding="utf-8").splitlines()
    assert "label=org.gpuwheel.cell=" in listed
    assert removed == "rm --force abc"
    with pytest.raises(StoppedEarlyError):  # and no other begins
        told.build()
