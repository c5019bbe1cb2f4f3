"""How a setup.py that does not get to `setup()` is told, and what helps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["empty_submodules", "failure_of", "is_foreign", "repository_of", "switches"]

_SUBMODULE = re.compile(r"^\s*path\s*=\s*(\S.*?)\s*$", re.MULTILINE)
_SWITCH = re.compile(r"""["'](--[\w-]+=?)["']\s*(?:not\s+)?in\s+(?:sys\.)?argv""")
_VARIABLE = re.compile(r"""(?:environ(?:\.get)?\s*[\[(]|getenv\s*\()\s*f?["']([A-Z][A-Z0-9_]+)["']""")
# Variables that nearly every build looks at: they switch no extension on.
_OTHERS = {
    "PATH",
    "HOME",
    "CC",
    "CXX",
    "CFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "CUDA_HOME",
    "CUDA_PATH",
    "MAX_JOBS",
    "TORCH_CUDA_ARCH_LIST",
}
_SHOWN = 8
_LINES = 15


def repository_of(root: Path) -> Path:
    """The folder of the git repository that a project is in; the project's own where it is in none."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)


def is_foreign(module: str, root: Path) -> bool:
    """Whether a module is none of the project's or its repository's."""
    return _home_of(module, root) is None


def empty_submodules(root: Path) -> list[str]:
    """Submodules of the project's repository that are not there."""
    top = repository_of(root)
    modules = top / ".gitmodules"
    if not modules.is_file():
        return []
    paths = _SUBMODULE.findall(modules.read_text(encoding="utf-8", errors="replace"))
    return [path for path in paths if not (top / path).is_dir() or not any((top / path).iterdir())]


def switches(text: str) -> list[str]:
    """What a setup.py looks for in its arguments and in the environment: "--cuda_ext", "FORCE_CUDA"."""
    found = [*_SWITCH.findall(text), *(name for name in _VARIABLE.findall(text) if name not in _OTHERS)]
    return list(dict.fromkeys(found))[:_SHOWN]


def failure_of(failure: Mapping[str, Any], root: Path, output: str) -> ConfigError:
    """The error for one that does not get to `setup()`.

    Args:
        failure: what the worker says of it.
        root: the project.
        output: what setup.py printed.
    """
    kind, message = failure["kind"], failure["message"]
    said = f"{kind}: {message}" if kind else message
    if failure.get("variable"):
        said = f"environment variable {failure['variable']} is not set"
    hint = next(_hints(failure, root), None)
    printed = "\n".join(output.splitlines()[-_LINES:]) if kind in {"SystemExit", ""} else None
    return ConfigError(f"{failure['place']} does not get to setup() ({said})", hint=hint, detail=printed or None)


def _hints(failure: Mapping[str, Any], root: Path) -> Iterator[str]:
    if failure.get("variable"):
        yield f"set it: {failure['variable']}=... gpuwheel init"
    module = failure.get("module")
    if module:
        name = module.partition(".")[0]
        home = _home_of(module, root)
        if home is not None:
            yield f"{name} is in {home}: PYTHONPATH={home} gpuwheel init"
        else:
            yield f"install {name} beside gpuwheel and run gpuwheel init again: setup.py imports it"
    elif failure["absent"]:
        yield f"install {failure['absent'][-1]} beside gpuwheel and run gpuwheel init again: setup.py asks it"
    missing = empty_submodules(root)
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        yield f"git submodule update --init --recursive brings what is missing here: {shown}"
    yield "init runs it with stand-ins for torch, a CUDA toolkit and a GPU: let it get to setup() with them"


def _home_of(module: str, root: Path) -> Path | None:
    """The folder of the repository that has a top-level module; `None` if it is not the repository's."""
    name = module.partition(".")[0]
    top = repository_of(root)
    for folder in (root, *root.parents):
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            return folder
        if folder == top:
            break
    return None
