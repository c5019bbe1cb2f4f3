"""The key `nvmath` and the tables `extras`: what they make of `[project]`, and what they demand of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet

from gpuwheel.config import requirements
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Project

TORCH = SpecifierSet(">=2.10")


def table(rest: str) -> str:
    return f'[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n{rest}\n'


BOTH = table('dynamic = ["dependencies", "optional-dependencies"]')
OWN_EXTRA = """
[tool.gpuwheel.extras.test]
requires = ["pytest>=8", "tomli; python_version < '3.11'"]
"""


def test_the_floor_makes_an_extra_for_each_major(project: Project) -> None:
    config = project.write(project=BOTH, keys='nvmath = ">=1.0"').load()
    assert requirements(config, TORCH) == (
        "torch>=2.10",
        'nvmath-python[cu12]>=1.0; extra == "cu12"',
        'nvmath-python[cu13]>=1.0; extra == "cu13"',
    )


def test_further_extras_follow(project: Project) -> None:
    config = project.write(project=BOTH, keys='nvmath = ">=1.0"', tables=OWN_EXTRA).load()
    assert requirements(config, TORCH)[3:] == (
        'pytest>=8; extra == "test"',
        'tomli; python_version < "3.11" and extra == "test"',
    )


def test_an_extra_of_nvmath_takes_more(project: Project) -> None:
    more = '[tool.gpuwheel.extras.cu13]\nrequires = ["cuda-cccl[minimal-cu13]>=1.2"]'
    config = project.write(project=BOTH, keys='nvmath = ">=1.0"', tables=more).load()
    assert requirements(config, TORCH)[1:] == (
        'nvmath-python[cu12]>=1.0; extra == "cu12"',
        'nvmath-python[cu13]>=1.0; extra == "cu13"',
        'cuda-cccl[minimal-cu13]>=1.2; extra == "cu13"',
    )


def test_a_project_without_extensions(project: Project) -> None:
    config = project.replace(f'{BOTH}[tool.gpuwheel]\nnvmath = ">=1.0"\n').load()
    assert requirements(config, TORCH)[0] == "torch>=2.10"


@pytest.mark.parametrize("rest", ['cmake = "CMakeLists.txt"', '[tool.gpuwheel.kernels.fused]\nsources = ["csrc/*.cu"]'])
def test_kernels_and_cmake_want_an_extension(project: Project, rest: str) -> None:
    project.replace(f'{BOTH}[tool.gpuwheel]\nnvmath = ">=1.0"\n{rest}\n')
    with pytest.raises(ConfigError, match="has no extension"):
        project.load()


def test_extras_without_nvmath(project: Project) -> None:
    config = project.write(project=BOTH, tables=OWN_EXTRA).load()
    assert [text.partition(";")[0] for text in requirements(config, TORCH)] == [
        "torch>=2.10",
        "pytest>=8",
        "tomli",
    ]


def test_extras_are_gpuwheels_even_where_dependencies_are_static(project: Project) -> None:
    rest = 'dependencies = ["torch>=2.10"]\ndynamic = ["optional-dependencies"]'
    config = project.write(project=table(rest), keys='nvmath = ">=1.0"').load()
    assert requirements(config, TORCH) == (
        'nvmath-python[cu12]>=1.0; extra == "cu12"',
        'nvmath-python[cu13]>=1.0; extra == "cu13"',
    )


@pytest.mark.parametrize(
    ("rest", "keys", "tables", "message", "hint"),
    [
        (
            'dynamic = ["dependencies"]',
            'nvmath = ">=1.0"',
            "",
            r"^project.dynamic .*lacks 'optional-dependencies' .*nvmath",
            'dynamic = ["dependencies", "optional-dependencies"]',
        ),
        (
            'dynamic = ["dependencies"]\noptional-dependencies.test = ["pytest"]',
            'nvmath = ">=1.0"',
            "",
            r"^project.optional-dependencies .*is static \(found test; expected dynamic",
            "[tool.gpuwheel.extras.NAME]",
        ),
        ('dynamic = ["dependencies"]', "", OWN_EXTRA, r"lacks 'optional-dependencies' .*for extras", None),
        (
            'dynamic = ["dependencies", "optional-dependencies"]',
            'nvmath = ">=1.0"',
            '[tool.gpuwheel.extras.cu13]\nrequires = ["x", "nvmath_python[cu13]>=0.9"]',
            r"^extras.cu13 .*names nvmath-python, whose floor is the key nvmath \(found 'nvmath_python\[cu13\]>=0.9'\)",
            "take it out",
        ),
    ],
)
def test_a_project_whose_extras_have_two_writers(
    project: Project, rest: str, keys: str, tables: str, message: str, hint: str | None
) -> None:
    project.write(project=table(rest), keys=keys, tables=tables)
    with pytest.raises(ConfigError, match=message) as caught:
        project.load()
    assert (hint or "") in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["1.0", "==1.0", ">=1", ">=1.0,<2"])
def test_what_is_not_a_floor(project: Project, text: str) -> None:
    project.write(project=BOTH, keys=f'nvmath = "{text}"')
    with pytest.raises(ConfigError, match=r"^nvmath .*expected a floor such as '>=1.0'"):
        project.load()
