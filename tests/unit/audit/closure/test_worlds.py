"""Choosing releases as an installer does: over a small table."""

from __future__ import annotations

from datetime import date

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from gpuwheel.audit.closure.worlds import TooManyStepsError, clash, resolve
from gpuwheel.compatibility.distributions.releases import Place, ReleaseTable

PLACE = Place("x86_64", 11)
TABLE = ReleaseTable(
    date(2026, 1, 1),
    frozenset({"numpy"}),
    frozenset(),
    {
        "torch": (
            "2.9 @ x86_64 @ 9-13\n  torch/lib: libtorch.so\n  > blas==12.8\n  > nccl==2.27\n"
            "2.10 @ x86_64 @ 10-14\n  torch/lib: libtorch.so\n  > blas==12.9\n  > nccl==2.28\n  ? sparse\n"
        ),
        "blas": "12.8 12.9 @ x86_64 @ 8-15\n  nv/blas/lib: libblas.so.12\n",
        "nccl": "2.27 2.28 2.29 @ x86_64 aarch64 @ 8-15\n  nv/nccl/lib: libnccl.so.2\n",
        "meta": '12.9 @ x86_64 @ 8-15\n  > blas==12.9; extra == "blas"\n  > nccl==2.29; extra == "nccl"\n',
        "math": '1.0 @ x86_64 @ 8-15\n  > meta[blas]==12.9; extra == "cu12"\n  > blas<12.9; python_version < "3.10"\n',
    },
)


def _chosen(*requirements: str, python: int = 11, oldest: bool = False) -> dict[str, str] | None:
    world = resolve([Requirement(it) for it in requirements], TABLE, Place("x86_64", python), oldest=oldest)
    return None if world is None else {name: str(release.version) for name, release in world.releases.items()}


@pytest.mark.parametrize(
    ("requirements", "python", "oldest", "expected"),
    [
        (["torch"], 11, False, {"torch": "2.10", "blas": "12.9", "nccl": "2.28"}),
        (["torch"], 11, True, {"torch": "2.9", "blas": "12.8", "nccl": "2.27"}),
        # There is no wheel of the newer one for that Python.
        (["torch"], 9, False, {"torch": "2.9", "blas": "12.8", "nccl": "2.27"}),
        # A choice that leads nowhere is taken back.
        (["torch", "blas<12.9"], 11, False, {"torch": "2.9", "blas": "12.8", "nccl": "2.27"}),
        (["meta"], 11, False, {"meta": "12.9"}),
        (["meta[blas]"], 11, False, {"meta": "12.9", "blas": "12.9"}),
        (["math[cu12]"], 11, False, {"math": "1.0", "meta": "12.9", "blas": "12.9"}),
        # The same distribution, asked for twice, with an extra the second time.
        (["meta", "math[cu12]"], 11, False, {"math": "1.0", "meta": "12.9", "blas": "12.9"}),
        (["math"], 9, False, {"math": "1.0", "blas": "12.8"}),
        (["nccl; platform_machine == 'aarch64'"], 11, False, {}),
        (["nccl; sys_platform == 'win32'", "blas; extra == 'x'"], 11, False, {}),
    ],
)
def test_releases_are_chosen_as_an_installer_does(
    requirements: list[str],
    python: int,
    oldest: bool,  # noqa: FBT001
    expected: dict[str, str],
) -> None:
    assert _chosen(*requirements, python=python, oldest=oldest) == expected


@pytest.mark.parametrize(
    ("requirement", "unknown"),
    [
        ("numpy", set()),
        ("fast-kernels", {"fast-kernels"}),
        ("torch", {"sparse"}),
        # Newer than the table, of another index, and from a URL: none of them is what the table has.
        ("nccl>=3", {"nccl"}),
        ("blas==12.9+cu129", {"blas"}),
        ("blas @ https://example.org/blas-12.9-py3-none-any.whl", {"blas"}),
    ],
)
def test_what_was_not_looked_up_is_said_and_not_guessed(requirement: str, unknown: set[str]) -> None:
    world = resolve([Requirement(requirement)], TABLE, PLACE)
    assert world is not None
    assert world.unknown == unknown


@pytest.mark.parametrize(
    ("requirements", "minimal", "over"),
    [
        (["numpy", "torch>=2.10", "nccl==2.27"], ["torch>=2.10", "nccl==2.27"], "nccl"),
        (["torch<2.10", "torch>=2.10", "blas"], ["torch<2.10", "torch>=2.10"], "torch"),
        (["math[cu12]", "nccl", "torch==2.9"], ["math[cu12]", "torch==2.9"], "blas"),
    ],
)
def test_a_conflict_is_told_by_the_fewest_requirements(requirements: list[str], minimal: list[str], over: str) -> None:
    found = clash([Requirement(it) for it in requirements], TABLE, PLACE)
    assert found is not None
    assert sorted(map(str, found.requirements)) == sorted(str(Requirement(it)) for it in minimal)
    assert found.over == over


@pytest.mark.parametrize("requirements", [["torch", "nccl<2.28"], ["nccl>=3", "torch"], ["meta[nccl]", "blas<12.9"]])
def test_requirements_that_something_meets_do_not_clash(requirements: list[str]) -> None:
    assert clash([Requirement(it) for it in requirements], TABLE, PLACE) is None


def test_a_search_without_an_end_is_given_up() -> None:
    many = " ".join(f"1.{minor}" for minor in range(40))
    texts = {f"p{n}": f"{many} @ x86_64 @ 8-15\n  > q{n}\n" for n in range(9)}
    texts |= {f"q{n}": "1.0 @ x86_64 @ 8-15\n  > z==1.0\n" for n in range(8)}
    texts |= {"q8": "1.0 @ x86_64 @ 8-15\n  > z==2.0\n", "z": "1.0 2.0 @ x86_64 @ 8-15\n"}
    table = ReleaseTable(date(2026, 1, 1), frozenset(), frozenset(), texts)
    wanted = [Requirement(f"p{n}") for n in range(9)]
    for search in (resolve, clash):
        with pytest.raises(TooManyStepsError):
            search(wanted, table, PLACE)


def test_a_conflict_is_told_though_what_could_be_left_out_takes_too_long_to_find() -> None:
    many = " ".join(f"1.{minor}" for minor in range(40))
    texts = {f"p{n}": f"{many} @ x86_64 @ 8-15\n  > q{n}\n" for n in range(9)}
    texts |= {f"q{n}": f"1.0 @ x86_64 @ 8-15\n  > y=={1 if n < 8 else 2}.0\n" for n in range(9)}
    texts |= dict.fromkeys("yz", "1.0 2.0 @ x86_64 @ 8-15\n")
    table = ReleaseTable(date(2026, 1, 1), frozenset(), frozenset(), texts)
    # Two exclude each other at once; without one of them, the others are tried in vain.
    wanted = [Requirement(it) for it in ("z==1.0", *(f"p{n}" for n in range(9)), "z==2.0")]
    found = clash(wanted, table, PLACE)
    assert found is not None
    assert {"z==1.0", "z==2.0"} <= set(map(str, found.requirements))


def test_versions_are_compared_as_versions() -> None:
    world = resolve([Requirement("torch")], TABLE, PLACE)
    assert world is not None
    assert world.releases["torch"].version == Version("2.10.0")


def test_a_chain_of_requirements_without_an_end_is_given_up() -> None:
    texts = {f"p{n}": f"1.0 @ x86_64 @ 8-15\n  > p{n + 1}\n" for n in range(3000)}
    table = ReleaseTable(date(2026, 1, 1), frozenset(), frozenset(), {**texts, "p3000": "1.0 @ x86_64 @ 8-15\n"})
    with pytest.raises(TooManyStepsError):
        resolve([Requirement("p0")], table, PLACE)


MARKERS = [
    'python_version < "3.10"',
    'platform_machine == "aarch64" or python_full_version >= "3.12.1"',
    'extra == "cu12" and platform_machine != "x86_64"',
    'platform_python_implementation == "CPython" and sys_platform == "linux"',
    '"linux" in sys_platform and extra == ""',
    'implementation_name == "pypy" or (os_name == "posix" and "extra" == extra)',
]


@pytest.mark.parametrize("text", MARKERS)
def test_a_marker_holds_where_packaging_says_so(text: str) -> None:
    marker = Marker(text)
    for machine in ("x86_64", "aarch64"):
        for python in (9, 10, 12, 13):
            for extra in ("", "cu12", "extra"):
                place = Place(machine, python)
                assert place.holds(marker, extra) == marker.evaluate(place.environment(extra)), (place, extra)
    assert Place("x86_64", 9).holds(None)
