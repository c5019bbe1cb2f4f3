"""The table of environment variables, against what the tools themselves say."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from gpuwheel._environment.table import find_variable
from gpuwheel._run import run

pytestmark = pytest.mark.compiler

NO_VARIABLE = {
    "<PackageName>_ROOT",  # any name at all: find_package() of a project's own CMake, of which nothing is kept
}


def _cmake() -> Path:
    beside = Path(sys.executable).with_name("cmake")
    found = str(beside) if beside.exists() else shutil.which("cmake")
    assert found
    return Path(found)


def test_the_table_has_every_variable_of_cmakes_manual() -> None:
    manual = run([_cmake(), "--help-manual", "cmake-env-variables"]).stdout
    names = {name for name in re.findall(r"^([A-Z<]\S*)\n-+$", manual, re.MULTILINE) if "_" in name or name.isupper()}
    assert {"CXXFLAGS", "CMAKE_PREFIX_PATH", "CMAKE_<LANG>_COMPILER_LAUNCHER"} <= names
    spelled = {name.replace("<LANG>", "CXX").replace("<DIALECT>", "") for name in names - NO_VARIABLE}
    assert [name for name in sorted(spelled) if find_variable(name) is None] == []
