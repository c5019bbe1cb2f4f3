"""What is not carried over, in few words, at its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from setup_projects import SIMPLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from setup_projects import Project


def test_a_licence_of_many_words_is_named_and_not_printed(project: Callable[..., Project]) -> None:
    text = "You may " + "use this " * 1200
    made = project(SIMPLE.replace('"1.2",', f'"1.2",\n    license="""{text}""",'))
    (row,) = (row for row in made.report()["left"] if row["what"].startswith("license"))
    assert len(row["what"]) < 120
    assert row["what"].endswith("characters)")
    assert row["place"] == "setup.py:7"
    made.write("LICENSE", text)
    assert not any(what.startswith("license") for what in made.left())


@pytest.mark.parametrize(
    ("text", "name"), [("Apache License 2.0", "Apache-2.0"), ("BSD 3-Clause License", "BSD-3-Clause"), ("mit", "MIT")]
)
def test_a_licence_that_everybody_knows_gets_its_name(project: Callable[..., Project], text: str, name: str) -> None:
    made = project(SIMPLE.replace('"1.2",', f'"1.2", license="{text}",'))
    assert made.adopted()["project"]["license"] == name


def test_many_files_are_written_on_one_line(project: Callable[..., Project]) -> None:
    made = project("for n in range(50):\n    open(f'ops/k{n}.cu', 'w').close()\n" + SIMPLE)
    left = made.left()
    assert left["writes ops/k0.cu, ops/k1.cu, ops/k2.cu and 47 more"] == "setup.py:2"
    assert len([what for what in left if what.startswith("writes")]) == 1


def test_folders_are_told_apart(project: Callable[..., Project]) -> None:
    setup = SIMPLE.replace(
        '"csrc/ops.cu"]',
        '"csrc/ops.cu", "../shared/k.cu"], include_dirs=["../shared", "/usr/include/nvinfer", "../../far"],'
        ' library_dirs=["vendor", "/opt/lib"]',
    )
    made = project(setup)
    (made.root.parent / ".git").mkdir()
    (made.root.parent / "shared").mkdir()
    (made.root.parent / "shared" / "k.cu").write_text("", encoding="utf-8")
    left = {row["what"]: row["advice"] for row in made.report()["left"]}
    assert left["../shared"].startswith("outside of the folder of pyproject.toml, though in its repository")
    assert left["../../far"].startswith("outside of the folder of pyproject.toml:")
    assert left["/usr/include/nvinfer"].startswith("a folder of this machine")
    assert left["vendor"].startswith("a folder of the project")
    assert left["/opt/lib"].startswith("a folder of this machine")
    assert left["shared/k.cu"].startswith("sources lie below the folder of pyproject.toml")


def test_a_module_of_the_repository_is_not_to_be_installed(project: Callable[..., Project]) -> None:
    made = project("from build_tools.te import version\n" + SIMPLE)
    (made.root.parent / ".git").mkdir()
    (made.root.parent / "build_tools").mkdir()
    result = made.init()
    assert f"hint: build_tools is in {made.root.parent}: PYTHONPATH={made.root.parent} gpuwheel init" in result.stderr


def test_a_submodule_that_is_missing_is_named_in_the_hint(project: Callable[..., Project]) -> None:
    made = project("import os\nassert os.path.exists('third_party/cutlass/include'), 'no cutlass'\n" + SIMPLE)
    made.write(".gitmodules", '[submodule "cutlass"]\n    path = third_party/cutlass\n    url = https://example.org\n')
    result = made.init()
    assert "error: setup.py:2 does not get to setup() (AssertionError: no cutlass)" in result.stderr
    hint = "hint: git submodule update --init --recursive brings what is missing here: third_party/cutlass"
    assert hint in result.stderr


BUILDS = """\
import json, os, shutil, subprocess
class Build(cpp_extension.BuildExtension):
    def run(self):
        super().run()
        subprocess.check_call(["make", "-C", "csrc"])
        with open(os.path.join(self.build_lib, "ops", "built.json"), "w") as file:
            json.dump({}, file)
        shutil.copy("a", "b")
"""


def test_what_a_command_of_its_own_does_is_listed_with_the_file_that_is_read(project: Callable[..., Project]) -> None:
    head, rest = SIMPLE.split("\nsetup(")
    made = project(f"{head}\n{BUILDS}setup({rest.replace('cpp_extension.BuildExtension}', 'Build}')}")
    made.write("ops/__init__.py", "import json, pathlib\nFACTS = json.loads(pathlib.Path('built.json').read_text())\n")
    rows = {row["what"]: row for row in made.report()["left"]}
    command = rows["build_ext by Build"]
    assert command["place"] == "setup.py:5"
    assert "writes at setup.py:9, 11; runs programs at setup.py:8" in command["advice"]
    read = rows["built.json, which a command of setup.py writes"]
    assert read["place"] == "setup.py:9"
    assert read["advice"].startswith("ops/__init__.py:2 reads it")


def test_a_setup_py_that_refuses_new_torches_is_told_of_older_ones(project: Callable[..., Project]) -> None:
    check = "import torch\nif torch.__version__ >= (2, 13):\n    raise RuntimeError('torch is too new')\n"
    made = project(check + SIMPLE)
    assert any(what.startswith("torch newer than 2.12") for what in made.left())
    assert made.adopted()["tool"]["gpuwheel"]["torch"] == "==2.12.*"


def test_what_a_setup_py_says_in_a_way_that_nothing_reads_ends_in_an_error(project: Callable[..., Project]) -> None:
    endless = "x = []\nx.append(x)\n"
    for line in ("import os; os.closerange(0, 99)", "import sys; sys.stdout = sys.stderr = None", endless):
        made = project(f"{line}\n{SIMPLE.replace('setup(', 'setup(keywords=[x],') if line is endless else SIMPLE}")
        assert made.init("--dry-run").exit_code in {0, 3}


def test_what_scikit_build_says_to_cmake_is_carried_over(project: Callable[..., Project]) -> None:
    arguments = "cmake_args=['-DFP8:BOOL=ON', '-DCMAKE_BUILD_TYPE=Debug']"
    setup = f"from skbuild import setup\nsetup(name='ops', version='1', packages=['ops'], {arguments})\n"
    made = project(setup, **{"CMakeLists.txt": "add_library(_C MODULE a.cpp)\n", "a.cpp": "", "ops/__init__.py": ""})
    document = made.adopted()
    assert document["tool"]["scikit-build"]["cmake"]["define"] == {"FP8": "ON"}
    assert document["tool"]["gpuwheel"]["cmake"] == "CMakeLists.txt"
    made.write("pyproject.toml", "[tool.scikit-build]\nwheel.cmake = false\n")
    assert made.left()["wheel.cmake of scikit-build-core is set by gpuwheel"] == "pyproject.toml"
