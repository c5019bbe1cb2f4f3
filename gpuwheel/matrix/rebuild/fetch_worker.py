"""`python -m gpuwheel.matrix.rebuild.fetch_worker`: download all that a locked build takes from outside.

It runs in the Python that the wheel is for, with the user's credentials, in an environment of which the project says
nothing; and no code of the project runs in it. It reads one JSON object from stdin, `root`, `wheels` and `settings`,
and writes one line to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from gpuwheel._endings import as_ours
from gpuwheel.lock.fetch import fetch_packages
from gpuwheel.lock.file import LOCK_FILE, read_lock
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build

__all__ = ["main"]


def main() -> None:
    """Download, and say what went wrong."""
    request = json.loads(sys.stdin.read())
    root = Path(request["root"])
    answer: dict[str, object] = {}
    try:
        build = Build(root, dict(os.environ), request["settings"], SilentReporter())
        build.fetch()
        fetch_packages(read_lock(root / LOCK_FILE), Path(request["wheels"]), build.context)
        answer["received"] = build.context.traffic.received
    except Exception as error:  # noqa: BLE001  # the other side ends with it
        ours = as_ours(error)
        facts = {"message": ours.message, "hint": ours.hint, "detail": ours.detail, "exit_code": ours.exit_code}
        answer["failed"] = facts
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
