"""Which files of its packages a setup.py ships, as setuptools decides it."""

from __future__ import annotations

import fnmatch
import re
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.lists import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["files_below", "find_packages", "shipped_files"]

_MODULES = ("*.py", "*.pyi", "py.typed")
"""What goes with every package (setuptools since 69)."""
_NEVER = {"__pycache__", ".git", ".hg", ".svn"}


def files_below(folder: Path) -> Iterator[Path]:
    """Every file that a wheel could hold, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and not _NEVER & {*path.relative_to(folder).parts}:
            yield path


def find_packages(
    where: Path, include: Iterable[str] = ("*",), exclude: Iterable[str] = (), *, plain: bool = False
) -> list[str]:
    """Packages below a folder, with those inside of them, as `find:` finds them.

    Args:
        where: the folder.
        include: globs of names.
        exclude: globs of names that are left out.
        plain: whether folders without `__init__.py` are packages too.
    """

    def below(folder: Path, inside: str) -> Iterator[str]:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_dir() and path.name.isidentifier() and (plain or (path / "__init__.py").is_file()):
                yield inside + path.name
                yield from below(path, f"{inside}{path.name}.")

    def matches(name: str, patterns: Iterable[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return [name for name in below(where, "") if matches(name, include) and not matches(name, exclude)]


def shipped_files(packages: Mapping[str, str], given: Mapping[str, Any], root: Path) -> set[str]:
    """Places in the wheel of the files that go into it with these packages.

    Args:
        packages: every package, with those inside of others -> its folder.
        given: keywords of `setup()`.
        root: the folder of the project.
    """
    shipped: set[str] = set()
    manifest = _manifest(root) if _is_true(given.get("include_package_data")) else set()
    data, without = _patterns(given.get("package_data")), _patterns(given.get("exclude_package_data"))
    for package, folder in packages.items():
        found = {path for pattern in _MODULES for path in _matching(root, folder, pattern)}
        for pattern in _of(data, package):
            found |= _matching(root, folder, pattern)
        inside = {path for path in manifest if PurePosixPath(path).is_relative_to(folder)}
        # A file belongs to the nearest package above it.
        nearer = [
            other for other in packages.values() if other != folder and PurePosixPath(other).is_relative_to(folder)
        ]
        found |= {path for path in inside if not any(PurePosixPath(path).is_relative_to(other) for other in nearer)}
        for pattern in _of(without, package):
            found -= _matching(root, folder, pattern)
        place = package.replace(".", "/")
        shipped |= {f"{place}/{PurePosixPath(path).relative_to(folder)}" for path in found}
    return shipped


def _is_true(value: object) -> bool:
    return value.strip().lower() in {"1", "true", "yes", "on"} if isinstance(value, str) else bool(value)


def _patterns(table: object) -> dict[str, list[str]]:
    return {str(name): words(texts) for name, texts in table.items()} if isinstance(table, dict) else {}


def _of(table: Mapping[str, list[str]], package: str) -> list[str]:
    return [pattern for name in ("", "*", package) for pattern in table.get(name, ())]


def _matching(root: Path, folder: str, pattern: str) -> set[str]:
    """Files below a folder of the project that a glob of setuptools matches."""
    base = root / folder
    try:
        paths = [path for path in base.glob(pattern) if path.is_file()] if pattern and base.is_dir() else []
    except (ValueError, NotImplementedError, IndexError):
        return set()
    return {path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root) and ".." not in path.parts}


def _manifest(root: Path) -> set[str]:
    """Files that `MANIFEST.in` names (setuptools, "Controlling files in the distribution")."""
    path = root / "MANIFEST.in"
    if not path.is_file():
        return set()
    everything = [file.relative_to(root).as_posix() for file in files_below(root)]
    found: set[str] = set()
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    for line in text.splitlines():
        command, *arguments = line.partition("#")[0].split() or [""]
        match command:
            case "include" | "exclude":
                chosen = _chosen(everything, arguments)
            case "global-include" | "global-exclude":
                chosen = _chosen(everything, [f"**/{pattern}" for pattern in arguments])
            case "recursive-include" | "recursive-exclude":
                folder, *patterns = arguments or [""]
                chosen = _chosen(everything, [f"{folder.strip('/')}/**/{pattern}" for pattern in patterns])
            case "graft" | "prune":
                chosen = _chosen(everything, [f"{folder.strip('/')}/**/*" for folder in arguments])
            case _:
                continue
        found = found - chosen if "exclude" in command or command == "prune" else found | chosen
    return found


def _chosen(files: Iterable[str], patterns: Iterable[str]) -> set[str]:
    expressions: list[re.Pattern[str]] = []
    for pattern in patterns:
        with suppress(re.error):  # `[z-a]` and `[]` match nothing
            expressions.append(re.compile(_expression(pattern)))
    return {file for file in files if any(expression.fullmatch(file) for expression in expressions)}


def _expression(pattern: str) -> str:
    """`*` stays in a folder, `**/` is any folders."""
    text = re.escape(pattern.removeprefix("./"))
    for glob, meant in ((r"\*\*/", "(?:.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
        text = text.replace(glob, meant)
    return re.sub(r"\\\[(!?)(.*?)\\\]", lambda match: f"[{'^' if match[1] else ''}{match[2]}]", text)
