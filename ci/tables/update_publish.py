# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel"]
# ///
"""Refresh `gpuwheel/data/publish.toml`: limits from the sources of PyPI's server, requirements from the newest kernels.

What cannot be asked keeps its row, and is named. `GPUWHEEL_GITHUB_RAW` names another host than
raw.githubusercontent.com, `GPUWHEEL_INDEX_URL` another index than PyPI.
"""

from __future__ import annotations

import ast
import json
import operator
import os
import re
import sys
import urllib.request
from typing import TYPE_CHECKING

from packaging.version import Version
from update_index import files_of, open_wheel
from update_table import Table, as_table, as_text, command_line, dump, finish, read

if TYPE_CHECKING:
    from collections.abc import Iterator

_RAW = os.environ.get("GPUWHEEL_GITHUB_RAW", "https://raw.githubusercontent.com").rstrip("/")
_TIMEOUT_S = 30
_SOURCES = ("warehouse/constants.py", "warehouse/forklift/legacy.py", "warehouse/forklift/metadata.py")
_LIMITS = {
    "file": "MAX_FILESIZE",
    "project": "MAX_PROJECT_SIZE",
    "expansion": "COMPRESSION_RATIO_THRESHOLD",
    "expanded-from": "COMPRESSION_RATIO_MIN_SIZE",
}
"""Key of the table -> the name that the server has for it."""
_METADATA = "SUPPORTED_METADATA_VERSIONS"
_OPERATORS = {ast.Mult: operator.mul, ast.Pow: operator.pow, ast.LShift: operator.lshift}
_FLOOR = re.compile(r">=(\d+\.\d+)")


def main() -> int:
    """Take what has moved."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("publish.toml")
    missing = [*_update_limits(as_table(table["refuses"])), *_update_kernels(table)]
    return finish("publish.toml", dump(comment, table), check=asked.check, missing=missing)


def _update_limits(refuses: Table) -> Iterator[str]:
    known: dict[str, object] = {}
    for name in _SOURCES:
        url = f"{_RAW}/pypi/warehouse/main/{name}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # https, or what was named
                known |= _constants(answer.read().decode(), known)
        except (OSError, ValueError, SyntaxError) as error:
            yield f"{name} of PyPI's server, which could not be asked for ({error})"
    for key, name in _LIMITS.items():
        found = known.get(name)
        if isinstance(found, int):
            refuses[key] = found
        elif known:
            yield f"{name} of PyPI's server, which has no such name any more (expected a number)"
    versions = known.get(_METADATA)
    if isinstance(versions, list) and versions:
        refuses["metadata"] = max(map(str, versions), key=Version)
    elif known:
        yield f"{_METADATA} of PyPI's server, which has no such name any more (expected versions)"


def _constants(text: str, known: dict[str, object]) -> dict[str, object]:
    """Numbers, and sets of strings, that a module's own statements give a name to."""
    found = dict(known)
    for node in ast.parse(text).body:
        targets, value = (node.targets, node.value) if isinstance(node, ast.Assign) else ([], None)
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and value is not None:
            read_value = _value(value, found)
            if read_value is not None:
                found[targets[0].id] = read_value
    return found


def _value(node: ast.expr, known: dict[str, object]) -> object:
    match node:
        case ast.Constant(value=int() | str() as value):
            return value
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _value(left, known), _value(right, known)
            act = _OPERATORS.get(type(op))
            return act(one, other) if act and isinstance(one, int) and isinstance(other, int) else None
        case ast.Set(elts=items) | ast.Tuple(elts=items) | ast.List(elts=items):
            return [_value(item, known) for item in items]
        case _:
            return None


def _update_kernels(table: Table) -> Iterator[str]:
    kernels = as_table(table["kernels"])
    newest = max((file for file in files_of("kernels") if file.for_linux), key=lambda file: file.version)
    with open_wheel(newest) as wheel:
        document = json.loads(wheel.read("kernels/python_depends.json"))
    general = {name: row["python"] for name, row in document["general"].items()}
    cuda = {name: row["python"] for name, row in document["backends"].get("cuda", {}).items()}
    kernels["requires"] = dict(sorted((pkg["pkg"], name) for name, row in (general | cuda).items() for pkg in row))
    floor = _FLOOR.search(newest.requires_python)
    if floor:
        kernels["python"] = floor[1]
    else:
        yield f"the oldest Python of kernels {newest.version} (found {newest.requires_python!r}, expected >=3.N)"
    as_table(table["sources"])["kernels"] = f"METADATA and kernels/python_depends.json of kernels {newest.version}"
    as_text(kernels["python"])


if __name__ == "__main__":
    sys.exit(main())
