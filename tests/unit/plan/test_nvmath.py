"""The extras of the key `nvmath` against torch's own pins, with the shipped tables and with made-up ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.nvmath import NvmathTable, Release, load_nvmath
from gpuwheel.config.model import Extension, LoadedConfig, ProjectFacts, Settings
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.nvmath import NVMATH, NVMATH_EXTRAS
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.plan import plan
from gpuwheel.plan.nvmath import nvmath_notes, nvmath_problems
from gpuwheel.plan.nvmath_resolution import minimal_conflict, solve

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables

TABLES = load_tables()


def settings(nvmath: str | None = ">=1.0", torch: str = ">=2.10") -> Settings:
    return Settings(
        cuda=(MinorVersion(12, 9),),
        driver=DriverVersion((525,)),
        archs=(ArchTarget.parse("9.0"),),
        torch=(SpecifierSet(torch),),
        nvmath=SpecifierSet(nvmath) if nvmath else None,
        extensions={"fused_ops._C": Extension(sources=("ops.cpp",))},
    )


def world(**packages: dict[str, list[str]]) -> NvmathTable:
    """Packages by name with "_" for "-": version -> requirements; those of nvmath_python are of both extras."""
    rows: dict[str, dict[Version, Release]] = {}
    versions: dict[str, tuple[Version, ...]] = {}
    for key, releases in packages.items():
        name = key.replace("_", "-")
        newest_first = sorted(releases, key=Version, reverse=True)
        if any(releases.values()):
            rows[name] = {}
            for version in newest_first:
                lines = tuple(map(Requirement, releases[version]))
                extras = dict.fromkeys(NVMATH_EXTRAS, lines) if name == NVMATH else {}
                rows[name][Version(version)] = Release(() if extras else lines, extras)
        else:
            versions[name] = tuple(map(Version, newest_first))
    return NvmathTable(rows, versions)


def torches(*requires: str) -> Tables:
    """The shipped tables with one torch 2.10 that has other requirements."""
    row = replace(TABLES.torch[MinorVersion(2, 10)], requires=requires)
    return replace(TABLES, torch={MinorVersion(2, 10): row})


# --- The table that ships ---------------------------------------------------------------------------------------------


def test_every_release_has_both_extras_and_newer_ones_come_first() -> None:
    table = load_nvmath()
    for name in (*table.packages, *table.versions):
        known = table.known(name)
        assert known
        assert list(known) == sorted(known, reverse=True)
    for release in table.packages[NVMATH].values():
        named = {one.name for lines in release.extras.values() for one in lines}
        assert all(table.known(name) for name in named)
    assert all(release.extras.keys() >= NVMATH_EXTRAS.keys() for release in table.packages[NVMATH].values())


@pytest.mark.parametrize("version", [v for v in TABLES.torch if v >= TABLES.torch_floor], ids=str)
def test_every_torch_from_the_floor_on_has_a_solution_with_its_own_major(version: MinorVersion) -> None:
    build = TABLES.torch[version]
    pins = [Requirement(text.partition(";")[0]) for text in build.requires]
    found = solve([*pins, Requirement(f"nvmath-python[cu{build.cuda.major}]>=1.0")], load_nvmath())
    assert found is not None
    assert found["nvmath-python"] == Version("1.0.0")
    for pin in pins:
        assert pin.name not in found or pin.specifier.contains(found[pin.name])


def test_without_the_key_nothing_is_looked_at() -> None:
    assert nvmath_problems(settings(nvmath=None), TABLES) == ()
    assert nvmath_notes(settings(nvmath=None), TABLES) == ()


def test_the_default_project_gets_both_extras_without_a_word() -> None:
    assert nvmath_problems(settings(), TABLES) == ()
    assert nvmath_notes(settings(), TABLES) == ()


def test_a_torch_floor_after_the_last_cuda_12_build_of_the_index_is_noted() -> None:
    assert nvmath_problems(settings(torch=">=2.11"), TABLES) == ()
    (note,) = nvmath_notes(settings(torch=">=2.11"), TABLES)
    assert note.startswith("extra cu12 is for builds of torch with CUDA 12 from PyTorch's own index")


def test_one_torch_alone_is_looked_at_alone() -> None:
    (note,) = nvmath_notes(settings(torch="==2.13.*"), TABLES)
    assert note.startswith("extra cu12 is for builds of torch with CUDA 12")
    assert "has none of torch ==2.13.*" in note


# --- Floors -----------------------------------------------------------------------------------------------------------


def test_a_floor_before_the_extras_is_rejected() -> None:
    (problem,) = nvmath_problems(settings(nvmath=">=0.6"), TABLES)
    assert problem.reason == (
        "nvmath >=0.6 admits releases of nvmath-python without the extras cu12 and cu13, which installers fall back to "
        "in silence (expected >=0.7.0 or newer)"
    )
    assert problem.hint == 'nvmath = ">=1.0"'


def test_a_floor_after_the_newest_release_is_rejected() -> None:
    (problem,) = nvmath_problems(settings(nvmath=">=7.0"), TABLES)
    assert problem.reason.startswith("nvmath >=7.0 is newer than any nvmath-python that gpuwheel knows")
    assert problem.hint == 'nvmath = ">=1.0", or pip install -U gpuwheel'


def test_a_problem_rejects_the_cell(tmp_path: Path) -> None:
    project = ProjectFacts(root=tmp_path, name="fused-ops", requires_python=">=3.10", dependencies=None)
    config = LoadedConfig(
        settings(nvmath=">=0.6"),
        project,
        origins={},
        inner={},
        inner_table={},
        warnings=(),
        oldest_python=MinorVersion(3, 10),
    )
    (decision,) = plan(config, TABLES)
    assert not decision.accepted
    assert "in silence" in decision.reason


# --- Conflicts --------------------------------------------------------------------------------------------------------

NEWER_CUBLAS = world(
    nvmath_python={"1.0": ["nvidia-cublas-cu12>=12.9", "nvidia-cufft-cu12"], "0.9": ["nvidia-cublas-cu12"]},
    nvidia_cublas_cu12={"12.8.4.1": [], "12.9.1.4": []},
    nvidia_cufft_cu12={"11.3.3.83": []},
)


def test_the_minimal_conflict_is_named_with_the_older_floor_that_fits() -> None:
    tables = torches("nvidia-cublas-cu12==12.8.4.1", "nvidia-cufft-cu12==11.3.3.83", "triton==3.6.0")
    (problem,) = nvmath_problems(settings(), tables, NEWER_CUBLAS)
    assert problem.reason == (
        "nvmath-python[cu12]>=1.0 fits beside no torch >=2.10 with CUDA 12: torch 2.10.0 needs "
        "nvidia-cublas-cu12==12.8.4.1, nvmath-python 1.0 needs nvidia-cublas-cu12>=12.9"
    )
    assert problem.hint == 'nvmath = ">=0.9"'


def test_a_conflict_two_steps_away_is_found() -> None:
    """As nvidia-cudss does: nvmath-python asks for it, it asks for a toolkit, the toolkit pins what torch pins."""
    table = world(
        nvmath_python={"1.0": ["nvidia-cudss-cu12==0.8.*"]},
        nvidia_cudss_cu12={"0.8.0.10": ["cuda-toolkit>=12.9"], "0.7.0": ["cuda-toolkit"]},
        cuda_toolkit={"12.9.1": ["nvidia-cublas-cu12==12.9.*"], "12.8.1": ["nvidia-cublas-cu12==12.8.*"]},
        nvidia_cublas_cu12={"12.8.4.1": [], "12.9.1.4": []},
    )
    (problem,) = nvmath_problems(settings(), torches("nvidia-cublas-cu12==12.8.4.1", "nvidia-nccl-cu12==2.27.5"), table)
    assert problem.reason.endswith(
        "torch 2.10.0 needs nvidia-cublas-cu12==12.8.4.1, nvmath-python 1.0 needs nvidia-cudss-cu12==0.8.*"
    )
    assert problem.hint == "leave nvmath out, or raise torch"


def test_one_torch_that_fits_is_enough_and_the_others_are_noted() -> None:
    old = replace(TABLES.torch[MinorVersion(2, 10)], requires=("nvidia-cublas-cu12==12.8.4.1",))
    new = replace(old, version=MinorVersion(2, 11), release="2.11.0", requires=("nvidia-cublas-cu12==12.9.1.4",))
    tables = replace(TABLES, torch={old.version: old, new.version: new})
    assert nvmath_problems(settings(), tables, NEWER_CUBLAS) == ()
    notes = nvmath_notes(settings(), tables, NEWER_CUBLAS)
    assert "extra cu12 does not fit torch 2.10.0: torch 2.10.0 needs nvidia-cublas-cu12==12.8.4.1" in notes[0]


# --- The search -------------------------------------------------------------------------------------------------------


def test_an_older_release_is_taken_where_the_newest_does_not_fit() -> None:
    table = world(
        cuda_core={"1.0": ["cuda-toolkit>=12.9"], "0.9": ["cuda-toolkit"]},
        cuda_toolkit={"12.9": ["nvidia-cublas-cu12==12.9.*"], "12.8": ["nvidia-cublas-cu12==12.8.*"]},
        nvidia_cublas_cu12={"12.8.4": [], "12.9.1": []},
    )
    found = solve([Requirement("cuda-core"), Requirement("nvidia-cublas-cu12==12.8.4")], table)
    assert found is not None
    assert {name: str(version) for name, version in found.items()} == {
        "cuda-core": "0.9",
        "cuda-toolkit": "12.8",
        "nvidia-cublas-cu12": "12.8.4",
    }


def test_an_extra_that_comes_late_is_still_required() -> None:
    """cuda-bindings is chosen first, then somebody asks for its extra."""
    table = NvmathTable(
        {
            "cuda-bindings": {Version("13"): Release((), {"all": (Requirement("nvidia-nvvm>=13.5"),)})},
            "cuda-core": {
                Version("2"): Release((Requirement("cuda-bindings[all]"),), {}),
                Version("1"): Release((Requirement("cuda-bindings"),), {}),
            },
        },
        {"nvidia-nvvm": (Version("13.5"), Version("13.2"))},
    )
    asked = [Requirement("cuda-bindings"), Requirement("cuda-core"), Requirement("nvidia-nvvm<13.5")]
    found = solve(asked, table)
    assert found is not None
    assert found["cuda-core"] == Version("1")
    assert solve([*asked, Requirement("cuda-core>=2")], table) is None


def test_a_package_that_the_table_does_not_have_conflicts_with_nothing() -> None:
    assert solve([Requirement("numpy>=2"), Requirement("numpy<1")], world()) == {}


def test_a_minimal_conflict_has_nothing_to_spare() -> None:
    table = world(a={"1": [], "2": [], "3": []})
    others = [Requirement(text) for text in ("a>=1", "a>=2", "b", "a>=3")]
    assert [str(one) for one in minimal_conflict([Requirement("a<3")], others, table)] == ["a>=3"]
