# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Compare `gpuwheel/data/gpus.toml` with gpuhunt on the package index, which lists the GPUs that clouds have.

NVIDIA's own list is a web page: names are entered by hand, and this script says which are missing or differ.
"""

from __future__ import annotations

import re
import sys

from update_index import files_of, open_wheel
from update_table import as_table, as_text, as_texts, command_line, dump, finish, read

_SOURCE = re.compile(r"gpuhunt \d+(?:\.\d+)*")
_MEMBER = "gpuhunt/_internal/constraints.py"
_ROW = re.compile(r'NvidiaGPUInfo\(\s*name="([^"]+)",[^)]*?compute_capability=\((\d+), (\d+)\)')


def main() -> int:
    """Name what differs, and state with which release that was."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("gpus.toml")
    newest = max((file for file in files_of("gpuhunt")), key=lambda file: file.version)
    with open_wheel(newest) as wheel:
        text = wheel.read(_MEMBER).decode()
    theirs = {name: f"{major}.{minor}" for name, major, minor in _ROW.findall(text)}
    if not theirs:
        raise SystemExit(f"{newest.filename} lists no GPUs where it did ({_MEMBER})")  # noqa: EM102, TRY003
    ours = {name: cc for cc, names in as_table(table["names"]).items() for name in as_texts(names)}
    found = {name: _capabilities(name, ours) for name in theirs}
    for name, ccs in found.items():
        if ccs and theirs[name] not in ccs:
            # NVIDIA's list decides; who keeps the table looks there.
            print(f"differs: {name} is {theirs[name]} there, {', '.join(sorted(ccs))} here")
    table["source"] = _SOURCE.sub(f"gpuhunt {newest.version}", as_text(table["source"]))
    missing = [f"{name} ({theirs[name]})" for name, ccs in found.items() if not ccs]
    return finish("gpus.toml", dump(comment, table), check=asked.check, missing=missing)


def _capabilities(name: str, ours: dict[str, str]) -> set[str]:
    """Those of the longest names that it begins with; it is written without blanks: "RTX4070TiSUPER", "RTXPRO6000"."""
    wanted = name.lower()
    known: dict[str, set[str]] = {}
    begun = set()
    for spelled, cc in ours.items():
        squeezed = re.sub(r"[^a-z0-9]", "", spelled.lower()).removeprefix("quadro")
        if wanted.startswith(squeezed) and not wanted[len(squeezed) :][:1].isdigit():
            known.setdefault(squeezed, set()).add(cc)
        elif squeezed.startswith(wanted):
            begun.add(cc)
    return known[max(known, key=len)] if known else begun


if __name__ == "__main__":
    sys.exit(main())
