"""Names from outside in pipelines: one value for YAML, one word for shells, whatever they are."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from ci_files import parsed, validate
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpuwheel._run import run
from gpuwheel.cli import main
from gpuwheel.errors import ConfigError, WorkflowError
from gpuwheel.workflows.quoting import check_folder, scalar, word

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

SERVICES = pytest.mark.parametrize("service", ["github", "gitlab"])
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(NAMES)
@example("on")
@example("2.10")
@example("a: b #c")
@example('"\\\n\x85\u2028\U0001f600')
def test_yaml_and_python_have_any_name_back(name: str) -> None:
    text = scalar(name)
    assert text.isascii()
    assert text.isprintable()
    for written in (f"a: {text}\n", f"a: [{text}][0]\n".replace("[0]", ""), f"{{a: {text}}}"):
        value = yaml.safe_load(written)["a"]
        assert (value if isinstance(value, str) else value[0]) == name
    assert ast.literal_eval(text) == name


@settings(max_examples=40)
@given(st.lists(NAMES, min_size=1, max_size=20))
@example(["$(id>&2)", "a b", "\n", "'", "${{ github.token }}", "--", "\udcff"])
def test_a_shell_sees_one_word(names: list[str]) -> None:
    words = [word(name) for name in names]
    assert all(each.isascii() and each.isprintable() and "{{" not in each for each in words)
    script = f"print() {{ {sys.executable} -c 'import os, sys; print(list(map(os.fsencode, sys.argv[1:])))' \"$@\"; }}"
    done = run(["bash", "-c", f"{script}\nprint {' '.join(words)}"])
    assert ast.literal_eval(done.stdout) == [name.encode(errors="surrogateescape") for name in names]


@SERVICES
@pytest.mark.parametrize("branch", ["2.10", "on", "release/1.x", "c++"])
def test_a_branch_is_a_string(text_of: Callable[..., str], service: str, branch: str) -> None:
    document = parsed(text_of(service, "--branch", branch))
    if service == "github":
        assert document["on"]["push"]["branches"] == [branch.replace("+", "\\+")]
    else:
        assert document["workflow"]["rules"][1]["if"] == f'$CI_COMMIT_BRANCH == "{branch}"'


@SERVICES
@pytest.mark.parametrize("branch", ['a" || "" == "', "a b", "a\njobs: {}", "*", "`id`", ""])
def test_what_is_no_branch_is_told(ci: Callable[..., Result], service: str, branch: str) -> None:
    result = ci(service, "--output", "-", "--branch", branch)
    assert (result.exit_code, result.stdout) == (WorkflowError.exit_code, "") if branch else (0, result.stdout)


def _in_folder(project: Path, name: str) -> Path:
    folder = project.parent / "top" / name
    (project.parent / "top" / ".git").mkdir(parents=True)
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git"))
    return folder


@SERVICES
@pytest.mark.parametrize("name", ["my ops", "on", "a: b #c", "\u00f6ps", "2.10"])
def test_a_folder_of_any_name(project: Path, service: str, name: str) -> None:
    folder = _in_folder(project, name)
    result = CliRunner().invoke(main, ["ci", service, str(folder), "--output", "-"])
    assert result.exit_code == 0, result.output
    assert result.stdout.isascii()
    validate(result.stdout, {"github": "github-workflows", "gitlab": "gitlab-ci"}[service])
    document = parsed(result.stdout)
    if service == "gitlab":
        assert document["sdist"]["artifacts"]["paths"] == [f"{name}/dist/*.tar.gz"]
        script = document["sdist"]["script"][-1]
        entered = document["test"]["script"][1]
        assert entered == f"cd {word(name)}\n"
    else:
        steps = document["jobs"]["sdist"]["steps"]
        assert steps[-1]["with"]["path"] == f"{name}/dist/*.tar.gz"
        script = steps[-2]["run"]
        places = [step["working-directory"] for step in document["jobs"]["test"]["steps"] if "run" in step]
        assert set(places) == {name}
    (line,) = [line for line in script.splitlines() if "--sdist" in line]
    said = run(["bash", "-c", re.sub(r".*--sdist", r"printf '%s\\n'", line)]).stdout
    assert said.splitlines() == ["--outdir", f"{name}/dist", name]


@pytest.mark.parametrize("name", ["*", "-x", "$HOME", "${{ github.token }}", "a\nb", "#a", " a"])
def test_a_folder_that_services_would_take_for_something_else_is_told(project: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["ci", "github", str(_in_folder(project, name)), "--output", "-"])
    # Of some, the rules for any project say so first.
    assert result.exit_code in {ConfigError.exit_code, WorkflowError.exit_code}
    assert result.stdout == ""
    with pytest.raises(WorkflowError):
        check_folder(name)


@SERVICES
def test_a_strangers_test_file_is_a_word(project: Path, text_of: Callable[..., str], service: str) -> None:
    names = ["test_$(id>&2).py", "test_${{ github.token }}.py", "test_a b: #c.py", "test_\n- x.py"]
    for name in names:
        (project / "tests" / name).write_text("def test_it(fake_gpu): ...\n", encoding="utf-8")
    pyproject = project / "pyproject.toml"  # without PTX nothing is executed, and the files are named
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace("+PTX", ""), encoding="utf-8")
    text = text_of(service)
    assert "{{ github.token" not in text
    document = parsed(text)
    script = (
        document["jobs"]["launches"]["steps"][-1]["run"] if service == "github" else document["launches"]["script"][-1]
    )
    done = run(["bash", "-c", script.replace("pytest", "printf '%s\\0'", 1)])
    assert (done.stderr, set(done.stdout.split("\0")) - {""}) == (
        "",
        {
            *("--fake-gpu", "--fake-gpu-driver", "13.0", "--fake-gpu-record"),
            *("tests/test_launches.py", *(f"tests/{name}" for name in names)),
        },
    )
