# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24.2"]
# ///
"""Refresh `gpuwheel/data/python_abi.toml`: the symbols of Python's stable ABI, from the newest abi3info wheel.

abi3info (Trail of Bits, MIT) is made of CPython's own `Misc/stable_abi.toml`. Its module is read, not run.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from textwrap import wrap

from update_index import files_of, open_wheel
from update_table import as_table, command_line, dump, finish, read

_MEMBER = "abi3info/_internal.py"
_TABLES = ("_FUNCTIONS", "_DATAS")
_ELSEWHERE = frozenset({"MS_WINDOWS", "USE_STACKCHECK", "Py_REF_DEBUG", "Py_TRACE_REFS"})
"""Features that no Python of Linux has, but for debug builds."""


def main() -> int:
    """Take every function and object that Linux has."""
    asked = command_line(__doc__).parse_args()
    comment, before = read("python_abi.toml")
    newest = max((file for file in files_of("abi3info") if not file.version.is_prerelease), key=lambda f: f.version)
    with open_wheel(newest) as wheel:
        tree = ast.parse(wheel.read(_MEMBER))
    since: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, version in symbols(tree):
        since[version].append(name)
    stable = {
        f"{major}.{minor}": "\n".join(wrap(" ".join(sorted(names)), 120, break_on_hyphens=False)) + "\n"
        for (major, minor), names in sorted(since.items())
    }
    source = f"{_MEMBER} of abi3info {newest.version} (MIT), made of CPython's Misc/stable_abi.toml"
    sources = {**as_table(before["sources"]), "stable": source}
    table = {"sources": sources, "exported": before["exported"], "stable": stable}
    return finish("python_abi.toml", dump(comment, table), check=asked.check)


def symbols(tree: ast.Module) -> list[tuple[str, tuple[int, int]]]:
    """`(symbol, first version)` of the tables of the module."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in _TABLES:
            if not isinstance(node.value, ast.Dict):
                msg = f"{node.target.id} is no dictionary"
                raise TypeError(msg)
            found += [_symbol(call) for call in node.value.values if isinstance(call, ast.Call) and _of_linux(call)]
    return found


def _argument(call: ast.Call, name: str) -> ast.expr:
    return next(keyword.value for keyword in call.keywords if keyword.arg == name)


def _symbol(call: ast.Call) -> tuple[str, tuple[int, int]]:
    symbol, added = _argument(call, "symbol"), _argument(call, "added")
    if not isinstance(symbol, ast.Call) or not isinstance(added, ast.Call):
        msg = f"{ast.unparse(call)} is no entry"
        raise TypeError(msg)
    version = [ast.literal_eval(_argument(added, part)) for part in ("major", "minor")]
    return ast.literal_eval(_argument(symbol, "name")), (version[0], version[1])


def _of_linux(call: ast.Call) -> bool:
    feature = _argument(call, "ifdef")
    return not any(isinstance(node, ast.Constant) and node.value in _ELSEWHERE for node in ast.walk(feature))


if __name__ == "__main__":
    sys.exit(main())
