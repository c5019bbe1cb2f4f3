"""Python packages of a project: what `[tool.scikit-build]` must say for the same files to be in the wheel."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["renamed_packages", "wheel_table"]

_NATIVE = (".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".h", ".hpp")
_NO_PACKAGES = {
    "benchmark",
    "benchmarks",
    "build",
    "dist",
    "doc",
    "docs",
    "example",
    "examples",
    "test",
    "tests",
    "tools",
}


def wheel_table(given: Mapping[str, Any], name: str, root: Path, sources: Iterable[str]) -> dict[str, Any]:
    """`[tool.scikit-build.wheel]`; empty where its defaults give the same wheel.

    Args:
        given: keywords of `setup()`.
        name: that of the project.
        root: its folder.
        sources: files that extensions are compiled from.
    """
    folders = {target: folder for target, folder in _folders(given, root).items() if _keeps_name(target, folder)}
    table: dict[str, Any] = {}
    if list(folders.values()) != _default(name, root):
        nested = any("/" in target for target in folders)
        table["packages"] = folders if nested else list(folders.values())
    ships = given.get("package_data") or given.get("include_package_data")
    exclude = [] if ships else _excluded(folders.values(), sources, root)
    return {**table, **({"exclude": exclude} if exclude else {})}


def renamed_packages(given: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Packages whose folder has another name, which scikit-build-core cannot give them -> the folder."""
    return {target: folder for target, folder in _folders(given, root).items() if not _keeps_name(target, folder)}


def _keeps_name(target: str, folder: str) -> bool:
    return PurePosixPath(target).name == PurePosixPath(folder).name


def _folders(given: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Place in the wheel -> folder or module of the project."""
    places = given.get("package_dir") or {}
    base = PurePosixPath(places.get("", "."))
    tops = sorted({package.partition(".")[0] for package in words(given.get("packages"))})
    modules = words(given.get("py_modules"))
    if not {"packages", "py_modules"} & given.keys():
        base, tops = _discovered(root)
    folders = {top: PurePosixPath(places.get(top, base / top)).as_posix() for top in tops}
    folders |= {
        name.replace(".", "/"): PurePosixPath(place).as_posix() for name, place in places.items() if "." in name
    }
    return {**folders, **{f"{module}.py": (base / f"{module}.py").as_posix() for module in modules}}


def _discovered(root: Path) -> tuple[PurePosixPath, list[str]]:
    """As setuptools finds packages of a project that names none."""
    for base in (PurePosixPath("src"), PurePosixPath()):
        found = sorted(path.parent.name for path in (root / base).glob("*/__init__.py"))
        tops = [top for top in found if top not in _NO_PACKAGES]
        if tops:
            return base, tops
    return PurePosixPath(), []


def _default(name: str, root: Path) -> list[str]:
    """Where scikit-build-core looks for the package of a project."""
    package = name.replace("-", "_").replace(".", "_")
    places = (f"src/{package}", f"python/{package}", package)
    return [place for place in places if any((root / place).glob("__init__.py*"))][:1]


def _excluded(folders: Iterable[str], sources: Iterable[str], root: Path) -> list[str]:
    """Sources that lie beside Python's, which setuptools leaves out."""
    beside = {PurePosixPath(source).parent for source in sources}
    inside = [path for path in beside if any(path.is_relative_to(folder) for folder in folders)]
    suffixes = {file.suffix for path in inside for file in (root / path).iterdir() if file.suffix in _NATIVE}
    return sorted(f"*{suffix}" for suffix in suffixes)
