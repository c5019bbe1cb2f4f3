"""`data/environment.toml`, typed, with its laws."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gpuwheel._toml import own_table
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "REWRITES",
    "CMakeArgument",
    "Does",
    "Variable",
    "Word",
    "check_table",
    "cmake_argument",
    "document",
    "find_variable",
    "launchers",
    "load_variables",
    "word_rules",
]

REWRITES = frozenset({"include-path", "folders", "compiler", "linker", "nvcc", "nvcc-first", "cmake", "program"})
_MODES = frozenset({"embed", "nvcc", "kernels"})


class Does(Enum):
    """What becomes of a variable."""

    HONOUR = "honour"
    """It reaches the tools, and is part of the keys under which results are kept."""
    THROUGH = "pass"
    """It reaches the tools, and changes no byte of what they make."""
    TAKE = "take"
    """gpuwheel reads it itself, and tells the tools by options what it chose."""
    NEUTRALISE = "neutralise"
    """The tools do not see it."""
    REFUSE = "refuse"
    """A build does not begin."""


@dataclass(frozen=True)
class Variable:
    """A variable, or those that begin alike."""

    name: str
    """`*` at its end stands for the rest."""
    read_by: tuple[str, ...]
    does: Does
    follows: str
    """What is said of it; for `REFUSE` the way out."""
    source: str
    """Where it is documented."""
    rewrite: str | None = None
    quiet: bool = False
    hidden: bool = False
    """The tools do not see what gpuwheel takes: they would heed it rather than their options, or it is secret."""
    secret: bool = False
    """It holds, or leads to, what signs for its owner."""
    unless: tuple[str, ...] = ()
    """Variables of which one says that a tool needs what is hidden."""
    device: bool = False
    """Kept from NVRTC and cuTile alone."""
    opaque: bool = False
    """It can name files or programs that no key covers."""
    travels: bool = False
    """It goes along when another machine builds."""
    machine: bool = False
    """It names files or programs of one machine."""
    modes: frozenset[str] = frozenset()
    """Where something reads it; empty for everywhere."""
    elsewhere: str | None = None
    """What is said in other modes; `None`: nothing."""


@dataclass(frozen=True)
class Word:
    """A rule for an option inside of a variable."""

    rewrites: frozenset[str]
    options: tuple[str, ...]
    linker_options: tuple[str, ...]
    value: bool
    does: Does
    follows: str
    becomes: str | None
    last: bool
    """It comes after every option of gpuwheel's and of the project."""
    quiet: bool


@dataclass(frozen=True)
class CMakeArgument:
    """A rule for `-DNAME=VALUE` in CMAKE_ARGS."""

    names: tuple[str, ...]
    does: Does
    follows: str
    rewrite: str | None


@functools.cache
def document() -> Mapping[str, Any]:
    """The file as it stands."""
    return own_table("environment.toml")


@functools.cache
def load_variables() -> tuple[Variable, ...]:
    """Every variable of the table, in its order: the first whose name fits decides.

    Raises:
        DataError: the table breaks one of its laws.
    """
    check_table(document())
    return tuple(_variables(document()))


@functools.lru_cache(maxsize=1024)
def find_variable(name: str, *, device: bool = False) -> Variable | None:
    """The rule for a variable, of those for every tool or of those for NVRTC and cuTile alone."""
    for variable in load_variables():
        if variable.device is device and _fits(variable.name, name):
            return variable
    return None


@functools.cache
def word_rules(rewrite: str) -> tuple[Word, ...]:
    """The rules for options inside of variables that are rewritten in this way."""
    rules = (
        Word(
            rewrites=frozenset(row["in"]),
            options=tuple(row.get("options", ())),
            linker_options=tuple(row.get("linker-options", ())),
            value=row.get("value", False),
            does=Does(row["does"]),
            follows=row["follows"],
            becomes=row.get("becomes"),
            last=row.get("last", False),
            quiet=row.get("quiet", False),
        )
        for row in document()["words"]
    )
    return tuple(rule for rule in rules if rewrite in rule.rewrites)


def cmake_argument(name: str) -> CMakeArgument | None:
    """The rule for `-DNAME=...`; `None`: what follows from it is not known."""
    for row in document()["cmake-arguments"]:
        if any(fnmatchcase(name, pattern) for pattern in row["names"]):
            return CMakeArgument(tuple(row["names"]), Does(row["does"]), row.get("follows", ""), row.get("rewrite"))
    return None


def launchers() -> Mapping[str, bool]:
    """Program that starts the compiler named after it -> whether it can start nvcc."""
    found: Mapping[str, bool] = document()["launchers"]
    return found


def check_table(table: Mapping[str, Any]) -> None:
    """Hold a table to its laws.

    Raises:
        DataError: naming the first row that breaks one.
    """
    seen: set[tuple[str, bool]] = set()
    wide: list[tuple[str, bool]] = []  # those of `seen` that stand for more than one name
    for row in table["variables"]:
        names = row.get("names", [])
        where = f"environment.toml: {', '.join(names) or row}"
        _law(names != [], where, "has no name")
        _law(row.get("read-by", []) != [], where, "has no reader")
        _law(row.get("does") in {does.value for does in Does}, where, f"does {row.get('does')!r}")
        _law(row.get("source") in table["sources"], where, f"has no known source ({row.get('source')!r})")
        _law(bool(row.get("follows", "").strip()), where, "does not say what follows")
        _law(row.get("rewrite", "folders") in REWRITES, where, f"has an unknown rewrite ({row.get('rewrite')!r})")
        _law(set(row.get("modes", [])) <= _MODES, where, "names an unknown mode")
        _law("elsewhere" not in row or "modes" in row, where, "says what happens elsewhere, and no mode")
        _law(not row.get("hidden") or row["does"] == "take", where, "hides what gpuwheel does not take")
        travels, stays = row.get("travels", False), row.get("machine", False)
        _law(not (travels and stays), where, "travels, and is of one machine")
        _law(row["does"] != "honour" or travels or stays, where, "says neither that it travels nor that it does not")
        _law(not travels or row["does"] in {"honour", "take"}, where, "travels, and no build reads it")
        _law(not row.get("secret") or row.get("hidden"), where, "shows a secret to the tools")
        _law("unless" not in row or row.get("hidden"), where, "hides nothing that could be passed on")
        for name in names:
            key = (name, row.get("device", False))
            _law(key not in seen, where, f"has {name} twice")
            _law("*" not in name[:-1], where, f"has `*` inside of {name}")
            earlier = next((old for old, device in wide if device == key[1] and _fits(old, name)), None)
            _law(earlier is None, where, f"comes after {earlier}, which decides for {name}")
            seen.add(key)
            wide += [key] if name.endswith("*") else []
    for row in (*table["words"], *table["cmake-arguments"]):
        where = f"environment.toml: {', '.join(row.get('options', row.get('linker-options', row.get('names', []))))}"
        _law(row["does"] == "honour" or bool(row.get("follows", "").strip()), where, "does not say what follows")


def _law(holds: object, where: str, broken: str) -> None:
    if not holds:
        msg = f"{where} {broken}"
        raise DataError(msg, hint="reinstall gpuwheel, or report it")


def _variables(table: Mapping[str, Any]) -> Iterator[Variable]:
    sources: Mapping[str, str] = table["sources"]
    for row in _rows(table):
        for name in row["names"]:
            yield Variable(
                name=name,
                read_by=tuple(row["read-by"]),
                does=Does(row["does"]),
                follows=row["follows"],
                source=sources[row["source"]],
                rewrite=row.get("rewrite"),
                quiet=row.get("quiet", False),
                hidden=row.get("hidden", False),
                secret=row.get("secret", False),
                unless=tuple(row.get("unless", ())),
                device=row.get("device", False),
                opaque=row.get("opaque", False),
                travels=row.get("travels", False),
                machine=row.get("machine", False),
                modes=frozenset(row.get("modes", ())),
                elsewhere=row.get("elsewhere"),
            )


def _rows(table: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    rows: Iterable[Mapping[str, Any]] = table["variables"]
    return rows


def _fits(pattern: str, name: str) -> bool:
    # `*` at the end alone: which row decides can then be seen by reading, and be held by a law.
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
