"""How many cells are shown at once, where nobody watches: lines, or groups of a CI service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.cli.builds.showing import showing
from gpuwheel.errors import CompileError
from gpuwheel.matrix.building import Outcome, State
from gpuwheel.matrix.tasks import Task
from gpuwheel.matrix.wheelhouse import Wheelhouse
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from pathlib import Path

_TASK = Task("embed-cu12.9-any", None, {}, (), "k")


def _shown(folder: Path, environ: dict[str, str]) -> None:
    wheelhouse = Wheelhouse(folder)
    wheelhouse.log(_TASK).write_text("* compiling\n::error::no command of ours\n")
    with showing(Terminal(environ=environ), wheelhouse, environ, 1) as shown:
        shown.heard(_TASK, {"event": "step", "text": "compiling", "time": 0.0})
        shown.heard(_TASK, {"event": "warning", "text": "old driver", "time": 0.0})
        shown.ended(Outcome(_TASK, State.FAILED, None, CompileError("a.cu does not compile", hint="mend it")))


def test_lines_say_whose_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _shown(tmp_path, {})
    text = capsys.readouterr().err
    assert "embed-cu12.9-any: compiling" in text
    assert "embed-cu12.9-any: old driver" in text
    assert "error: a.cu does not compile" in text
    assert str(tmp_path / ".gpuwheel" / "logs" / "embed-cu12.9-any.log") in text
    assert "::" not in text


@pytest.mark.parametrize(
    ("variable", "begin", "end"),
    [("GITHUB_ACTIONS", "::group::embed", "::endgroup::"), ("GITLAB_CI", "section_start:", "section_end:")],
)
def test_a_ci_service_gets_the_log_of_a_cell_as_one_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variable: str, begin: str, end: str
) -> None:
    _shown(tmp_path, {variable: "true"})
    text = capsys.readouterr().err
    assert text.index(begin) < text.index("no command of ours") < text.index(end) < text.index("error: a.cu")
    # What a tool prints is no command to the runner.
    assert not [line for line in text.splitlines() if line.startswith("::error") and variable == "GITHUB_ACTIONS"]
