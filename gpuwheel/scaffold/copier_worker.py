"""The only module that imports copier. As a program it renders in a process of its own: copier changes its working
folder and its environment, starts git, and must leave nothing behind when it is interrupted.

It imports nothing of gpuwheel: reads one request from standard input, and writes one line to standard output.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ask", "main", "render"]


def ask(tree: Path, destination: Path, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The answers of the person at the terminal to what is not `given`; nothing is written.

    Raises:
        KeyboardInterrupt: the person would rather not.
    """
    from copier import Settings, run_copy  # noqa: PLC0415 (half a second)

    worker = run_copy(
        str(tree),
        destination,
        dict(given),
        settings=Settings(),
        user_defaults=dict(defaults),
        pretend=True,
        quiet=True,
    )
    return _remembered(worker)


def _remembered(worker: Any) -> dict[str, Any]:  # noqa: ANN401 (copier's own class is not public)
    """The answers to the questions that were asked."""
    answers = worker.answers
    values = answers.combined
    return {key: values[key] for key in worker.template.questions_data if key in values and key not in answers.hidden}


def render(request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the request of `gpuwheel.scaffold.rendering` says; the answers to what was asked."""
    from copier import Settings, run_copy, run_update  # noqa: PLC0415

    options = {"settings": Settings(), "defaults": True, "overwrite": True, "quiet": True, "vcs_ref": request["tag"]}
    if request["conflict"]:
        worker = run_update(request["destination"], request["answers"], conflict=request["conflict"], **options)
    else:
        worker = run_copy(
            request["source"], request["destination"], request["answers"], user_defaults=request["defaults"], **options
        )
    return _remembered(worker)


def main() -> None:
    """Do what the request says and print its answers, or what copier said against it."""
    request = json.loads(sys.stdin.read())
    result: dict[str, Any]
    try:
        result = {"answers": render(request)}
    except Exception as error:  # noqa: BLE001 (copier raises what it likes; the other side tells mistakes from bugs)
        result = {"error": f"{type(error).__name__}: {error}"}
    print(f"\n{json.dumps(result)}")  # noqa: T201 (this is how it answers)


if __name__ == "__main__":
    del sys.path[0]  # the modules beside this one are gpuwheel's own
    main()
