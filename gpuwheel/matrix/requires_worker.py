"""`python -m gpuwheel.matrix.requires_worker`: what the build of a cell requires beside gpuwheel.

It reads one JSON object from stdin, `root` and `settings`, and writes one line to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from gpuwheel._endings import as_ours
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build

__all__ = ["main"]


def main() -> None:
    """Answer."""
    request = json.loads(sys.stdin.read())
    result: dict[str, Any]
    try:
        build = Build(Path(request["root"]), dict(os.environ), request["settings"], SilentReporter())
        result = {"requires": build.requires(editable=False)}
    except Exception as error:  # noqa: BLE001  # the other side ends with it
        ours = as_ours(error)
        facts = {"message": ours.message, "hint": ours.hint, "detail": ours.detail}
        result = {"error": {"name": type(ours).__name__, **facts}}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
