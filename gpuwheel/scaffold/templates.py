"""The templates that ship with gpuwheel, laid out as copier reads them.

`templates/` holds `copier.yml` (the questions), `parts/` (what files include), a folder for each template, and
`shared/`, over which each template is laid: its files replace the shared ones that are rendered to the same path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["QUESTIONS", "RELEASES", "current_tree", "digest", "template_names", "write_tree"]

QUESTIONS = "copier.yml"
RELEASES = "releases.bundle"
_SHARED, _PARTS = "shared", "parts"
_SUFFIX = ".jinja"
# What editors and tools leave in a checkout, and what keeps an empty folder in git.
_LEFT_OUT = {
    ".gitkeep",
    ".DS_Store",
    "__pycache__",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}


def template_names(templates: Path | None = None) -> list[str]:
    """The templates, by the names of their folders."""
    folder = templates or resource("templates")
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in {_SHARED, _PARTS})


def current_tree(templates: Path | None = None) -> dict[str, Path]:
    """What copier reads, as path -> the file that has its content: `copier.yml`, `parts/...`, `TEMPLATE/...`."""
    folder = templates or resource("templates")
    tree = {QUESTIONS: folder / QUESTIONS}
    tree |= {f"{_PARTS}/{name}": path for name, path in _files(folder / _PARTS)}
    for template in template_names(folder):
        files: dict[str, tuple[str, Path]] = {}
        for source in (folder / _SHARED, folder / template):
            # By the rendered name: a plain file of a template replaces a shared one with .jinja, too.
            files |= {name.removesuffix(_SUFFIX): (name, path) for name, path in _files(source)}
        tree |= {f"{template}/{name}": path for name, path in files.values()}
    return dict(sorted(tree.items()))


def digest(tree: Mapping[str, Path]) -> str:
    """SHA-256 over names, modes and contents."""
    total = hashlib.sha256()
    for name, path in tree.items():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        # Of the mode only whether it is a program: the rest is the umask's of whoever checked it out.
        total.update(f"{name}\0{_is_program(path)}\0{content}\n".encode())
    return total.hexdigest()


def write_tree(tree: Mapping[str, Path], folder: Path) -> None:
    """Lay the files out below `folder`."""
    for name, path in tree.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755 if _is_program(path) else 0o644)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        for name in sorted(set(names) - _LEFT_OUT):
            path = Path(parent, name)
            yield path.relative_to(folder).as_posix(), path


def _is_program(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)
