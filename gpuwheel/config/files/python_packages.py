"""Which Python packages go into the wheel where their names are not the project's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["packages_beside_default"]

_BASES = ("src", "python", "")
"""Where scikit-build-core looks for packages, in its order."""


def packages_beside_default(root: Path, project: str, import_paths: Iterable[str]) -> list[str]:
    """Folders for scikit-build-core's `wheel.packages`; empty where what it finds by itself is right.

    By itself it finds the package that has the project's name. A wheel of `fused-ops` with the extension `fused._C`
    would hold that library and not a line of `src/fused`. Without extensions, all packages in `src` are the project's.
    """
    # As scikit-build-core spells it: a name with dots may be a folder in folders.
    default = _find(root, project.replace("-", "_").replace(".", "_")) or _find(root, project.replace(".", "/"))
    names = sorted({path.partition(".")[0] for path in import_paths if "." in path})
    if not names and default is None and (root / "src").is_dir():
        names = sorted(folder.name for folder in (root / "src").iterdir())
    found = [folder for name in names if (folder := _find(root, name)) is not None]
    if set(found) <= {default}:
        return []
    return sorted({*found, *([default] if default else [])})


def _find(root: Path, name: str) -> str | None:
    for base in _BASES:
        folder = Path(base, name)
        if any((root / folder / file).is_file() for file in ("__init__.py", "__init__.pyi")):
            return folder.as_posix()
    return None
