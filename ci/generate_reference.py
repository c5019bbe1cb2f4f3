"""Write what is generated: from the configuration's dataclasses the JSON schema and the reference page, from the tables
of `gpuwheel/data` the compatibility page.

python ci/generate_reference.py            # write
python ci/generate_reference.py --check    # exit 1 with a diff where a stored file differs
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from gpuwheel._environment.reference import environment_page
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.reference import compatibility_page
from gpuwheel.config.reference import reference_page
from gpuwheel.config.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent


def generated() -> dict[str, str]:
    """Path below the repository -> text."""
    return {
        "gpuwheel/data/gpuwheel.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        "docs/reference/compatibility.md": compatibility_page(load_tables()),
        "docs/reference/configuration.md": reference_page(),
        "docs/reference/environment.md": environment_page(),
    }


def stale(root: Path) -> dict[str, str]:
    """Path of each stored file that differs from what is generated -> the difference."""
    differing = {}
    for name, text in generated().items():
        path = root / name
        stored = path.read_text(encoding="utf-8") if path.exists() else ""
        if stored != text:
            diff = difflib.unified_diff(stored.splitlines(), text.splitlines(), f"{name} (stored)", name, lineterm="")
            differing[name] = "\n".join(diff)
    return differing


def main(argv: list[str] | None = None) -> int:
    """Write or check; the exit status says whether a check found something stale."""
    parser = argparse.ArgumentParser(description="generate the JSON schema and the reference pages")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff where a file is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to write to (default: this one)")
    options = parser.parse_args(argv)
    differing = stale(options.root)
    if options.check:
        print("\n".join(differing.values()), end="\n" if differing else "")
        return 1 if differing else 0
    for name in differing:
        path = options.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated()[name], encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
