"""Runs setup.py behind the wall, on the stand-ins, and prints what it said."""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from .notes import Notes
from .setuptools_modules import Extension, SetupCalledError, install_setuptools
from .torch_modules import install_packages, install_torch
from .wall import Wall


def _plain(value: object) -> Any:  # noqa: ANN401 (whatever JSON can say)
    """`value` for JSON; objects as their text, and what has none as its `repr` under the key "?"."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_plain(item) for item in items]
    return {"?": repr(value)} if type(value).__str__ is object.__str__ else str(value)


def _extension(extension: object) -> dict[str, Any]:
    if not isinstance(extension, Extension):
        return {"kind": type(extension).__name__, "name": repr(extension), "place": "setup.py", "sources": []}
    return {"kind": type(extension).__name__, **{key: _plain(value) for key, value in vars(extension).items()}}


def _commands(keywords: dict[str, Any]) -> dict[str, str]:
    """Commands of setuptools that the project has written itself, by their names."""
    return {
        name: getattr(command, "__name__", repr(command))
        for name, command in (keywords.get("cmdclass") or {}).items()
        if getattr(command, "__module__", "").partition(".")[0] != __package__
    }


def _failure(error: BaseException, root: str) -> dict[str, Any]:
    """What went wrong, at the last line of the project that was executed."""
    where = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        where.append((error.filename or "", error.lineno))
    inside = [(name, line) for name, line in where if os.path.abspath(name).startswith(root + os.sep)]
    name, line = inside[-1] if inside else (os.path.join(root, "setup.py"), None)
    return {
        "place": os.path.relpath(name, root) + (f":{line}" if line else ""),
        "kind": type(error).__name__,
        "message": error.msg if isinstance(error, SyntaxError) else str(error),
        "module": error.name if isinstance(error, ModuleNotFoundError) else None,
    }


def _run(request: dict[str, Any]) -> dict[str, Any]:
    root = request["root"]
    sys.path[0] = root
    sys.argv = ["setup.py", "bdist_wheel"]  # as build frontends have it called
    os.chdir(root)
    try:
        runpy.run_path(os.path.join(root, "setup.py"), run_name="__main__")
    except SetupCalledError as called:
        keywords = called.keywords
        extensions = keywords.get("ext_modules") or []
        return {
            "place": called.place,
            "keywords": {
                key: _plain(value) for key, value in keywords.items() if key not in {"cmdclass", "ext_modules"}
            },
            "extensions": [_extension(extension) for extension in extensions],
            "commands": _commands(keywords),
            "arch_list": os.environ.get("TORCH_CUDA_ARCH_LIST"),
        }
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (the project's code: anything may come)
        return {"failure": _failure(error, root)}
    return {"failure": {"place": "setup.py", "kind": "", "message": "it ends without calling it", "module": None}}


def main() -> None:
    """Answer the request."""
    request = json.loads(sys.stdin.read())
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what setup.py prints is no part of the answer
    notes = Notes(request["root"])
    install_setuptools(notes)
    install_torch(request, notes)
    install_packages(request["site"], request["packages"])
    Wall(request["scratch"], str(Path(request["cuda"]) / "version.txt"), notes).raise_it()
    document = _run(request)
    with answer:
        json.dump(document | {"notes": [note._asdict() for note in notes.all]}, answer)


if __name__ == "__main__":
    main()
