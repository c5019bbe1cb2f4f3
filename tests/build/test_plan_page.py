"""The page of a plan in a browser: it is laid out without a script, in light and in dark."""

from __future__ import annotations

import re
import shutil
from html import unescape
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from matrix_project import copy_matrix_project

from gpuwheel._run import run
from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WORDS = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1100"]


def plain(markup: str) -> str:
    """However characters are escaped and lines are broken."""
    return re.sub(r"\s+", "", unescape(markup)).casefold()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_it_in_light_and_in_dark(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    project = copy_matrix_project(tmp_path / "matrix")
    assert CliRunner().invoke(main, ["plan", str(project), "--html", str(page)]).exit_code == 0
    pictures = []
    for scheme in (0, 1):  # blink::mojom::PreferredColorScheme: dark, light
        picture = tmp_path / f"{scheme}.png"
        look = f"--blink-settings=preferredColorScheme={scheme}"
        home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        shown = [str(CHROMIUM), *WORDS, look, f"--screenshot={picture}", page.as_uri()]
        run(shown, cwd=tmp_path, env=home, timeout=120)
        pictures.append(picture.read_bytes())
        assert pictures[-1].startswith(b"\x89PNG")
        assert len(pictures[-1]) > 50_000, "an empty page is smaller"
    assert pictures[0] != pictures[1]
    words = [str(CHROMIUM), *WORDS, "--dump-dom", page.as_uri()]
    dumped = run(words, cwd=tmp_path, env=home, timeout=120).stdout
    # What the browser made of it is what was written: nothing was moved or closed for us.
    assert plain(dumped) == plain(page.read_text(encoding="utf-8"))
