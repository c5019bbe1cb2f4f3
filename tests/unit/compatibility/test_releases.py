"""What releases bring and require: laws of the table."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from gpuwheel.audit.closure.worlds import resolve
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.distributions.releases import Place, ReleaseTable, check_rows, load_releases
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import DataError

PLACE = Place("x86_64", 12)


def test_every_row_keeps_the_laws() -> None:
    table = load_releases()
    check_rows(table)
    assert not table.bare & table.texts.keys()
    assert table.first <= table.texts.keys()


@pytest.mark.parametrize(
    "text",
    [
        "1.0 @ x86_64\n",
        "one @ x86_64 @ 8-15\n",
        "1.0 1.0 @ x86_64 @ 8-15\n",
        "1.0 @ x86_64 @ 8-15\n  > other==1\n",
        "1.0 @ x86_64 @ 8-15\n  > ==1\n",
        "1.0 @ x86_64 @ 8-15\n  /usr/lib: liba.so\n",
    ],
)
def test_a_row_that_breaks_a_law_is_refused(text: str) -> None:
    table = load_releases()
    with pytest.raises(DataError):
        check_rows(ReleaseTable(table.read, frozenset(), frozenset(), {"one": text}))


def test_the_newest_releases_bring_what_the_table_of_sonames_says() -> None:
    table, sonames = load_releases(), load_sonames()
    for name, known in sonames.distributions.items():
        releases = table.releases(name, PLACE) or table.releases(name, Place("aarch64", 12))
        assert releases, name
        # A distribution may be nearer its end on one machine than on another.
        assert known - sonames.copied <= frozenset().union(*(it.brings for it in releases)), name


def test_what_each_torch_requires_is_what_its_own_row_says() -> None:
    releases = {str(it.version): it for it in load_releases().releases("torch", PLACE) or ()}
    for build in load_tables().torch.values():
        release = releases[str(build.release)]
        asked = {Requirement(it).name for it in build.requires} & load_releases().texts.keys()
        assert asked <= {it.name for it in release.requires}
        assert {"libtorch.so", "libc10.so", "libtorch_cuda.so"} <= release.brings


def test_every_torch_finds_what_it_pins() -> None:
    table = load_releases()
    for release in table.releases("torch", PLACE) or ():
        world = resolve([Requirement(f"torch=={release.version}")], table, PLACE)
        assert world is not None, release.version
        assert "libtorch.so" in world.folders


def test_what_brings_a_library_is_told_by_its_whole_name() -> None:
    table = load_releases()
    assert {"nvidia-cublas-cu12"} <= set(table.bringing("libcublas.so.12"))
    assert "nvidia-cublas" not in table.bringing("libcublas.so.12")
    assert not table.bringing("libcublas.so.1")
    assert not table.bringing("lib")
