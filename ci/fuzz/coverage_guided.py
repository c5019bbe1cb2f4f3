"""One reader under atheris (libFuzzer): READER RESULT CORPUS INPUTS SECONDS SEED; `fuzz.py` starts it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gpuwheel", "zipfile", "csv", "json", "tomllib", "packaging", "html"]):
    from targets import TARGETS, clean_up
from watch import Tally


def main() -> None:
    """Fuzz until there are enough inputs; libFuzzer would not return."""
    reader, out, corpus, inputs, seconds, seed = sys.argv[1:]
    tally, end = Tally(reader, "coverage"), time.monotonic() + float(seconds)

    def one(data: bytes) -> None:
        tally.try_one(TARGETS[reader], data)
        if tally.inputs >= int(inputs) or time.monotonic() > end:
            Path(out).write_text(json.dumps(tally.as_json()), encoding="utf-8")
            clean_up()
            os._exit(0)

    words = [
        sys.argv[0],
        f"-seed={seed}",
        "-max_len=65536",
        "-timeout=60",
        "-rss_limit_mb=4096",
        "-verbosity=0",
        corpus,
    ]
    atheris.Setup(words, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
