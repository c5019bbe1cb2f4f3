"""Has the worker render, and says what copier means in gpuwheel's words."""

from __future__ import annotations

import json
import keyword
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold.copier_worker import ask as ask_person
from gpuwheel.scaffold.git import plain_environment
from gpuwheel.scaffold.repository import SOURCE
from gpuwheel.scaffold.template_questions import INSTALL
from gpuwheel.scaffold.templates import current_tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.scaffold.repository import Repository

__all__ = ["Rendering", "ask", "render"]

_INVALID = re.compile(r"ValueError: Validation error for question '(?P<question>\w+)': (?P<reason>.*)", re.DOTALL)
_REQUIRED = re.compile(r'ValueError: Question "(?P<question>\w+)" is required')


@dataclass(frozen=True)
class Rendering:
    """What copier is to make where."""

    destination: Path
    answers: Mapping[str, str | bool]
    defaults: Mapping[str, str] = field(default_factory=dict)
    """In place of the template's own."""
    update: Literal["inline", "rej"] | None = None
    """`None` for a new project; else the destination is brought up to date, and this is how conflicts are shown."""


def ask(folder: Path, answers: Mapping[str, str | bool], defaults: Mapping[str, str]) -> dict[str, str | bool]:
    """Ask the person at the terminal for what `answers` leaves open.

    Raises:
        ScaffoldError: one of `answers` is not valid.
    """
    with TemporaryDirectory() as scratch:
        tree = Path(scratch, "templates")
        write_tree(current_tree(), tree)
        try:
            return ask_person(tree, Path(scratch, folder.name), {**answers, **_facts()}, defaults)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None  # copier's is an Exception too, which would pass for a bug
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise _translated(said) from error


def render(rendering: Rendering, repository: Repository, environ: Mapping[str, str]) -> dict[str, str | bool]:
    """Render the current templates, and give back the answers to all that was asked.

    Raises:
        ScaffoldError: an answer is not valid.
    """
    request = {
        "source": SOURCE,
        "tag": repository.current,
        "destination": str(rendering.destination),
        "answers": {**rendering.answers, **_facts()},
        "defaults": dict(rendering.defaults),
        "conflict": rendering.update,
    }
    with TemporaryDirectory() as scratch:
        settings = Path(scratch, "gitconfig")
        settings.write_text(repository.settings(), encoding="utf-8")
        surroundings = {
            **plain_environment(environ),
            "GIT_CONFIG_GLOBAL": str(settings),
            "TMPDIR": scratch,
            "COPIER_CACHE_DIR": f"{scratch}/mirrors",
        }
        worker = resource("scaffold", "copier_worker.py")
        done = run([sys.executable, str(worker)], env=surroundings, stdin=json.dumps(request))
    # The last line: copier may print before it.
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" in result:
        raise _translated(result["error"])
    answers: dict[str, str | bool] = result["answers"]
    return answers


def _facts() -> dict[str, list[str]]:
    """What validators ask for that a template cannot know. Names that begin with "_" are no answers."""
    archs = {arch for toolkit in load_tables().cuda.values() for arch in toolkit.archs}
    return {
        "_keywords": sorted(keyword.kwlist),
        # `test` is in every Python and not in that list: a package of the name would seldom be found.
        "_standard_modules": sorted({*sys.stdlib_module_names, "test"}),
        "_known_archs": [str(arch) for arch in sorted(archs)],
    }


def _translated(message: str) -> ScaffoldError:
    if match := _INVALID.fullmatch(message):
        question, reason = match["question"], " ".join(match["reason"].split())
        return ScaffoldError(f"answer {question}: {reason}", hint=f"--data {question}=...")
    if match := _REQUIRED.fullmatch(message):
        question = match["question"]
        return ScaffoldError(f"question {question} has no default here", hint=f"answer it: --data {question}=...")
    hint = INSTALL if message.startswith("UnsupportedVersionError") else None
    return ScaffoldError("copier cannot render the template", detail=message, hint=hint)
