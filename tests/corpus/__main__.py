"""`python -m corpus FOLDER`: every broken wheel and its twin, and `corpus.json`, which says which rule finds it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from corpus.cases import CASES, load


def main(folder: Path) -> None:
    """Write them into folders of their own: names of wheels repeat."""
    load()
    rows = []
    for case in CASES:
        place = folder / case.name.replace(" ", "-")
        for kind, wheel in zip(("broken", "twin"), case.make(), strict=True):
            (place / kind).mkdir(parents=True, exist_ok=True)
            (place / kind / wheel.name).write_bytes(wheel.data)
        rows.append(
            {"case": place.name, "rule": case.rule, "severity": case.severity.value, "profile": case.profile.value}
        )
    (folder / "corpus.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
