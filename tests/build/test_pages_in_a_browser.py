"""Pages of a plan and of a build in a browser: laid out without a script, in light and in dark."""

from __future__ import annotations

import os
import re
import shutil
import sys
from html import unescape
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cmake_looks import cmake_may_look_for_debians_toolkit
from matrix_project import copy_matrix_project
from tiny_matrix import write_tiny_matrix

from gpuwheel._run import run
from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["cmake_may_look_for_debians_toolkit"]  # a fixture: one page is of a build in mode `nvcc`

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1100"]


def plain(markup: str) -> str:
    """However characters are escaped, lines are broken, and elements of SVG without content are closed."""
    return re.sub(r"\s+", "", unescape(re.sub(r"<(\w+)([^<>]*)/>", r"<\1\2></\1>", markup))).casefold()


def page_of_a_plan(folder: Path) -> Path:
    page, project = folder / "plan.html", copy_matrix_project(folder / "matrix")
    assert CliRunner().invoke(main, ["plan", str(project), "--html", str(page)]).exit_code == 0
    return page


def page_of_a_build(folder: Path) -> Path:
    project = write_tiny_matrix(folder / "tiny")
    # One of its wheels: what the page has more of with three, unit tests show.
    words = ["build", "--project", project, "--out", folder / "dist", "*torch2.13*"]
    run([sys.executable, "-m", "gpuwheel", *words], cwd=folder, env=dict(os.environ))
    return folder / "dist" / ".gpuwheel" / "report.html"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize(
    "written", [page_of_a_plan, pytest.param(page_of_a_build, marks=[pytest.mark.compiler, pytest.mark.network])]
)
def test_a_browser_shows_it_in_light_and_in_dark(written: Callable[[Path], Path], tmp_path: Path) -> None:
    page = written(tmp_path)
    pictures = []
    for scheme in (0, 1):  # blink::mojom::PreferredColorScheme: dark, light
        picture = tmp_path / f"{scheme}.png"
        look = f"--blink-settings=preferredColorScheme={scheme}"
        home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        shown = [str(CHROMIUM), *WORDS, look, f"--screenshot={picture}", page.as_uri()]
        run(shown, cwd=tmp_path, env=home, timeout=120)
        pictures.append(picture.read_bytes())
        assert pictures[-1].startswith(b"\x89PNG")
        assert len(pictures[-1]) > 30_000, "an empty page is smaller"
    assert pictures[0] != pictures[1]
    words = [str(CHROMIUM), *WORDS, "--dump-dom", page.as_uri()]
    dumped = run(words, cwd=tmp_path, env=home, timeout=120).stdout
    # What the browser made of it is what was written: nothing was moved or closed for us.
    assert plain(dumped) == plain(page.read_text(encoding="utf-8"))
