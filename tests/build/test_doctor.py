"""`gpuwheel doctor` on machines made of folders: a process with its own PATH, cache and pip configuration."""

from __future__ import annotations

import json
import resource as resource_usage
import shutil
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from small_project import PYPROJECT

from gpuwheel._resources import resource
from gpuwheel._run import Completed, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMPILER = 'case "$1" in --version) echo "my c++ 14.2"; echo;; -dumpmachine) echo x86_64-linux-gnu;; esac'


@dataclass
class Machine:
    """A folder for each part."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def program(self, name: str, body: str) -> None:
        program = self.root / "bin" / name
        program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        program.chmod(0o755)

    def doctor(self, *options: str, project: str = "project", **environ: str) -> Completed:
        own = {
            "PATH": str(self.root / "bin"),
            "HOME": str(self.root),
            "PIP_CONFIG_FILE": "/dev/null",
            "UV_NO_CONFIG": "1",
            "GPUWHEEL_CACHE_DIR": str(self.root / "cache"),
        }
        words = [sys.executable, "-m", "gpuwheel", "doctor", self.root / project, *options]
        return run(words, env={**own, **environ}, check=False)

    def document(self, *options: str, **environ: str) -> dict[str, Any]:
        done = self.doctor("--json", *options, **environ)
        document: dict[str, Any] = json.loads(done.stdout)
        jsonschema.validate(document, json.loads(resource("data", "doctor.schema.json").read_text(encoding="utf-8")))
        ids = [check["id"] for check in document["checks"]]
        assert len(ids) == len(set(ids))
        assert document["builds"] == (done.returncode == 0)
        return {check["id"]: check for check in document["checks"]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for folder in ("bin", "cache", "project", "empty"):
        (tmp_path / folder).mkdir()
    machine = Machine(tmp_path)
    machine.program("c++", COMPILER)
    (tmp_path / "project/pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / "project/k.cu").touch()
    (tmp_path / "project/ops.cpp").touch()
    return machine


def test_a_machine_that_builds(machine: Machine) -> None:
    done = machine.doctor("--no-network")
    assert done.returncode == 0, done.output
    assert "my c++ 14.2" in done.stdout
    assert "NVRTC of CUDA 12.9: the first build fetches it" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("nothing would stop a build")
    assert "\x1b[" not in done.stdout


def test_it_takes_less_than_a_second_of_one_core(machine: Machine) -> None:
    """Processor time, for other tests may run beside this one; what waits does so for less than that."""
    times = []
    for _ in range(2):
        before = resource_usage.getrusage(resource_usage.RUSAGE_CHILDREN)
        machine.doctor("--no-network")
        after = resource_usage.getrusage(resource_usage.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 1.0


def test_colour_can_be_asked_for_and_forbidden(machine: Machine) -> None:
    assert "\x1b[" in machine.doctor("--no-network", FORCE_COLOR="1").stdout
    assert "\x1b[" not in machine.doctor("--no-network", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_the_document_follows_its_schema(machine: Machine) -> None:
    checks = machine.document("--no-network")
    assert checks["host-compiler"]["state"] == "ok"
    assert checks["host-compiler"]["where"] == f"{machine.root}/bin/c++, by PATH"
    assert checks["wheel-0"]["where"] == "embed-cu12.9-torch2.10-linux_x86_64"
    assert checks["device-compiler"]["state"] == "note"
    assert checks["index"]["found"] == "not asked (--no-network)"


def test_variables_in_force_are_named_with_what_follows(machine: Machine) -> None:
    environ = {
        "CPATH": "/old/cuda/include",
        "LDFLAGS": "-Wl,-rpath,/opt/conda/lib -L/opt/conda/lib",
        "CPPFLAGS": "-DVALUE=9",
        "PIP_CONSTRAINT": str(machine.root / "constraint.txt"),
    }
    (machine.root / "constraint.txt").write_text("nvidia-cuda-nvrtc-cu12==12.8.93\n", encoding="utf-8")
    checks = machine.document("--no-network", **environ)
    found = [check["found"] for check in checks.values()]
    assert any(line.startswith("CPATH reaches no compiler as it is: ") for line in found)
    assert any(line.startswith("-rpath /opt/conda/lib of LDFLAGS is left out: ") for line in found)
    assert any(line.startswith("LDFLAGS is honoured: ") for line in found)
    assert any(line.startswith("CPPFLAGS is not used: ") for line in found)
    assert "PIP_CONSTRAINT" in checks["constraint-nvidia-cuda-nvrtc-cu12"]["found"]
    without = machine.doctor("--no-network", project="empty", **environ).stdout
    assert "CPATH reaches no compiler as it is: " in without.replace("\n", " ")


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("CXXFLAGS", "-stdlib=libc++", "fix: torch and Python modules are linked to libstdc++"),
        ("CXX", "ccache c++", "fix: install ccache"),
        ("CMAKE_TOOLCHAIN_FILE", "/a.cmake", "fix: unset it, and name the compiler by CXX"),
    ],
)
def test_a_variable_that_stops_a_build_is_named_with_the_way_out(
    machine: Machine, variable: str, value: str, fix: str
) -> None:
    done = machine.doctor("--no-network", **{variable: value})
    assert done.returncode == 1, done.output
    assert fix in " ".join(done.stdout.split())


def test_no_compiler_stops_a_build(machine: Machine) -> None:
    (machine.root / "bin/c++").unlink()
    done = machine.doctor("--no-network")
    assert done.returncode == 1
    assert "no C++ compiler is found" in done.stdout
    assert "fix: install one" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 problem would stop a build"


def test_a_misspelt_key_stops_a_build(machine: Machine) -> None:
    (machine.root / "project/pyproject.toml").write_text(PYPROJECT.replace("archs", "arch"), encoding="utf-8")
    configuration = machine.document("--no-network")["configuration"]
    assert configuration["state"] == "error"
    assert "did you mean 'archs'" in configuration["fix"]


def test_a_source_that_is_not_there_stops_a_build(machine: Machine) -> None:
    (machine.root / "project/ops.cpp").unlink()
    assert "ops.cpp" in machine.document("--no-network")["configuration"]["found"]


def test_settings_count(machine: Machine) -> None:
    checks = machine.document("--no-network", "-C", "gpuwheel.archs=13.9")
    assert checks["wheel-0"]["state"] == "error"
    assert "13.9" in checks["wheel-0"]["found"]


def test_a_cache_that_is_a_file_stops_a_build(machine: Machine) -> None:
    (machine.root / "file").touch()
    cache = machine.document("--no-network", GPUWHEEL_CACHE_DIR=str(machine.root / "file"))["cache"]
    assert cache["state"] == "error"
    assert "is not a folder" in cache["found"]


def test_nothing_may_be_asked_for_what_has_to_be_fetched(machine: Machine) -> None:
    index = machine.document("--no-network", PIP_NO_INDEX="1")["index"]
    assert index["state"] == "error"
    assert "the device compiler" in index["found"]
    assert "gpuwheel fetch" in index["fix"]


def test_an_index_that_does_not_answer(machine: Machine) -> None:
    index = machine.document(GPUWHEEL_INDEX_URL="http://127.0.0.1:9/simple")["index-0"]
    assert index["state"] == "error"
    assert "cannot be reached" in index["found"]


def test_an_index_in_a_folder_answers(machine: Machine) -> None:
    index = machine.document(GPUWHEEL_INDEX_URL=(machine.root / "empty").as_uri())["index-0"]
    assert index["state"] == "ok"


def test_a_folder_without_a_project_is_only_a_machine(machine: Machine) -> None:
    done = machine.doctor("--no-network", project="empty")
    assert done.returncode == 0, done.output
    assert f"none in {machine.root / 'empty'}" in done.stdout


def test_an_old_cmake_is_told(machine: Machine) -> None:
    machine.program("sccache", "echo sccache 0.9.1")
    machine.program("ccache", "exit 3")
    checks = machine.document("--no-network")
    assert checks["sccache"]["found"] == "0.9.1"
    assert checks["ccache"]["found"] == "does not run"
    assert checks["ccache"]["state"] == "note"


def test_an_nvcc_that_nobody_has_stops_a_build(machine: Machine) -> None:
    (machine.root / "ops.cu").touch()
    text = PYPROJECT.partition("[tool.gpuwheel.kernels")[0].replace("archs", 'cuda = "12.4"\narchs')
    text += '[tool.gpuwheel.extensions."ops._C"]\nmode = "nvcc"\nsources = ["k.cu", "ops.cpp"]\n'
    (machine.root / "project/pyproject.toml").write_text(text, encoding="utf-8")
    macros = 'echo "#define __GNUC__ 11"; echo "#define __GNUC_MINOR__ 4"'
    machine.program("c++", COMPILER.replace("esac", f"-dM) {macros};; esac"))
    assert "no package index has nvcc" in machine.document("--no-network")["toolchain"]["found"]


def test_a_wheel_without_host_code_needs_no_compiler(machine: Machine) -> None:
    (machine.root / "bin/c++").unlink()
    text = PYPROJECT.replace('sources = ["ops.cpp"]', 'mode = "kernels"').replace("ops._C", "ops.launch")
    (machine.root / "project/pyproject.toml").write_text(text, encoding="utf-8")
    checks = machine.document("--no-network")
    assert checks["host-compiler"]["state"] == "note"
    assert "torch-headers" not in checks


def test_a_project_without_extensions_needs_no_compiler_at_all(machine: Machine) -> None:
    (machine.root / "bin/c++").unlink()
    head, _, _ = PYPROJECT.partition("[tool.gpuwheel]")
    lists = head.replace('["dependencies"]', '["dependencies", "optional-dependencies"]')
    text = f'{lists}[tool.gpuwheel]\nnvmath = ">=1.0"\n'
    (machine.root / "project/pyproject.toml").write_text(text, encoding="utf-8")
    checks = machine.document("--no-network")
    assert checks["host-compiler"]["state"] == "note"
    assert checks["wheel-0"]["where"] == "python-torch2.10-any"
    assert not {"device-compiler", "torch-headers"} & checks.keys()


def test_a_locked_project_without_its_lock_file(machine: Machine) -> None:
    lock = machine.document("--no-network", GPUWHEEL_LOCKED="1")["lock"]
    assert lock["state"] == "error"
    assert lock["fix"] == "write it: gpuwheel lock"


@pytest.mark.parametrize(("version", "told"), [("2.9.1+cu128", True), ("2.13.0", False)])
def test_a_torch_that_the_wheel_does_not_run_with_is_told(machine: Machine, version: str, *, told: bool) -> None:
    info = machine.root / f"site/torch-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n", encoding="utf-8")
    checks = machine.document("--no-network", PYTHONPATH=str(machine.root / "site"))
    assert checks["torch"]["found"] == version
    assert ("torch-runs" in checks) == told
    if told:
        assert checks["torch-runs"]["fix"] == "pip install 'torch>=2.10'"


@pytest.fixture
def no_programs(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that starts no programs."""
    folder = tmp_path / "noexec"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "noexec,size=1m", "tmpfs", folder]
    if shutil.which("mount") is None or run(words, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    run(["umount", folder])


@pytest.mark.parametrize(("mode", "state"), [("nvcc", "error"), ("embed", "warning")])
def test_a_cache_that_starts_no_programs_is_told(machine: Machine, no_programs: Path, mode: str, state: str) -> None:
    if mode == "nvcc":
        text = PYPROJECT.partition("[tool.gpuwheel]")[0] + '[tool.gpuwheel]\narchs = ["8.0"]\ncuda = "13.5"\n'
        text += '[tool.gpuwheel.extensions."ops._C"]\nmode = "nvcc"\nabi = "none"\nsources = ["k.cu", "ops.cpp"]\n'
        (machine.root / "project/pyproject.toml").write_text(text, encoding="utf-8")
        machine.program("c++", COMPILER.replace("esac", '-dM) echo "#define __GNUC__ 11";; esac'))
    check = machine.document("--no-network", GPUWHEEL_CACHE_DIR=str(no_programs))["cache-programs"]
    assert check["state"] == state
    assert f"the cache folder {no_programs} is on a file system that starts no programs" in check["found"]
    assert check["fix"] == "set GPUWHEEL_CACHE_DIR to a folder on another file system"


@pytest.mark.parametrize(
    ("line", "found", "has_fix"),
    [
        ("", 'ops._C collapses as it is: abi = "compat"', True),
        ("c10::Dispatcher d;\n", 'ops._C collapses with abi = "compat" but for 1 line', True),
        ("torch::class_<Counter> made;\n", 'ops._C cannot collapse (it uses torch::class_): abi = "exact"', False),
    ],
)
def test_sources_that_would_do_with_one_wheel_are_told(
    machine: Machine, line: str, found: str, *, has_fix: bool
) -> None:
    project = machine.root / "project"
    (project / "ops.cpp").write_text(f"#include <torch/extension.h>\n{line}", encoding="utf-8")
    head = '[project]\nname = "ops"\nversion = "1"\nrequires-python = ">=3.10"\ndynamic = ["dependencies"]\n'
    own = '[tool.gpuwheel]\narchs = ["8.0"]\ntorch = "==2.13.*"\n[tool.gpuwheel.extensions."ops._C"]\n'
    keys = 'mode = "nvcc"\nabi = "exact"\npython = "version"\nsources = ["ops.cpp"]\n'
    (project / "pyproject.toml").write_text(head + own + keys, encoding="utf-8")
    check = machine.document()["collapse-0"]
    assert (check["state"], check["found"], check["fix"] is not None) == ("note", found, has_fix)
