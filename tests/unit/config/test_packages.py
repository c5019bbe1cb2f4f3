"""Which packages the inner backend is told to put into the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project


def add(project: Project, *packages: str) -> None:
    for package in packages:
        (project.root / package).mkdir(parents=True)
        (project.root / package / "__init__.py").touch()


def told(project: Project, **environ: str) -> object:
    return project.load(environ).inner.get("wheel.packages")


@pytest.mark.parametrize("base", ["src/", "python/", ""])
def test_a_package_of_the_projects_name_is_found_by_the_inner_backend(project: Project, base: str) -> None:
    add(project, f"{base}fused_ops")
    assert told(project) is None


def test_the_package_of_an_extension_may_have_another_name(project: Project) -> None:
    add(project, "src/fused_ops")
    project.write(project='[project]\nname = "cuda-things"\nversion = "1"\ndynamic = ["dependencies"]\n')
    assert told(project) == ["src/fused_ops"]


def test_the_package_of_the_projects_name_stays(project: Project) -> None:
    add(project, "src/fused_ops", "src/cuda_things")
    project.write(project='[project]\nname = "cuda-things"\nversion = "1"\ndynamic = ["dependencies"]\n')
    assert told(project) == ["src/cuda_things", "src/fused_ops"]


def test_without_extensions_all_packages_in_src_belong_to_it(project: Project) -> None:
    add(project, "src/one", "src/two")
    (project.root / "pyproject.toml").write_text(
        '[project]\nname = "cuda-things"\nversion = "1"\ndynamic = ["dependencies", "optional-dependencies"]\n'
        '[tool.gpuwheel]\nnvmath = ">=1.0"\n',
        encoding="utf-8",
    )
    assert told(project) == ["src/one", "src/two"]


def test_who_names_packages_is_right(project: Project) -> None:
    add(project, "src/fused_ops")
    named = '[project]\nname = "cuda-things"\nversion = "1"\ndynamic = ["dependencies"]\n'
    project.write(project=named)
    assert told(project, SKBUILD_WHEEL_PACKAGES="src/fused_ops") is None
    assert project.load_with({"wheel.packages": "lib/x"}).inner["wheel.packages"] == "lib/x"
    project.write(project=named, tables='[tool.scikit-build]\nwheel.packages = ["lib/x"]\n')
    assert told(project) is None
