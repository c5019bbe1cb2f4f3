"""Every message that a user may meet, in one file: a change of words is seen there, and tests elsewhere assert facts.

python tests/unit/test_messages.py  # write the file anew, after a change that was meant
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("messages.txt")
OF_TORCH = (
    ROOT / "gpuwheel" / "launcher" / "compat.py",
    ROOT / "gpuwheel" / "testing" / "torch_operators" / "operator_calls.py",
)
"""Modules whose errors are those of torch, word for word."""
WORDS = {"msg", "message", "hint", "fix"}
"""Names under which texts are handed on to an error."""


def _text(node: ast.expr) -> str | None:
    """A literal, with `{}` for each value in it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_text(left) or '{}'}{_text(right) or '{}'}"
        case _:
            return None


def _branches(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _branches(node.body)
        yield from _branches(node.orelse)
    else:
        yield node


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(what it is, expression) of each text that goes into an error."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in WORDS:
                yield name, value
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
                if name.endswith("Error") and args:
                    yield "msg", args[0]
                yield from ((one.arg, one.value) for one in keywords if one.arg is not None and one.arg in WORDS)


def _messages() -> Iterator[str]:
    for path in sorted({*(ROOT / "gpuwheel").rglob("*.py")} - {*OF_TORCH}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {
            (" hint " if kind in {"hint", "fix"} else "error ") + text
            for kind, value in _named(tree)
            for branch in _branches(value)
            if (text := _text(branch)) and text.strip("{} ")
        }
        if found:
            yield path.relative_to(ROOT).as_posix()
            yield from (f"  {line}" for text in sorted(found) for line in text.splitlines())


def test_no_message_changed_unseen() -> None:
    assert FILE.read_text(encoding="utf-8").splitlines() == list(_messages()), "if meant: run this file"


def test_messages_are_calm_and_short() -> None:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("  error ")]
    assert len(lines) > 300
    assert [line for line in lines if re.search(r"!(?=\s|$)|\bplease\b|\boops\b", line, re.IGNORECASE)] == []
    ended = [line for line in lines if line.endswith(".") and not line.endswith("...")]
    assert [line for line in ended if not line.startswith("  error Missing argument")] == [], "those are click's words"


if __name__ == "__main__":
    FILE.write_text("\n".join(_messages()) + "\n", encoding="utf-8")
