"""`gpuwheel new`: a project, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml
from template_releases import contents

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.cli.projects.answers import complete_template
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold import questions, template_names
from gpuwheel.scaffold.rendering import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_a_project_is_made(tmp_path: Path, gpuwheel: Callable[..., Result]) -> None:
    base = f"docker.io/library/python:3.12-slim@sha256:{'0' * 64}"
    answers = ("archs=8.0 9.0+PTX", "author=Ada", f"image={base}")
    result = gpuwheel("new", "below/My.Ops", "--defaults", *(word for each in answers for word in ("--data", each)))
    assert result.exit_code == 0, result.output
    project = tmp_path / "below" / "My.Ops"
    assert os.listdir(tmp_path / "below") == ["My.Ops"]  # noqa: PTH208 (names)
    assert (project / "src/my_ops/py.typed").is_file()
    assert 'name = "My.Ops"' in (project / "pyproject.toml").read_text(encoding="utf-8")
    assert f"gpuwheel image --base {base} " in (project / ".github/workflows/wheels.yml").read_text(encoding="utf-8")
    assert "A container image of it goes to ghcr.io" in (project / "README.md").read_text(encoding="utf-8")
    answers = yaml.safe_load((project / ".copier-answers.yml").read_bytes())
    assert answers["_src_path"] == "gpuwheel://templates.git"
    assert answers["_commit"].startswith("v")
    assert {key: answers[key] for key in ("template", "package_name", "archs", "author")} == {
        "template": "embed",
        "package_name": "my_ops",
        "archs": "8.0 9.0+PTX",
        "author": "Ada",
    }
    assert run(["git", "symbolic-ref", "--short", "HEAD"], cwd=project).stdout == "main\n"
    assert "made below/My.Ops:" in result.stdout
    assert "  cd below/My.Ops\n" in result.stdout
    assert "git commit" in result.stdout


def test_the_same_answers_give_the_same_bytes_also_in_a_folder_that_is_there(
    tmp_path: Path, gpuwheel: Callable[..., Result]
) -> None:
    """One in a clone of an empty repository, one from the other's answers, beside it."""
    run(["git", "init", "--quiet", tmp_path / "ops"])
    first = gpuwheel("new", "ops", "--defaults", "--json")
    assert first.exit_code == 0, first.output
    report = json.loads(first.stdout)
    jsonschema.validate(report, json.loads(resource("data", "new.schema.json").read_bytes()))
    made = contents(tmp_path / "ops")
    assert sorted(made) == report["files"]
    assert report["path"] == str(tmp_path / "ops")
    assert not report["repository"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ops"]

    second = gpuwheel("new", "other", "--defaults", "--data-file", "ops/.copier-answers.yml", "--no-git")
    assert second.exit_code == 0, second.output
    assert contents(tmp_path / "other") == made
    assert not (tmp_path / "other" / ".git").exists()


def test_a_dry_run_writes_nothing(tmp_path: Path, gpuwheel: Callable[..., Result]) -> None:
    result = gpuwheel("new", "ops", "--defaults", "--dry-run", "--template", "kernels")
    assert result.exit_code == 0, result.output
    assert "pyproject.toml\n" in result.stdout
    assert "files of template kernels; nothing was written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_templates_are_shown(gpuwheel: Callable[..., Result]) -> None:
    result = gpuwheel("new", "--list")
    assert result.exit_code == 0
    shown = [line.split()[0] for line in result.stdout.splitlines()]
    assert sorted(shown) == sorted([*template_names(), "existing"])
    document = json.loads(gpuwheel("new", "--list", "--json").stdout)
    jsonschema.validate(document, json.loads(resource("data", "templates.schema.json").read_bytes()))
    assert [template["name"] for template in document["templates"]] == shown


def test_what_is_to_be_typed_next_needs_no_new_pip(tmp_path: Path, gpuwheel: Callable[..., Result]) -> None:
    """pip installs a dependency group by its name from 25.1 on, and Debian 12 has 23.0."""
    result = gpuwheel("new", "ops", "--defaults")
    (install,) = [line for line in result.stdout.splitlines() if "pip install" in line]
    assert "--group" not in install
    assert "pytest" in install
    assert (tmp_path / "ops" / "pyproject.toml").is_file()


def test_a_path_or_the_list_is_asked_for(gpuwheel: Callable[..., Result]) -> None:
    assert gpuwheel("new").exit_code == 2


def test_the_shell_completes_templates_and_answers(environ: dict[str, str]) -> None:
    assert sorted(item.value for item in complete_template(None, None, "")) == template_names()  # type: ignore[arg-type]
    words = "gpuwheel new ops --data licen"
    variables = {"COMP_WORDS": words, "COMP_CWORD": "4", "_GPUWHEEL_COMPLETE": "bash_complete"}
    code = "from gpuwheel.cli import main; main(prog_name='gpuwheel')"
    assert run([sys.executable, "-c", code], env={**environ, **variables}).stdout == "plain,license=\n"
    variables["COMP_WORDS"] = "gpuwheel new ops --data license=M"
    assert run([sys.executable, "-c", code], env={**environ, **variables}).stdout == "plain,license=MIT\n"


# --- What stands against it -------------------------------------------------------------------------------------------

MISTAKES = {
    "template": (["--template", "kernel"], "none of the choices (found 'kernel', expected embed", "mean 'kernels'?"),
    "existing": (["--template", "existing"], "existing is not made from files", "gpuwheel init ops"),
    "key": (["--data", "licence=MIT"], "there is no question 'licence'", "did you mean 'license'?"),
    "choice": (["--data", "license=mit"], "license is none of the choices (found 'mit'", "did you mean 'MIT'?"),
    "boolean": (["--data", "cutile=perhaps"], "(found 'perhaps', expected true or false)", ""),
    "lines": (["--data", "description=a\nb"], "description is more than a line of text", ""),
    "type": (["--data-file", "list.yml"], "archs has the wrong type (found ['8.0'], expected a text)", ""),
    "not asked": (["--data", "cutile=true"], "template embed does not ask for cutile", "leave out cutile"),
    "no git": (["PATH="], "git is not there (found none on PATH", "install git"),
    "not asked for": ([], "nobody can be asked here", "add --defaults"),
}


@pytest.mark.parametrize(("words", "error", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(words: list[str], error: str, hint: str, gpuwheel: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "list.yml").write_text("archs: ['8.0']\n", encoding="utf-8")
    variables = {"PATH": ""} if words == ["PATH="] else {}
    options = [] if not words else ["--defaults", *(words if not variables else [])]
    result = gpuwheel("new", "ops", *options, **variables)
    assert result.exit_code == ScaffoldError.exit_code, result.output
    assert error in result.stderr
    assert hint in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["list.yml"]


def test_a_copier_that_is_not_there(
    gpuwheel: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "copier", None)
    for words in (["new", "ops", "--defaults"], ["new", "--list"], ["update"]):
        result = gpuwheel(*words)
        assert result.exit_code == ScaffoldError.exit_code
        assert "copier, which renders templates, is not installed" in result.stderr
        assert "hint: pip install --upgrade 'gpuwheel[new]'" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert sorted(item.value for item in complete_template(None, None, "")) == template_names()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "hint"), [("notes.txt", "choose another path"), ("setup.py", "gpuwheel init"), (".hidden", "choose")]
)
def test_a_folder_that_is_not_empty(name: str, hint: str, gpuwheel: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / name).write_text("mine\n", encoding="utf-8")
    result = gpuwheel("new", "ops", "--defaults")
    assert result.exit_code == ScaffoldError.exit_code
    assert f"is not empty (found {name}; expected an empty folder, or nothing)" in result.stderr
    assert hint in result.stderr
    assert contents(tmp_path) == {f"ops/{name}": b"mine\n"}


def test_a_file_in_place_of_the_folder(gpuwheel: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "ops").symlink_to("nowhere")
    result = gpuwheel("new", "ops", "--defaults")
    assert result.exit_code == ScaffoldError.exit_code
    assert "ops is not a folder" in result.stderr
    assert os.readlink(tmp_path / "ops") == "nowhere"  # noqa: PTH115 (text)


ANSWERS = {"template": "embed", "project_name": "ops", "package_name": "ops", "archs": "9.0"}
INVALID = [
    ("project_name", "my ops", "is no name of a project"),
    ("project_name", "-ops", "is no name of a project"),
    ("project_name", "Torch", "is the name of a project that this one will use"),
    ("package_name", "3d_ops", "cannot be imported (letters"),
    ("package_name", "Ops", "cannot be imported (letters"),
    ("package_name", "async", "it is a keyword of Python"),
    ("package_name", "json", "would hide a module of Python"),
    ("package_name", "torch", "would hide a module that the project uses"),
    ("package_name", "gpuwheel", "would hide a module that the project uses"),
    ("package_name", "operators", "would hide a module that the project uses"),
    ("package_name", "pip", "would hide a module that the project uses"),
    ("package_name", "test", "would hide a module of Python"),
    ("package_name", "json", "would hide a module of Python"),
    ("package_name", "class", "is a keyword of Python"),
    ("archs", "8.0,9.0", "are no compute capabilities"),
    ("archs", "sm_90", "are no compute capabilities"),
    ("archs", "9.0 +PTX", "are no compute capabilities"),
    ("archs", "8.0 9.9", "compiles for 9.9 (known are 5.0"),
    ("image", "docker.io/library/python:3.12-slim", "names no base that stays the same"),
    ("image", f"python@sha256:{'0' * 63}", "names no base that stays the same"),
    ("image", f"python'; reboot @sha256:{'0' * 64}", "names no base that stays the same"),
    ("image", "", "names no base that stays the same"),
]


@pytest.mark.parametrize(("question", "value", "error"), INVALID)
def test_answers_that_cannot_be(question: str, value: str, error: str, tmp_path: Path) -> None:
    """The validators, which speak at a prompt too: here every question has its answer in advance."""
    rest = {name: next(iter(each.choices), "x") for name, each in questions().items() if not each.is_bool}
    answers = {**rest, "ci": "github", "image": "none", "cublaslt": False, "cutile": False, **ANSWERS, question: value}
    with pytest.raises(ScaffoldError, match=f"answer {question}: ") as caught:
        ask(tmp_path / "ops", answers, {})
    assert error in caught.value.message
    assert caught.value.hint == f"--data {question}=..."


def test_an_interrupt_leaves_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gpuwheel", "new", "ops", "--defaults"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".gpuwheel-new-*")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_call(environ: dict[str, str], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "gpuwheel", "new", "ops", "--defaults"]
    quiet = {"cwd": tmp_path, "env": environ, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, **quiet) as process:
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".gpuwheel-new-*")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    assert len(list(tmp_path.glob(".gpuwheel-new-*"))) == 1
    others = tmp_path / ".gpuwheel-new-00-1-abc"  # of another machine on this disk
    others.mkdir()
    made = subprocess.run(words, cwd=tmp_path, env=environ, check=False, capture_output=True, text=True)  # noqa: TID251
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [others.name, "ops"]


@pytest.mark.parametrize("length", [230, 255, 300])
def test_a_long_name_is_a_name_or_an_error(length: int, gpuwheel: Callable[..., Result]) -> None:
    result = gpuwheel("new", "a" * length, "--defaults")
    assert result.exit_code in {0, 13, 15}, result.output  # made, refused, too long for the disk
    assert "Traceback" not in result.output
