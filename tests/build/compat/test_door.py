"""`NAME.so`, the extension module that runs `NAME.py`: one file for every Python of this machine."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter

from gpuwheel.compile.compat.module_text import door_source

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = """\
import sys
ANSWER = 42
TARGET.answer = lambda: ANSWER
"""
_ASKED = """\
import importlib, importlib.util, sys, pkg.door
from pkg import door
before = door.answer
importlib.reload(door)
assert door.answer is before and door.answer() == 42 and not hasattr(door, "ANSWER")
assert door.__name__ == "pkg.door" and door.__package__ == "pkg" and door.__file__.endswith("/pkg/door.so")
assert importlib.util.find_spec("pkg.door").origin == door.__file__
assert getattr(sys, "_is_gil_enabled", lambda: None)() in (None, True) or "t" in sys.abiflags
"""
_IN_A_SUBINTERPRETER = """\
import {module} as made
one = made.create()
try:
    print(made.run_string(one, "import sys; sys.path.insert(0, '.'); import pkg.door"))
except Exception as error:
    print(error)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("door")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "door.py").write_text(_MODULE, encoding="utf-8")
    flags = ("-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-DGWC_NAME=door")
    for language in ("c", "c++"):
        _run(folder, "cc", *flags, "-x", language, door_source(), "-ldl", "-o", "pkg/door.so")
    return folder


def _run(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        words, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t"])
def test_it_is_imported_found_and_reloaded_as_an_extension_module(package: Path, version: str) -> None:
    python = find_interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    _run(package, str(python), "-W", "error", "-c", _ASKED)


def test_a_subinterpreter_is_refused(package: Path) -> None:
    python, module = next(
        (found, module)
        for version, module in (
            ("3.11", "_xxsubinterpreters"),
            ("3.12", "_xxsubinterpreters"),
            ("3.10", "_xxsubinterpreters"),
        )
        if (found := find_interpreter(version))
    )
    said = _run(package, str(python), "-c", _IN_A_SUBINTERPRETER.format(module=module))
    assert "subinterpreter" in said


def test_it_refers_to_no_symbol_of_python(package: Path) -> None:
    assert "Py" not in _run(package, "nm", "-D", "--undefined-only", "pkg/door.so")
