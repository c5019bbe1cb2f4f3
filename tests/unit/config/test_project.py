"""What gpuwheel demands of `[project]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Project


def table(*, name: str = 'name = "x"', python: str = ">=3.10", rest: str = 'dynamic = ["dependencies"]') -> str:
    return f'[project]\n{name}\nversion = "1"\nrequires-python = "{python}"\n{rest}\n'


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", r"has no \[project\] table", "[project]"),
        (table(name=""), r"^project.name .*is missing", "name ="),
        (table(name="name = 3"), r"^project.name .*found 3", None),
        (table(rest=""), r"^project.dynamic .*lacks 'dependencies'", 'add dynamic = ["dependencies"]'),
        (table(rest='dynamic = ["dependencies"]\ndependencies = []'), r"both static and dynamic", None),
        (table(rest="dependencies = []"), r"no torch floor .*expected 'torch>=2.10'", 'dynamic = ["dependencies"]'),
        (table(rest='dependencies = ["torch"]'), r"no torch floor .*found \['torch'\]", None),
        (table(rest='dependencies = ["torch>=2.9"]'), r"no torch floor .*'torch>=2.9'", None),
        (table(rest="""dependencies = ["torch>=2.10; python_version >= '3.12'"]"""), r"no torch floor", None),
        (table(rest='dependencies = ["torch<3"]'), r"no torch floor", None),
        (table(rest='dependencies = ["x y"]'), r"not a requirement \(found 'x y'", None),
        (table(rest='dependencies = "torch"'), r"not a list of strings", None),
        (table(python=">=3.8"), r"^project.requires-python .*found '>=3.8'", 'requires-python = ">=3.10"'),
        (table(python=">=3.9.5"), r"^project.requires-python .*found '>=3.9.5'", None),
        (table(python="==3.9.7"), r"^project.requires-python", None),
        (table(python="<4"), r"^project.requires-python", None),
        (table(python="3.10"), r"not a specifier", None),
    ],
)
def test_a_project_that_cannot_be_built(project: Project, text: str, message: str, hint: str | None) -> None:
    project.write(project=text)
    with pytest.raises(ConfigError, match=message) as caught:
        project.load()
    if hint is not None:
        assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("python", [">=3.10", "~=3.11", ">=3.10,<3.14", "==3.12.*"])
def test_pythons_that_are_new_enough(project: Project, python: str) -> None:
    assert project.write(project=table(python=python)).load().project.requires_python == python


@pytest.mark.parametrize(
    "requirement", ["torch>=2.10", "Torch >= 2.11", "torch~=2.12", "torch==2.13.*", "torch>=2.10,<3"]
)
def test_static_dependencies_with_the_floor(project: Project, requirement: str) -> None:
    project.write(project=table(rest=f'dependencies = ["numpy", "{requirement}"]'))
    assert project.load().project.dependencies == ("numpy", requirement)


def test_the_configured_floor_is_the_measure(project: Project) -> None:
    project.write(project=table(rest='dependencies = ["torch>=2.10"]'), keys='torch = ">=2.12"')
    with pytest.raises(ConfigError, match=r"expected 'torch>=2.12'"):
        project.load()


def test_dependencies_in_two_places(project: Project) -> None:
    project.write(project=table(rest='dependencies = ["torch>=2.10"]'), keys='dependencies = ["numpy"]')
    with pytest.raises(ConfigError, match=r"stated twice"):
        project.load()


def test_a_missing_requires_python_is_a_warning(project: Project) -> None:
    project.write(project='[project]\nname = "x"\nversion = "1"\ndynamic = ["dependencies"]\n')
    (line,) = project.load().warnings
    assert 'requires-python = ">=3.10"' in line


@pytest.mark.parametrize("text", ["[project", "a = 1\na = 2", "\x00"])
def test_a_document_that_is_not_toml(project: Project, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^pyproject.toml is not valid TOML"):
        project.replace(text).load()


def test_a_document_that_is_not_text(project: Project) -> None:
    (project.root / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^pyproject.toml is not valid TOML"):
        project.load()


def test_no_document(project: Project) -> None:
    (project.root / "pyproject.toml").unlink()
    with pytest.raises(ConfigError, match=r"^pyproject.toml is missing"):
        project.load()
