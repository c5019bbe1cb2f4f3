"""Runs setup.py behind the wall, on the stand-ins, and prints what it said."""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from typing import Any

from .notes import Note, Notes
from .programs import Programs
from .setuptools_modules import Extension, SetupCalledError, install_setuptools
from .stand_ins import Unknown
from .tool_modules import install_tools
from .torch_modules import install_torch
from .wall import Wall

_DEPTH = 50
_KEYS = ("ext_modules", "cmdclass", "distclass")


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 (whatever JSON can say)
    """`value` for JSON; objects as their text, and what has none as its `repr` under the key "?"."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, dict) and depth <= _DEPTH:
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and depth <= _DEPTH:
        # Sets have another order in each process, and the document should not.
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_plain(item, depth + 1) for item in items]
    if depth > _DEPTH or type(value).__str__ is object.__str__ or isinstance(value, Unknown):
        return {"?": f"a {type(value).__name__}"}
    return str(value)


def _extension(extension: object, notes: Notes) -> dict[str, Any]:
    kind = type(extension).__name__
    if not isinstance(extension, Extension):
        return {"kind": kind, "name": f"a {kind}", "place": notes.place(), "sources": [], "own": False}
    own = type(extension).__module__.partition(".")[0] != __package__
    said = {key: _plain(value) for key, value in vars(extension).items()}
    return {"kind": kind, "own": own, "name": "", "place": "setup.py", "sources": [], **said}


def _commands(keywords: dict[str, Any], root: str) -> dict[str, dict[str, Any]]:
    """Commands of setuptools that the project has written itself, by their names: the class, its place, its options."""
    commands = keywords.get("cmdclass")
    found = {}
    for name, command in (commands if isinstance(commands, dict) else {}).items():
        ours = getattr(command, "__module__", "").partition(".")[0] == __package__
        options = getattr(command, "with_options_given", {})
        if not ours or set(options) - _OPTIONS_OF_TORCH:
            path, line = _definition(command)
            place = f"{os.path.relpath(path, root)}:{line}" if path.startswith(root + os.sep) else ""
            shown = getattr(command, "__name__", type(command).__name__)
            found[str(name)] = {"name": shown, "place": place, "options": _plain(options)}
    return found


_OPTIONS_OF_TORCH = {"use_ninja", "no_python_abi_suffix", "parallel", "verbose"}


def _definition(command: object) -> tuple[str, int]:
    """File and line of the first method that a class has of its own, or inherits from one of the project's."""
    for kind in getattr(command, "__mro__", ()):
        lines = [
            (code.co_filename, code.co_firstlineno)
            for member in vars(kind).values()
            if (code := getattr(getattr(member, "__func__", member), "__code__", None)) is not None
        ]
        if lines and kind.__module__.partition(".")[0] != __package__:
            return os.path.abspath(lines[0][0]), min(line for _, line in lines)
    return "", 0


def _failure(error: BaseException, root: str) -> dict[str, Any]:
    """What went wrong, at the last line of the project that was executed."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [(frame.filename, frame.lineno) for frame in frames if not frame.filename.startswith("<")]
    if isinstance(error, SyntaxError):
        where.append((error.filename or "", error.lineno))
    inside = [(name, line) for name, line in where if os.path.abspath(name).startswith(root + os.sep)]
    name, line = inside[-1] if inside else (os.path.join(root, "setup.py"), None)
    environment = isinstance(error, KeyError) and bool(frames) and frames[-1].name == "__getitem__"
    return {
        "place": os.path.relpath(name, root) + (f":{line}" if line else ""),
        "kind": type(error).__name__,
        "message": error.msg if isinstance(error, SyntaxError) else str(error),
        "module": error.name if isinstance(error, ModuleNotFoundError) else None,
        "variable": error.args[0] if environment and error.args[0] not in os.environ else None,
    }


def _run(request: dict[str, Any], notes: Notes) -> dict[str, Any]:
    root = request["root"]
    # As `python setup.py` has it: projects import modules beside it.
    sys.path[0] = root
    sys.argv = ["setup.py", "bdist_wheel", *request["arguments"]]  # as build frontends have it called
    os.chdir(root)
    try:
        return _said(root, notes)
    except BaseException as error:  # noqa: BLE001 (the project's code: anything may come)
        return {"failure": _failure(error, root)}


def _said(root: str, notes: Notes) -> dict[str, Any]:
    """What setup.py tells `setup()`."""
    try:
        runpy.run_path(os.path.join(root, "setup.py"), run_name="__main__")
    except SetupCalledError as called:
        keywords = called.keywords
        extensions = keywords.get("ext_modules") or []
        return {
            "place": called.place,
            "keywords": {str(key): _plain(value) for key, value in keywords.items() if key not in _KEYS},
            "extensions": [_extension(extension, notes) for extension in extensions],
            "commands": _commands(keywords, root),
            "arch_list": os.environ.get("TORCH_CUDA_ARCH_LIST"),
        }
    return {"failure": {"place": "setup.py", "kind": "", "message": "it ends without calling it"}}


def _prepared(file: str) -> tuple[dict[str, Any], Notes]:
    """The request, once the stand-ins are where `import` finds them and the wall stands."""
    with open(file, encoding="utf-8") as text:
        request = json.load(text)
    notes = Notes(request["root"])
    install_torch(request, notes)
    install_tools(request, notes)
    install_setuptools(notes, request["site"])
    Wall(request["scratch"], Programs(request, notes), notes).raise_it()
    return request, notes


def _write(path: str, document: dict[str, Any], notes: Notes) -> None:
    with open(path, "w", encoding="utf-8") as answer:
        json.dump(document | {"notes": [note._asdict() for note in notes.all]}, answer)


def child() -> None:
    """Run `python -c CODE` of a setup.py on the same stand-ins; notes go to a file beside the answer."""
    file, code, *arguments = sys.argv[1:]
    request, notes = _prepared(file)
    sys.argv = ["-c", *arguments]
    sys.path[0] = ""
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 (what setup.py has Python run)
    finally:
        _write(os.path.join(request["scratch"], "answers", f"notes-{os.getpid()}.json"), {}, notes)


def main() -> None:
    """Answer the request in the file that is named, in another file."""
    request, notes = _prepared(sys.argv[1])
    mine = os.getpid()
    os.dup2(2, 1)  # what setup.py prints is for people
    document = _run(request, notes)
    if os.getpid() != mine:
        os._exit(0)  # a process that setup.py forked
    for name in sorted(os.listdir(os.path.join(request["scratch"], "answers"))):
        if name.startswith("notes-"):
            with open(os.path.join(request["scratch"], "answers", name), encoding="utf-8") as file:
                notes.all.update(dict.fromkeys(Note(**row) for row in json.load(file)["notes"]))
    _write(request["answer"], document, notes)


if __name__ == "__main__":
    main()
