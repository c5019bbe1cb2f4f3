"""Laws of mode `kernels`, and what its wheels require."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet

from gpuwheel.compatibility import load_tables
from gpuwheel.config import requirements
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode
from gpuwheel.plan import plan

if TYPE_CHECKING:
    from conftest import Project

PROJECT = """
[project]
name = "fused-ops"
version = "0.1.0"
requires-python = ">=3.10"
{dependencies}

[tool.gpuwheel.kernels.fused]
sources = ["csrc/kernels/*.cu"]

[tool.gpuwheel.extensions."fused_ops._kernels"]
mode = "kernels"
{keys}
"""
DYNAMIC = 'dynamic = ["dependencies"]'
FUSED = 'kernels = ["fused"]'


def text(*, dependencies: str = DYNAMIC, keys: str = FUSED, more: str = "") -> str:
    return PROJECT.format(dependencies=dependencies, keys=keys) + more


def test_it_needs_no_sources_and_requires_what_launches(project: Project) -> None:
    config = project.replace(text()).load()
    assert requirements(config, SpecifierSet(">=2.10")) == (
        "torch>=2.10",
        'cuda-core<2,>=1.0; sys_platform == "linux" or sys_platform == "win32"',
    )


def test_its_cell_is_for_every_platform(project: Project) -> None:
    (decision,) = plan(project.replace(text()).load(), load_tables())
    assert decision.accepted
    assert decision.cell.identifier == "kernels-cu12.9-torch2.10-any"
    assert (decision.cell.mode, decision.cell.platform, decision.cell.python_tag) == (Mode.KERNELS, "any", "py3-none")
    assert decision.reason == "one wheel serves every Python, torch >=2.10 and drivers >=525"


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        (text(keys=""), r'^extensions\."fused_ops\._kernels" .*has no kernels', 'kernels = ["NAME"]'),
        (text(keys=f'{FUSED}\nsources = ["csrc/ops.cpp"]'), r"sources .*is not for mode 'kernels'", 'mode = "embed"'),
        (text(keys=f'{FUSED}\nflags = ["-O3"]'), r"flags .*is not for mode 'kernels'", None),
        (text(keys=f"{FUSED}\nrdc = true"), r"rdc .*is not for mode 'kernels'", None),
        (
            text(more='[tool.gpuwheel.wheel]\nplatform = "manylinux_2_28"'),
            r"^wheel.platform .*is not for mode 'kernels'",
            "py3-none-any",
        ),
        (
            text(more='[tool.gpuwheel.extensions."fused_ops._C"]\nsources = ["csrc/ops.cpp"]'),
            r"stand beside others \(found embed, kernels",
            "launch these kernels from it",
        ),
        (
            text(dependencies='dependencies = ["torch>=2.10"]'),
            r"^project.dependencies .*lacks cuda-core",
            "cuda-core<2,>=1.0",
        ),
        (text(more='[tool.gpuwheel.extensions."fused_ops._C"]\nmode = "embed"'), r"has no sources", "add sources to"),
    ],
)
def test_what_does_not_go_together(project: Project, document: str, message: str, hint: str | None) -> None:
    project.replace(document)
    with pytest.raises(ConfigError, match=message) as caught:
        project.load()
    assert (hint or "") in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("toolkits", "more", "reason", "hint"),
    [
        ('["13.2"]', "", None, None),
        ('["12.8"]', "", "toolkits names cuda 12.8, which has no device compiler", 'toolkits = ["13.2"]'),
        ('["13.9"]', "", "toolkits names cuda 13.9, which has no device compiler", None),
        ('["13.2"]', 'archs = ["7.0"]', "archs names 7.0, which cuda 13.2 of toolkits does not compile for", None),
    ],
)
def test_further_toolkits(project: Project, toolkits: str, more: str, reason: str | None, hint: str | None) -> None:
    document = text(keys=f"{FUSED}\ntoolkits = {toolkits}", more=f"[tool.gpuwheel]\n{more}")
    (decision,) = plan(project.replace(document).load(), load_tables())
    assert decision.accepted == (reason is None)
    assert (reason or "") in decision.reason
    assert (hint or "") in (decision.hint or "")


def test_further_toolkits_are_for_this_mode(project: Project) -> None:
    project.write(extension='toolkits = ["13.2"]')
    with pytest.raises(ConfigError, match=r"toolkits .*is not for mode 'embed'"):
        project.load()


def test_static_dependencies_with_the_launcher(project: Project) -> None:
    config = project.replace(text(dependencies='dependencies = ["torch>=2.10", "cuda-core>=1.1"]')).load()
    assert requirements(config, SpecifierSet(">=2.10")) == ()
