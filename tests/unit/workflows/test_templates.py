"""What templates hold of CI files: first lines and places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility.ci_services import load_ci_services
from gpuwheel.workflows.places import CI_FILES, reduced, written_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

SHARED = Path(__file__).resolve().parents[3] / "templates" / "shared"


@pytest.mark.parametrize("service", CI_FILES)
def test_a_file_gives_back_what_the_template_put_into_it(
    ci: Callable[..., Result], project: Path, service: str
) -> None:
    """Else an update would take gpuwheel's own lines for somebody's edits."""
    begun = (SHARED / CI_FILES[service]).read_text(encoding="utf-8")
    assert written_by(begun) == (service, [])
    path = project / CI_FILES[service]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(begun, encoding="utf-8")
    assert ci(service).exit_code == 0
    whole = path.read_text(encoding="utf-8")
    assert "gpuwheel build" in whole
    assert "gpuwheel build" not in begun
    assert reduced(whole) == begun


def test_templates_name_the_same_actions() -> None:
    known = {action.uses: (action.commit, action.version) for action in load_ci_services().actions.values()}
    text = (SHARED / CI_FILES["github"]).read_text(encoding="utf-8")
    named = re.findall(r"uses: (\S+)@(\w+) # (\S+)", text)
    assert named
    assert {uses: (commit, version) for uses, commit, version in named}.items() <= known.items()
