# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24.2"]
# ///
"""Refresh `gpuwheel/data/python_abi.toml`: the symbols of Python's stable ABI, and those of each Python.

The stable ABI is that of the newest abi3info wheel (Trail of Bits, MIT), which is made of CPython's own
`Misc/stable_abi.toml`. Its module is read, not run. With `--pythons FOLDER`, such as `~/.pyenv/versions`, the symbols
that libpython shows are read of each Python of Linux in it that was built with --enable-shared.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from update_index import files_of, open_wheel
from update_table import as_table, as_text, command_line, dump, finish, read

from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.extent import extent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_MEMBER = "abi3info/_internal.py"
_TABLES = ("_FUNCTIONS", "_DATAS")
_LIBPYTHON = re.compile(r"libpython3\.(\d+)\.so\.1\.0")
_OF_PYTHON = re.compile(r"_?Py[A-Z_]")
_ENTRY_POINT = "PyInit_"
_ELSEWHERE = frozenset({"MS_WINDOWS", "USE_STACKCHECK", "Py_REF_DEBUG", "Py_TRACE_REFS"})
"""Features that no Python of Linux has, but for debug builds."""


def main() -> int:
    """Take every function and object that Linux has."""
    parser = command_line(__doc__)
    parser.add_argument("--pythons", type=Path, metavar="FOLDER", help="of Pythons: 3.12.1/lib/libpython3.12.so.1.0")
    asked = parser.parse_args()
    comment, before = read("python_abi.toml")
    newest = max((file for file in files_of("abi3info") if not file.version.is_prerelease), key=lambda f: f.version)
    with open_wheel(newest) as wheel:
        tree = ast.parse(wheel.read(_MEMBER))
    since: dict[tuple[int, int], list[str]] = defaultdict(list)
    for name, version in symbols(tree):
        since[version].append(name)
    stable = {f"{major}.{minor}": _wrapped(names) for (major, minor), names in sorted(since.items())}
    source = f"{_MEMBER} of abi3info {newest.version} (MIT), made of CPython's Misc/stable_abi.toml"
    sources = {**as_table(before["sources"]), "stable": source}
    read_of, exports = before["read"], before["exports"]
    if asked.pythons is not None:
        read_of, exports = exported_by(sorted(asked.pythons.glob("*/lib/libpython3.*.so.1.0")))
    told = ", ".join(as_text(one) for one in as_table(read_of).values())
    sources["exports"] = f"libpython of CPython {told} for Linux on x86_64, built from python.org's sources"
    table = {
        "sources": sources,
        "read": read_of,
        "exported": before["exported"],
        "stable": stable,
        "exports": exports,
    }
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


def exported_by(files: Iterable[Path]) -> tuple[dict[str, str], dict[str, str]]:
    """`(minor -> release that was read, ranges of minors -> symbols that they show and no others do)`."""
    releases: dict[int, str] = {}
    by_symbol: dict[str, list[int]] = defaultdict(list)
    matches = ((_LIBPYTHON.fullmatch(file.name), file) for file in files)
    for minor, file in sorted((int(match[1]), file) for match, file in matches if match):
        releases[minor] = file.parents[1].name
        for name in read_elf(extent(file.read_bytes()), file.name).exports:
            if _OF_PYTHON.match(name) and not name.startswith(_ENTRY_POINT):
                by_symbol[name].append(minor)
    grouped: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, minors in by_symbol.items():
        grouped[tuple(minors)].append(name)
    known = sorted(releases)
    return (
        {f"3.{minor}": releases[minor] for minor in known},
        {ranges(minors): _wrapped(names) for minors, names in sorted(grouped.items())},
    )


def ranges(minors: Collection[int]) -> str:
    """(8, 9, 10, 13) as "3.8-3.10 3.13"."""
    runs: list[list[int]] = []
    for minor in sorted(minors):
        if runs and runs[-1][-1] == minor - 1:
            runs[-1].append(minor)
        else:
            runs.append([minor])
    return " ".join(f"3.{run[0]}" if len(run) == 1 else f"3.{run[0]}-3.{run[-1]}" for run in runs)


def _wrapped(names: Iterable[str]) -> str:
    return "\n".join(wrap(" ".join(sorted(names)), 120, break_on_hyphens=False)) + "\n"


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
