"""How the tables of `gpuwheel/data` are written: one canonical layout, a diff for the reader, `--check` for CI.

A table file is a leading comment (kept as it is) and data. Notes live in the data (`sources`), so that a script can
rewrite a file without losing one. Used by the `update_*.py` scripts.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpuwheel._files import atomic_file
from gpuwheel._toml import parse_toml

__all__ = ["DATA", "Table", "as_table", "as_text", "as_texts", "command_line", "dump", "finish", "read"]

DATA = Path(__file__).resolve().parents[2] / "gpuwheel" / "data"
_WIDTH = 120
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}

Table = dict[str, object]


def read(name: str) -> tuple[str, Table]:
    """The leading comment and the data of `gpuwheel/data/NAME`."""
    text = (DATA / name).read_text(encoding="utf-8")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    return comment, parse_toml(text.encode())


def as_table(value: object) -> Table:
    """`value`, which must be a table."""
    if not isinstance(value, dict):
        msg = f"{value!r} is not a table"
        raise TypeError(msg)
    return value


def as_text(value: object) -> str:
    """`value`, which must be a string."""
    if not isinstance(value, str):
        msg = f"{value!r} is not a string"
        raise TypeError(msg)
    return value


def as_texts(value: object) -> list[str]:
    """`value`, which must be a list of strings."""
    if not isinstance(value, list):
        msg = f"{value!r} is not a list"
        raise TypeError(msg)
    return [as_text(item) for item in value]


def dump(comment: str, table: Mapping[str, object]) -> str:
    """The whole file: `comment`, then `table` in the canonical layout.

    Plain values first, then sub-tables in the order given. A dict inside a list is an inline table on its own line; a
    text with line breaks is written one line per line.
    """
    return f"{comment}\n" + "\n".join(_section((), table)).lstrip("\n") + "\n"


def command_line(description: str | None) -> argparse.ArgumentParser:
    """What every `update_*.py` takes: `--check`."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the table would change")
    return parser


def finish(name: str, text: str, *, check: bool, missing: Sequence[str] = ()) -> int:
    """Print the difference to the file as it is, write it unless `check`, and give the exit status.

    Args:
        name: The file in `gpuwheel/data`.
        text: What it should hold.
        check: Only compare.
        missing: What the index has and the table cannot have without a person's decision; printed.
    """
    path = DATA / name
    before = path.read_text(encoding="utf-8")
    diff = difflib.unified_diff(before.splitlines(), text.splitlines(), f"{name} (now)", f"{name} (index)", lineterm="")
    for line in diff:
        print(line)
    for line in missing:
        print(f"not in the table: {line}")
    if text == before:
        print(f"{name}: up to date")
    elif check:
        print(f"{name}: stale (run this script without --check)")
    else:
        with atomic_file(path) as file:
            file.write(text.encode())
        print(f"{name}: written")
    return int(check and text != before)


def _section(path: tuple[str, ...], table: Mapping[str, object]) -> list[str]:
    plain = [(key, value) for key, value in table.items() if not isinstance(value, Mapping)]
    lines = [line for key, value in plain for line in _assignment(key, value)]
    if lines and path:
        lines = ["", f"[{'.'.join(map(_key, path))}]", *lines]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _section((*path, key), value)
    return lines


def _assignment(key: str, value: object) -> list[str]:
    head = f"{_key(key)} = "
    if isinstance(value, str) and "\n" in value:
        return [f"{head}'''", *value.strip("\n").splitlines(), "'''"]  # literal: tomllib reads it far faster
    line = head + _inline(value)
    if not isinstance(value, list) or (len(line) <= _WIDTH and not any(isinstance(item, dict) for item in value)):
        return [line]
    if any(isinstance(item, dict) for item in value):
        return [f"{head}[", *(f"    {_inline(item)}," for item in value), "]"]
    return [f"{head}[", *_wrapped([_inline(item) for item in value]), "]"]


def _wrapped(items: Sequence[str]) -> list[str]:
    lines = ["   "]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > _WIDTH and lines[-1].strip():
            lines.append("   ")
        lines[-1] += f" {item},"
    return lines


def _inline(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    msg = f"no TOML for {value!r}"
    raise TypeError(msg)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _inline(key)
