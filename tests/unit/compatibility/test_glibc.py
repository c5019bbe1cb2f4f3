"""What holds for any table of glibc's symbols, and what asking it gives."""

from __future__ import annotations

from collections import defaultdict

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.glibc import glibc_libraries
from gpuwheel.compatibility.platforms import allows, glibc_of, version_numbers
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind

MACHINES = sorted({policy.machine for policy in load_tables().platforms})
VERSIONS = [(2, minor) for minor in range(17, 42)]


def names(libraries: dict[str, tuple[LibrarySymbol, ...]]) -> set[str]:
    return {symbol.name for symbols in libraries.values() for symbol in symbols}


def number(symbol: LibrarySymbol) -> tuple[int, ...]:
    assert symbol.version is not None
    namespace, _, text = symbol.version.partition("_")
    assert namespace == "GLIBC"
    return version_numbers(text)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_newer_glibc_has_everything_that_an_older_one_has(machine: str) -> None:
    older: set[str] = set()
    for version in VERSIONS:
        newer = names(glibc_libraries(machine, version))
        gone = older - newer
        if version == (2, 34):  # libpthread became empty, and what only old programs ask for did not move to libc
            gone = {name for name in gone if "pthread" not in name and name != "__send"}
        assert not gone, version
        older = newer


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("version", [(2, 17), (2, 28), (2, 33), (2, 34), (2, 41)])
def test_one_version_of_each_name_is_its_default_and_none_is_too_new(machine: str, version: tuple[int, int]) -> None:
    for soname, symbols in glibc_libraries(machine, version).items():
        of_name = defaultdict(list)
        for symbol in symbols:
            assert number(symbol)[:2] <= version, symbol
            of_name[symbol.name].append(symbol)
        for name, versions in of_name.items():
            defaults = [symbol for symbol in versions if symbol.default]
            assert len(defaults) == 1, (soname, name)
            assert number(defaults[0]) == max(map(number, versions)), (soname, name)
            assert len({symbol.version for symbol in versions}) == len(versions), (soname, name)


@pytest.mark.parametrize("machine", MACHINES)
def test_objects_have_a_size_and_functions_have_none(machine: str) -> None:
    for symbols in glibc_libraries(machine, (2, 41)).values():
        assert all((symbol.size > 0) == (symbol.kind is SymbolKind.OBJECT) for symbol in symbols)


@pytest.mark.parametrize("policy", load_tables().platforms, ids=lambda policy: policy.tag)
def test_a_platform_allows_the_symbols_of_its_glibc_and_has_its_libraries(policy: object) -> None:
    policy = next(row for row in load_tables().platforms if row is policy)
    if glibc_of(policy.name) < (2, 17):
        pytest.skip("older than any platform that stubs are made for")
    libraries = glibc_libraries(policy.machine, glibc_of(policy.name))
    refused = {symbol.version for symbols in libraries.values() for symbol in symbols} - {
        symbol.version for symbols in libraries.values() for symbol in symbols if allows(policy, symbol.version or "")
    }
    assert not refused
    assert {soname for soname in libraries if not soname.startswith("ld-linux")} <= policy.libraries


@pytest.mark.parametrize(
    ("name", "since", "library"),
    [
        # From glibc's NEWS, and the manual's notes on versions.
        ("pthread_create", (2, 34), "libc.so.6"),
        ("dlopen", (2, 34), "libc.so.6"),
        ("stat", (2, 33), "libc.so.6"),
        ("arc4random", (2, 36), "libc.so.6"),
        ("__isoc23_strtol", (2, 38), "libc.so.6"),
        ("pthread_cond_clockwait", (2, 30), "libpthread.so.0"),
        ("__libc_single_threaded", (2, 32), "libc.so.6"),
        ("getentropy", (2, 25), "libc.so.6"),
    ],
)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_symbol_is_there_since_the_version_that_brought_it(
    machine: str, name: str, since: tuple[int, int], library: str
) -> None:
    before = {symbol.name for symbol in glibc_libraries(machine, (since[0], since[1] - 1))[library]}
    assert name not in before
    assert name in {symbol.name for symbol in glibc_libraries(machine, since)[library]}


def test_threads_are_a_library_of_their_own_until_they_are_in_libc() -> None:
    assert "libpthread.so.0" in glibc_libraries("x86_64", (2, 33))
    assert "libpthread.so.0" not in glibc_libraries("x86_64", (2, 34))


def test_pow_is_the_newest_that_the_system_has() -> None:
    def default(version: tuple[int, int]) -> str | None:
        symbols = glibc_libraries("x86_64", version)["libm.so.6"]
        return next(symbol.version for symbol in symbols if symbol.name == "pow" and symbol.default)

    assert default((2, 28)) == "GLIBC_2.2.5"
    assert default((2, 29)) == "GLIBC_2.29"
