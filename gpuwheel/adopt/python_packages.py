"""Python packages of a project: what `[tool.scikit-build]` must say for the same files to be in the wheel."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.lists import words
from gpuwheel.adopt.shipped import files_below, find_packages, shipped_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["renamed_packages", "wheel_table"]

_NATIVE = (".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".h", ".hpp")
_MADE = ("", ".json", ".py", ".pyi", ".so", ".typed")
"""Suffixes of what a build may put beside."""
_NO_PACKAGES = {
    *("benchmark", "benchmarks", "build", "dist", "doc", "docs", "example", "examples", "test", "tests", "tools"),
}


def wheel_table(given: Mapping[str, Any], name: str, root: Path, import_paths: Sequence[str]) -> dict[str, Any]:
    """`[tool.scikit-build.wheel]`; empty where its defaults give the same wheel.

    Args:
        given: keywords of `setup()`.
        name: that of the project.
        root: its folder.
        import_paths: extensions, whose libraries must stay in the wheel.
    """
    folders = {target: folder for target, folder in _folders(given, root).items() if _keeps_name(target, folder)}
    table: dict[str, Any] = {}
    if list(folders.values()) != _default(name, root):
        # scikit-build-core takes a list for folders at the top, and a table where the place in the wheel is another.
        nested = any("/" in target for target in folders)
        table["packages"] = folders if nested else list(folders.values())
    shipped = shipped_files(_packages(given, root), given, root)
    exclude = sorted({*_excluded(folders, shipped, root, import_paths)})
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
    """The packages that setuptools finds in a project that names none."""
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


def _packages(given: Mapping[str, Any], root: Path) -> dict[str, str]:
    """Every package, with those inside of others -> its folder."""
    places = {str(name): str(place) for name, place in (given.get("package_dir") or {}).items()}
    names = words(given.get("packages"))
    if not {"packages", "py_modules"} & given.keys():
        base, tops = _discovered(root)
        places = {"": base.as_posix()}
        found = find_packages(root / base, plain=True)
        names = [name for name in found if name.partition(".")[0] in tops]
    return {name: _place(name, places) for name in names}


def _place(package: str, places: Mapping[str, str]) -> str:
    """The folder of a package: its own, or one in that of the package or folder above it."""
    if package in places:
        return PurePosixPath(places[package]).as_posix()
    above, _, last = package.rpartition(".")
    return (PurePosixPath(_place(above, places) if above else places.get("", ".")) / last).as_posix()


def _excluded(folders: Mapping[str, str], shipped: set[str], root: Path, import_paths: Sequence[str]) -> Iterator[str]:
    """Patterns over the wheel, for what lies in folders of packages and setuptools leaves out."""
    places = (
        f"{target}/{path.relative_to(root / folder).as_posix()}"
        for target, folder in folders.items()
        for path in files_below(root / folder)
    )
    files = {place: place in shipped for place in places}
    kept = {parent for file, ships in files.items() if ships for parent in PurePosixPath(file).parents}
    # A library lands in its package, though nothing of that package is shipped otherwise.
    kept |= {parent for name in import_paths for parent in PurePosixPath(name.replace(".", "/")).parents}
    shipping = {PurePosixPath(file).suffix for file, ships in files.items() if ships} | {*_MADE}
    for file in (PurePosixPath(file) for file, ships in files.items() if not ships):
        folder = next((parent for parent in reversed(file.parents) if parent not in kept), None)
        everywhere = file.suffix not in shipping
        # A pattern without a slash would also match what the build makes: only for what it does not make.
        if everywhere and (folder is None or file.suffix in _NATIVE):
            yield f"*{file.suffix}"
        else:
            yield f"/{_escaped(str(file))}" if folder is None else f"/{_escaped(str(folder))}/"


def _escaped(path: str) -> str:
    """Without the characters that `.gitignore` patterns read as something else."""
    return "".join(f"\\{letter}" if letter in "*?[]\\!#" else letter for letter in path)
