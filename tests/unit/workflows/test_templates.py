"""What templates hold of CI files: first lines and places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2.sandbox import SandboxedEnvironment

from gpuwheel.compatibility.ci_services import load_ci_services
from gpuwheel.workflows.places import CI_FILES, reduced, written_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

SHARED = Path(__file__).resolve().parents[3] / "templates" / "shared"


IMAGE = "docker.io/library/python:3.12-slim@sha256:" + "0123456789abcdef" * 4


def _begun(service: str, image: str = "none") -> str:
    """What the template renders to; only its first line has an answer in it."""
    text = (SHARED / f"{CI_FILES[service]}.jinja").read_text(encoding="utf-8")
    return str(SandboxedEnvironment(keep_trailing_newline=True).from_string(text).render(image=image))


@pytest.mark.parametrize("image", ["none", IMAGE])
@pytest.mark.parametrize("service", CI_FILES)
def test_a_file_gives_back_what_the_template_put_into_it(
    ci: Callable[..., Result], project: Path, service: str, image: str
) -> None:
    """Else an update would take gpuwheel's own lines for somebody's edits."""
    begun = _begun(service, image)
    assert written_by(begun) == (service, [] if image == "none" else ["--image", IMAGE])
    path = project / CI_FILES[service]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(begun, encoding="utf-8")
    assert ci(service).exit_code == 0
    whole = path.read_text(encoding="utf-8")
    assert "gpuwheel build" in whole
    assert (f"gpuwheel image --base {IMAGE} " in whole) is (image == IMAGE)
    assert "gpuwheel build" not in begun
    assert reduced(whole) == begun


def test_templates_name_the_same_actions() -> None:
    known = {action.uses: (action.commit, action.version) for action in load_ci_services().actions.values()}
    text = _begun("github")
    named = re.findall(r"uses: (\S+)@(\w+) # (\S+)", text)
    assert named
    assert {uses: (commit, version) for uses, commit, version in named}.items() <= known.items()
