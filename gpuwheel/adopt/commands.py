"""What the commands of setuptools do that a project wrote itself, and that nobody does once gpuwheel is the build."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from gpuwheel.adopt.leftover import Leftover
from gpuwheel.adopt.shipped import files_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.adopt.declared.recording import SetupRecord

__all__ = ["command_leftovers"]

_ADVICE = "gpuwheel is the build and runs no commands of setuptools: what it does has to happen elsewhere"
_WRITES = {
    *("write_text", "write_bytes", "copy", "copy2", "copyfile", "copytree", "copy_file", "copy_tree", "move", "mkpath"),
    *("makedirs", "symlink", "urlretrieve", "extractall"),
}
_RUNS = {"run", "call", "check_call", "check_output", "Popen", "system", "spawn"}
_RUNNERS = {"subprocess", "os", "self"}
_FILE = re.compile(r"[\w-][\w.-]*\.(?:json|txt|ya?ml|toml|cfg|ini|ptx|cubin|fatbin|bin|h|py)")
_SHOWN = 4


def command_leftovers(record: SetupRecord) -> Iterator[Leftover]:
    """A line for each command, with what it writes and starts; and for each file of theirs that a package reads."""
    trees: dict[str, ast.Module | None] = {}
    for command, said in record.commands.items():
        place = said["place"] or record.place_of(f"class {said['name']}", record.place)
        file, _, line = place.partition(":")
        if file not in trees:
            trees[file] = _parsed(record.root / file)
        tree = trees[file]
        found = _class_at(tree, int(line or 0)) if tree else None
        deeds = "; ".join(_deeds(found, file)) if found else ""
        where = f"{file}:{found.lineno}" if found else place
        yield Leftover(where, f"{command} by {said['name']}", _ADVICE + (f" ({deeds})" if deeds else ""))
    if record.commands:
        yield from _read_files(record, _parsed(record.root / record.file))


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return None


def _class_at(tree: ast.Module, line: int) -> ast.ClassDef | None:
    """The innermost class around a line."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


def _deeds(found: ast.ClassDef, file: str) -> list[str]:
    """What its methods do to the machine, each with its line."""
    lines: dict[str, dict[int, None]] = {"writes": {}, "runs programs": {}}
    for node in ast.walk(found):
        if isinstance(node, ast.Call):
            kind = _kind(node)
            if kind:
                lines[kind].setdefault(node.lineno)
    return [f"{kind} at {file}:{', '.join(map(str, sorted(at)[:_SHOWN]))}" for kind, at in lines.items() if at]


def _kind(call: ast.Call) -> str | None:
    match call.func:
        case ast.Name(id="open"):
            modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
            writes = any(isinstance(mode, ast.Constant) and {*str(mode.value)} & {*"wax+"} for mode in modes)
            return "writes" if writes else None
        case ast.Attribute(attr=attribute, value=value):
            if attribute in _RUNS and isinstance(value, ast.Name) and value.id in _RUNNERS:
                # `self.run()` of a command is the command itself.
                return None if (value.id, attribute) in {("self", "run"), ("self", "call")} else "runs programs"
            return "writes" if attribute in _WRITES and not isinstance(value, ast.Constant) else None
        case _:
            return None


def _read_files(record: SetupRecord, tree: ast.Module | None) -> Iterator[Leftover]:
    """Files that are named in setup.py, are not there, and are read by name in a package."""
    named: dict[str, int] = {}
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FILE.fullmatch(node.value):
            named.setdefault(node.value, node.lineno)
    there = {path.name for path in files_below(record.root)} if named else set()
    absent = {name: line for name, line in named.items() if name not in there}
    for name, (reader, number) in _readers(record.root, absent).items():
        advice = f"{reader}:{number} reads it: keep it in the package, or write it before the build"
        yield Leftover(f"{record.file}:{absent[name]}", f"{name}, which a command of setup.py writes", advice)


def _readers(root: Path, names: Mapping[str, int]) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for path in files_below(root) if names else ():
        if path.suffix != ".py" or path.parent == root:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for name in names:
            position = text.find(name)
            if position >= 0 and text[position - 1 : position] in {'"', "'", "/"}:
                shown = path.relative_to(root).as_posix()
                found.setdefault(name, (shown, text.count("\n", 0, position) + 1))
    return found
