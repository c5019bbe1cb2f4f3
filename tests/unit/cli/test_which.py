"""`gpuwheel which`: the answer in a terminal and as a document."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner, Result
from offered import offered

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.publish.device_facts import DeviceCode, Ptx

if TYPE_CHECKING:
    from pathlib import Path

THERE = ["--elsewhere", "--python", "3.12"]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    hopper = DeviceCode(("ops/_C.so",), ("9.0",), (), "580", further=False)
    rows = [offered("1.0"), offered("1.1+cu130", code=[hopper], cuda="13.0"), offered("1.1+cu126")]
    rows.append(offered("1.2", tags=["cp310-abi3-win_amd64"]))
    folder = tmp_path / "simple/ops"
    folder.mkdir(parents=True)
    (folder / "wheels.json").write_text(json.dumps([row.to_json() for row in rows]), encoding="utf-8")
    return tmp_path


def which(index: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["which", "ops", "--index", str(index), *words])


def document(index: Path, *words: str) -> dict[str, object]:
    result = which(index, "--json", *words)
    found: dict[str, object] = json.loads(result.stdout)
    jsonschema.validate(found, json.loads(resource("data", "which.schema.json").read_text(encoding="utf-8")))
    return found | {"exit": result.exit_code}


def best(index: Path, *words: str) -> object:
    found = document(index, *THERE, *words)
    wheels = found["wheels"]
    assert isinstance(wheels, list)
    return wheels[0]["version"] if found["fits"] else None


def test_the_command_to_type_is_printed(index: Path) -> None:
    result = which(index, *THERE, "--gpu", "H100", "--driver", "570")
    assert result.exit_code == 0
    assert 'python -m pip install "ops @ file:///' in result.stdout
    assert "ops 1.1+cu126" in result.stdout.splitlines()[0]
    assert "driver 570, expected 580 or newer, for GPU 9.0" in result.stdout


def test_the_lines_for_one_tool_are_printed_alone(index: Path) -> None:
    told = document(index, *THERE)["lines"]
    assert isinstance(told, dict)
    assert set(told) == {"pip", "uv", "pixi", "Containerfile", "pyproject.toml"}
    for tool, text in told.items():
        assert which(index, *THERE, "--print", tool).stdout == f"{str(text).rstrip()}\n"
    nothing = which(index, *THERE, "--print", "pip", "--glibc", "2.17")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "C library" in nothing.stderr


def test_words_of_others_do_not_reach_the_terminal_as_commands(index: Path) -> None:
    rows = [offered("1.0"), offered("1.1", yanked="\x1b[2Jgone"), offered("1.2", python=">=3.13,\x1b]0;taken\x07")]
    rows += [offered("1.3", python="===\x1b[31mred"), offered("1.4", yanked="\x9b31mred\u202e")]
    text = json.dumps([row.to_json() for row in rows])
    (index / "simple/ops/wheels.json").write_text(text, encoding="utf-8")
    result = which(index, *THERE, "--all")
    assert result.exit_code == 0
    assert "withdrawn" in result.stdout
    assert not set("\x1b\x07\x9b\u202e") & set(result.stdout)


@pytest.mark.parametrize("odd", ["", "nine", "9.0+PTX", "a" * 5000, "99999999999999999999.1"])
def test_code_for_no_gpu_is_refused(index: Path, odd: str) -> None:
    for code in (
        DeviceCode(("a",), (odd,), (), None, further=False),
        DeviceCode(("a",), (), (Ptx(odd, None),), None, further=False),
    ):
        text = json.dumps([offered("1.0", code=[code]).to_json()])
        (index / "simple/ops/wheels.json").write_text(text, encoding="utf-8")
        assert which(index, *THERE, "--gpu", "9.0").exit_code == 9


def test_options_tell_a_machine(index: Path) -> None:
    assert best(index, "--gpu", "9.0", "--driver", "580.65.06") == "1.1+cu130"
    assert best(index, "--gpu", "h100", "--cuda", "12.8") == "1.1+cu126"
    assert best(index, "--gpu", "NVIDIA A100-SXM4-80GB", "--cuda", "13.1") == "1.1+cu126"
    assert best(index, "--system", "windows") == "1.2"
    assert best(index, "--glibc", "2.17") is None
    assert best(index, "--musl", "1.2") is None
    assert best(index, "--cpu", "aarch64") is None
    for cpu in ("arm64", "ARM64", "AMD64", "x86_64"):
        machine = document(index, *THERE, "--cpu", cpu)["machine"]
        assert isinstance(machine, dict)
        assert machine["cpu"] == ("aarch64" if cpu.lower() == "arm64" else "x86_64")
    assert best(index, "--torch", "2.9") is None


def test_what_libraries_of_cuda_ask_is_told(index: Path) -> None:
    row = offered("3.0", code=[], runtimes=[13]).to_json()
    (index / "simple/ops/wheels.json").write_text(json.dumps([row]), encoding="utf-8")
    assert "none of its own: it calls libraries of CUDA 13, driver 580 or newer" in which(index, *THERE).stdout


def test_where_nothing_fits_the_exit_code_says_so(index: Path) -> None:
    result = which(index, *THERE, "--glibc", "2.17", "--all")
    assert result.exit_code == 1
    assert "C library glibc 2.17, expected glibc 2.28 or newer" in result.stdout
    found = document(index, *THERE, "--glibc", "2.17")
    assert (found["exit"], found["fits"], found["lines"]) == (1, False, {})


def test_this_machine_is_asked_where_nothing_is_told(index: Path) -> None:
    machine = document(index)["machine"]
    assert isinstance(machine, dict)
    assert machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert machine["system"] == "linux"


def test_an_interpreter_is_asked(index: Path) -> None:
    found = document(index, "--python", sys.executable, "--gpu", "none")["machine"]
    assert isinstance(found, dict)
    assert (found["python"], found["gpus"]) == (".".join(map(str, sys.version_info[:3])), [])


def test_the_environment_in_use_is_asked(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"python": "3.12.1", "threads": False, "torch": "2.13.0", "cuda": "13.0"})
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    machine = document(index)["machine"]
    assert isinstance(machine, dict)
    assert (machine["python"], machine["torch"], machine["torch_cuda"]) == ("3.12.1", "2.13.0", "13.0")


@pytest.mark.parametrize(
    "words",
    [
        ["--elsewhere"],
        ["--system", "windows"],
        [*THERE, "--driver", "580", "--cuda", "13.0"],
        [*THERE, "--glibc", "2.28", "--musl", "1.2"],
        [*THERE, "--glibc", "new"],
        [*THERE, "--gpu", "Radeon VII"],
        [*THERE, "--torch", "newest"],
        [*THERE, "--driver", "R580"],
        [*THERE, "--cuda", "6.5"],
        [*THERE, "--print", "pip", "--json"],
        [*THERE, "--cpu", "sparc"],
        [*THERE, "--system", "macos", "--glibc", "2.28"],
        [*THERE, "--system", "windows", "--musl", "1.2"],
    ],
)
def test_what_is_not_understood_is_refused(index: Path, words: list[str]) -> None:
    result = which(index, *words)
    assert result.exit_code == 2
    assert "Error:" in result.stderr


def test_an_interpreter_that_is_none_is_refused(index: Path, tmp_path: Path) -> None:
    assert which(index, "--python", str(tmp_path / "nowhere")).exit_code == 10
