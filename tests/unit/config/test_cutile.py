"""Kernel groups of cuTile sources: what they may have, and who compiles them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.config import project_files
from gpuwheel.errors import ConfigError
from gpuwheel.plan import plan, resolve_job

if TYPE_CHECKING:
    from conftest import Project

PROJECT = """
[project]
name = "fused-ops"
version = "0.1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
{keys}

[tool.gpuwheel.kernels.tiles]
sources = ["csrc/tiles.py"]
{group}

[tool.gpuwheel.kernels.fused]
sources = ["csrc/kernels/*.cu"]

[tool.gpuwheel.extensions."fused_ops._kernels"]
mode = "kernels"
{extension}
"""
KEYS = 'cuda = "13.4"\ndriver = ">=580"\narchs = ["8.0", "9.0a"]'
TILES = 'kernels = ["tiles"]'


def text(*, keys: str = KEYS, group: str = "", extension: str = TILES) -> str:
    return PROJECT.format(keys=keys, group=group, extension=extension)


@pytest.fixture
def tiles(project: Project) -> Project:
    (project.root / "csrc" / "tiles.py").write_text("exports = {}\n", encoding="utf-8")
    return project


def test_a_group_of_cutile_sources(tiles: Project) -> None:
    config = tiles.replace(text(group='flags = ["-O2"]\ninclude-dirs = ["csrc"]')).load()
    (decision,) = plan(config, load_tables())
    assert decision.accepted, decision.reason
    assert decision.cell.identifier == "kernels-cu13.4-torch2.10-any"
    job = resolve_job(decision.cell, config.settings, project_files(config), load_tables())
    (group,) = job.groups[decision.cell.cuda]
    assert (group.uses_cutile, [arch.sm for arch in group.cubin_archs]) == (True, ["sm_80", "sm_90a"])


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        (
            text(group="").replace('"csrc/tiles.py"', '"csrc/tiles.py", "csrc/kernels/*.cu"'),
            r"^kernels\.tiles\.sources .*has cuTile sources beside others \(found '.*\.cu', expected Python modules",
            "add another",
        ),
        (text(group='defines = ["A"]'), r"^kernels\.tiles\.defines .*is for CUDA C\+\+", "remove it"),
        (text(group='std = "c++20"'), r"^kernels\.tiles\.std .*is for CUDA C\+\+", None),
        (
            text(extension=TILES).replace('mode = "kernels"', 'sources = ["csrc/ops.cpp"]'),
            r'^extensions\."fused_ops\._kernels" in mode \'embed\' has kernels of cuTile sources',
            'mode = "kernels"',
        ),
    ],
)
def test_what_does_not_go_together(tiles: Project, document: str, message: str, hint: str | None) -> None:
    tiles.replace(document)
    with pytest.raises(ConfigError, match=message) as caught:
        tiles.load()
    assert (hint or "") in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("document", "reasons", "hint"),
    [
        (
            text(keys=""),
            ["cuda 12.9 has no device compiler that gpuwheel pins for cuTile sources (expected 13.4)"],
            'cuda = "13.4"',
        ),
        (
            text(keys='cuda = "13.4"\narchs = ["8.0"]'),
            ["driver 525 cannot load images of cuda 13.4"],
            'driver = ">=580"',
        ),
        (
            text(keys='cuda = "13.4"\ndriver = ">=580"'),
            [
                "archs names 7.5, 9.0, 10.0, 12.0, which cuTile of cuda 13.4 does not compile for (it knows 8.0, ",
                "archs asks for PTX of kernels.tiles, and cuTile makes none (found 10.0+PTX)",
            ],
            'archs = ["8.0", "9.0a", "10.0a", "12.0a"] in [tool.gpuwheel.kernels.tiles]',
        ),
        (
            text(extension='kernels = ["tiles", "fused"]'),
            ["kernels.fused has CUDA C++, which cuda 13.4 does not compile (expected 12.9, 13.2)"],
            'toolkits = ["13.2"]',
        ),
        (
            text(keys='driver = ">=580"', group='archs = ["9.0a"]', extension='kernels = ["tiles", "fused"]'),
            ["kernels.tiles has cuTile sources, which cuda 12.9 does not compile (expected 13.4)"],
            'toolkits = ["13.4"]',
        ),
        (
            text(keys="", group='archs = ["11.0a"]', extension='kernels = ["tiles", "fused"]\ntoolkits = ["13.4"]'),
            ["driver 525 cannot load the images of kernels.tiles (expected 580 or newer)"],
            'driver = ">=580"',
        ),
        (
            text(
                keys='driver = ">=580"',
                group='archs = ["11.0a"]',
                extension='kernels = ["tiles", "fused"]\ntoolkits = ["13.4"]',
            ),
            [],
            None,
        ),
        (
            text(extension=f'{TILES}\ntoolkits = ["13.2"]'),
            ["toolkits names cuda 13.2, which has no device compiler"],
            None,
        ),
    ],
)
def test_who_compiles_what(tiles: Project, document: str, reasons: list[str], hint: str | None) -> None:
    (decision,) = plan(tiles.replace(document).load(), load_tables())
    assert decision.accepted == (not reasons), decision.reason
    for reason in reasons:
        assert reason in decision.reason
    assert decision.reason.count("; ") == max(len(reasons), 1) - 1
    assert (hint or "") in (decision.hint or "")
