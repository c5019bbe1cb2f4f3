"""One set of objects for all cells that share what the objects were compiled from."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._environment import tool_environment
from gpuwheel.compile.cmake.keys import Given, nvcc_recipe
from gpuwheel.compile.cmake.nvcc_project import NvccProject
from gpuwheel.compile.reuse.facts import Facts
from gpuwheel.compile.reuse.linked import LibraryStore
from gpuwheel.compile.reuse.scopes import narrowest, scopes
from gpuwheel.compile.reuse.store import ContentStore, Stored
from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.choices import PythonAbi, TorchAbi
from gpuwheel.model.libraries import NvccLibrary, NvccSource
from gpuwheel.model.toolchain import CudaToolchain, HostCompiler, NvccToolchain, PythonHeaders, TorchSdk
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compile.reuse.linked import Recipe

CELLS = [(torch, python) for torch in ("2.13", "2.14") for python in ("3.11", "3.12")]


class Matrix:
    """A project of one CUDA source, for two torches and two Pythons."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for version in {version for cell in CELLS for version in cell}:
            self.write(f"include-{version}/version.h", version)
            self.write(f"include-{version}/patchlevel.h", version)
            self.write(f"include-{version}/same.h", "the same everywhere")
        self.compiler = self.write("compiler", "#!/bin/sh\n")
        self.compiler.chmod(0o755)
        self.source = self.write("project/a.cu", "int a;\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def cell(self, torch: str, python: str) -> NvccProject:
        source = NvccSource(self.source, cuda=True, targets=(ArchTarget(Arch(8, 0, "")),), flags=())
        library = NvccLibrary(
            import_path="ops._C",
            sources=(source,),
            include_dirs=(),
            defines=(),
            flags=(),
            nvcc_flags=(),
            link_flags=(),
            std="c++17",
            rdc=False,
            torch=TorchAbi.EXACT,
            python=PythonAbi.VERSION,
            libraries=(),
            include_packages=(),
            exports=(),
        )
        return NvccProject(
            root=self.root / "project",
            libraries=(library,),
            toolchain=NvccToolchain(
                cuda=CudaToolchain(MinorVersion(13, 0), self.root / "cuda", (), ("nvcc==13",), "c", "x", "x86_64"),
                host=HostCompiler(self.compiler, "compiler 1.0", "x86_64-linux-gnu", "PATH"),
                torch=TorchSdk(torch, self.root / f"include-{torch}", self.root / "stub" / torch / "t.so", torch, "x"),
                python=PythonHeaders(self.root / f"include-{python}", MinorVersion.parse(python), f".cp{python}.so"),
            ),
            package_dirs={},
            headers=self.root / "headers",
            torch_floor=MinorVersion.parse(torch),
            cxx_standard=20,
            limited_api=None,
            weak_symbols=("weak",),
            compression=(),
            manifests={},
            jobs=2,
            pool=1,
        )

    def recipe(self, torch: str, python: str) -> Recipe:
        project = self.cell(torch, python)
        tools = tool_environment({"PATH": os.environ["PATH"]})
        return nvcc_recipe(project, Given(Cache(self.root / "cache"), project.toolchain.host, {}, tools))

    def compile(self, torch: str, python: str, *, reads: tuple[str, ...] = (), absent: tuple[str, ...] = ()) -> None:
        """Keep the object of one cell, as a compiler that read these files would have made it."""
        recipe = self.recipe(torch, python)
        (unit,) = recipe.units
        places, index = recipe.setting.places, recipe.index
        digests = {name: index.digest(places.real(name)) or "" for name in reads}
        facts = Facts(digests, frozenset(absent))
        stored = Stored({**facts.stored(), "sizes": [1]}, torch[-1].encode())
        ContentStore(Cache(self.root / "cache"), "libraries").save(narrowest(unit.scopes, reads).key, stored)

    def found(self, torch: str, python: str) -> bytes | None:
        """The object that a build of the cell takes from the cache."""
        objects = LibraryStore(Cache(self.root / "cache"), self.recipe(torch, python)).objects(self.root / "objects")
        return next((path.read_bytes() for path in objects.values()), None)

    def serves(self) -> set[tuple[str, str]]:
        """The cells that need not compile it."""
        return {cell for cell in CELLS if self.found(*cell) is not None}


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return Matrix(tmp_path)


def test_keys_are_equal_where_nothing_that_differs_is_read(matrix: Matrix) -> None:
    units = [unit for cell in CELLS for unit in matrix.recipe(*cell).units]
    keys = [{scope.read: scope.key for scope in unit.scopes} for unit in units]
    counted = {read: len({each[read] for each in keys}) for read in keys[0]}
    assert counted == {
        frozenset(): 1,
        frozenset({"torch"}): 2,
        frozenset({"python"}): 2,
        frozenset({"torch", "python"}): 4,
    }
    assert len({matrix.recipe(*cell).linked for cell in CELLS}) == 4


def test_what_reads_neither_is_compiled_once(matrix: Matrix) -> None:
    matrix.compile("2.13", "3.11", reads=("<.>/a.cu",))
    assert matrix.serves() == set(CELLS)


def test_what_reads_torch_is_compiled_once_for_all_pythons(matrix: Matrix) -> None:
    matrix.compile("2.13", "3.11", reads=("<.>/a.cu", "<torch>/version.h"))
    assert matrix.serves() == {("2.13", "3.11"), ("2.13", "3.12")}


def test_what_reads_python_is_compiled_once_for_all_torches(matrix: Matrix) -> None:
    matrix.compile("2.14", "3.12", reads=("<.>/a.cu", "<python>/version.h"))
    assert matrix.serves() == {("2.13", "3.12"), ("2.14", "3.12")}


def test_what_reads_both_serves_one_cell_and_cells_do_not_displace_each_other(matrix: Matrix) -> None:
    for cell in CELLS[:3]:
        matrix.compile(*cell, reads=("<python>/version.h", "<torch>/version.h"))
    assert matrix.serves() == set(CELLS[:3])


@pytest.mark.parametrize("place", ["torch", "python"])
def test_one_file_of_a_place_is_enough_even_if_others_have_the_same(matrix: Matrix, place: str) -> None:
    matrix.compile("2.13", "3.11", reads=(f"<{place}>/same.h",))
    assert ("2.14", "3.12") not in matrix.serves()


@pytest.mark.parametrize("place", ["torch", "python"])
def test_a_name_that_was_looked_for_in_vain_is_not_there_in_other_cells_either(matrix: Matrix, place: str) -> None:
    matrix.compile("2.13", "3.11", reads=("<.>/a.cu",), absent=(f"<{place}>/optional.h",))
    assert matrix.serves() == set(CELLS)
    other = {"torch": "2.14", "python": "3.12"}[place]
    (matrix.root / f"include-{other}" / "optional.h").touch()
    assert matrix.serves() == {cell for cell in CELLS if other not in cell}


def test_a_header_of_torch_that_changed_in_place_is_read_again(matrix: Matrix) -> None:
    matrix.compile("2.13", "3.11", reads=("<torch>/version.h",))
    (matrix.root / "include-2.13" / "version.h").write_text("patched", encoding="utf-8")
    assert matrix.serves() == set()


def test_objects_serve_elsewhere_where_their_bytes_do_not_tell_where_the_project_is(matrix: Matrix) -> None:
    def placed(project: NvccProject) -> list[bool]:
        tools = tool_environment({"PATH": os.environ["PATH"]})
        given = Given(Cache(matrix.root / "cache"), project.toolchain.host, {}, tools)
        return [unit.placed for unit in nvcc_recipe(project, given).units]

    def compiling(path: Path, *, cuda: bool = True) -> NvccProject:
        source = NvccSource(path, cuda=cuda, targets=project.libraries[0].sources[0].targets, flags=())
        return replace(project, libraries=(replace(project.libraries[0], sources=(source,)),))

    project = matrix.cell("2.13", "3.11")
    assert placed(project) == [False]
    older = replace(project.toolchain.cuda, version=MinorVersion(12, 9))
    assert placed(replace(project, toolchain=replace(project.toolchain, cuda=older))) == [True]
    assert placed(compiling(matrix.write("project/a b.cu", ""))) == [True], "nvcc would split the name"
    assert placed(compiling(matrix.write("elsewhere.cu", ""))) == [True]
    assert placed(compiling(matrix.write("project/a b.cpp", ""), cuda=False)) == [False]


def test_scopes_come_from_what_reads_least_to_what_reads_most() -> None:
    found = scopes({"source": "a"}, {"torch": 1, "python": 2})
    assert [sorted(scope.read) for scope in found] == [[], ["python"], ["torch"], ["python", "torch"]]
    assert len({scope.key for scope in found}) == 4
    assert [scope.read for scope in scopes({"source": "a"}, {})] == [frozenset()]


def test_only_places_that_differ_narrow_whom_an_object_serves() -> None:
    found = scopes({}, {"torch": 1})
    assert narrowest(found, ["/usr/include/stdio.h", "<cuda>/cuda.h", "<.>/torch/a.h", "<packages/x>/y"]) == found[0]
    assert narrowest(found, ["<torch>/a.h", "<python>/Python.h"]) == found[1]
