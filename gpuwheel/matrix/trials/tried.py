"""What is run in the place of a trial, and what counts as passed.

An exit status alone says little: any module may end the process with 0, and pytest does where every test was skipped.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel._run import Completed
    from gpuwheel.config.model import TrialSettings
    from gpuwheel.matrix.trials.clean_environments import Place

__all__ = ["own_tests", "smoke"]

_PYTHON = ("python", "-X", "faulthandler")
_THROUGH = "failed: none"
"""The last line of `wheel_smoke.py`; what a package prints as Python ends may follow it."""
_PLUGIN = "gpuwheel_counted_tests"
_OUTCOMES = ("passed", "failed", "skipped", "xfailed")


def smoke(place: Place, distribution: str, *, seconds: float) -> tuple[bool, str]:
    """Import what a wheel brings, load its libraries; whether all of that was done and went well, and what was said."""
    words = [*_PYTHON, "-I", str(resource("testing", "wheel_smoke.py")), distribution]
    completed, output = _tried(place, words, seconds, {})
    if completed is None or completed.returncode != 0:
        return False, output
    if _THROUGH not in completed.stdout.splitlines():
        return False, f"{output}\nit ended before everything was imported and loaded (exit status 0)".lstrip()
    return True, output


def own_tests(place: Place, sources: Path, settings: TrialSettings, *, seconds: float) -> tuple[bool | None, str]:
    """Run a project's tests; whether they passed (`None`: there are none here), and what was said, the counts last.

    Tests of pytest are counted by a plugin in the place, however it is started. What runs others is believed.
    """
    missing = [name for name in settings.sources if not (sources / name).exists()]
    if missing:
        return None, f"the sdist has no {missing[0]}, which the project's own tests are taken from"
    # Not in the sources: there, Python would import the package as it was before it was built.
    for name in ("pyproject.toml", *settings.sources):
        source, target = sources / name, place.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    shutil.copyfile(resource("testing", "counted_tests.py"), place.site_packages / f"{_PLUGIN}.py")
    plugins = ",".join(filter(None, [place.context.environ.get("PYTEST_PLUGINS"), _PLUGIN]))
    program, *others = settings.command
    words = [*(_PYTHON if program == "python" else [program]), *others]
    completed, output = _tried(place, words, seconds, {"PYTEST_PLUGINS": plugins})
    if completed is None:
        return False, output
    lines = _lines(place.site_packages / f"{_PLUGIN}.jsonl")
    passed, said = _judged(lines, is_pytest="pytest" in settings.command)
    return completed.returncode == 0 and passed, "\n".join(filter(None, [output, said]))


def _tried(
    place: Place, words: Sequence[str], seconds: float, variables: Mapping[str, str]
) -> tuple[Completed | None, str]:
    """What a program left, if it came to an end, and what is said of it."""
    try:
        completed = place.run(words, seconds=seconds, variables=variables)
    except TimeoutError:
        return None, f"it was not done after {seconds:g} s"
    except FileNotFoundError as error:
        return None, f"there is no program {error.filename}"
    return completed, "\n".join(filter(None, [completed.output, _ending(completed)]))


def _ending(completed: Completed) -> str:
    status = completed.returncode
    if status >= 0:
        return f"exit status {status}" if status else ""
    return f"ended by {signal.Signals(-status).name}"


def _lines(path: Path) -> list[dict[str, int]]:
    """What runs of pytest noted: an empty object as they began, the counts as they ended."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def _judged(lines: Sequence[Mapping[str, int]], *, is_pytest: bool) -> tuple[bool, str]:
    """Whether tests passed, by their counts, and these in words."""
    if not lines:
        return not is_pytest, "tests: pytest did not begin" if is_pytest else "tests: not counted, no pytest ran them"
    ended = [line for line in lines if line]
    counts: Counter[str] = sum(map(Counter, ended), Counter())
    text = ", ".join(f"{counts[name]} {name}" for name in _OUTCOMES if counts[name]) or "none ran"
    if 2 * len(ended) < len(lines):
        return False, f"tests: {text}; pytest ended before it was through"
    return counts["passed"] > 0, f"tests: {text}{'' if counts['passed'] else ' (expected one that passes)'}"
