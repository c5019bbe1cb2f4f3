"""What shaped a build beside its sources: `-C` and variables that say something else than the project does.

A wheel records it, so that the same wheel can be built again. What names a path of the machine, or may be secret, is
recorded by its name alone: who rebuilds gives the value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._environment import travelling
from gpuwheel._environment.table import find_variable
from gpuwheel.config.project.project_table import read_pyproject
from gpuwheel.config.reading.reader import own_table
from gpuwheel.config.reading.sources import from_config_settings, from_environ, from_toml, split_config_settings
from gpuwheel.config.reading.variables import arch_list, other_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Shaping", "shaping"]

_OUTCOMES = frozenset({("only",), ("locked",)})
"""Keys whose outcome a wheel records by itself: which cell it is, and the digest of its lock file."""
_OTHERWISE = frozenset({"SOURCE_DATE_EPOCH", "TORCH_CUDA_ARCH_LIST"})
"""Variables that are recorded in another way: as the time of the bill of materials, and as `archs`."""
_NO_MATTER = re.compile(
    r"build-dir|(build|cmake)\.verbose|(editable|logging|messages)\..*|cmake\.define\.CMAKE_\w+_COMPILER_LAUNCHER"
)
"""Of scikit-build-core (its configuration reference): where and how loudly it works; and caches of compilers, as theirs
among the variables: what they serve is what the compiler makes."""
_SECRET = re.compile(r"passw|token|secret|credential|(?:api|access|private|auth)[-_]?key|://[^/\s]*@", re.IGNORECASE)
_APART = re.compile(r"[\s;,:=@()\"']+")
_OPTION = re.compile(r"-(?:isystem|iquote|idirafter|include|imacros|isysroot|[ILBF])(?=[/~])")


@dataclass(frozen=True)
class Shaping:
    """What was said to one build, and not by the project."""

    settings: tuple[str, ...] = ()
    """As `-C` takes them: "gpuwheel.cuda=12.9", "cmake.define.FAST=1"."""
    environment: tuple[str, ...] = ()
    """Variables, "CXXFLAGS=-O3"."""
    withheld: tuple[str, ...] = ()
    """What also shaped it, without its value: "-C cmake.define.SDK", "CXXFLAGS"."""


def shaping(
    root: Path, environ: Mapping[str, str], config_settings: Mapping[str, str | list[str]], mode: str
) -> Shaping:
    """What shapes a build of the project in `root`, in an order that does not depend on that of its sources.

    What says the same as the project leaves no trace, so that a wheel is the same whoever spells it out.

    Raises:
        ConfigError: something in them cannot be read; `load_config` has raised it before.
    """
    told, variables, withheld = [], [], []
    for name, value in [*_own(root, environ, config_settings), *_inner(config_settings)]:
        if _is_private(f"{name}={value}"):
            withheld.append(f"-C {name}")
        else:
            told.append(f"{name}={value}")
    for name, value in travelling(environ).items():
        rule = find_variable(name)
        read = rule is not None and (not rule.modes or mode in rule.modes) and name not in _OTHERWISE
        if not read or _is_quiet_variable(name):
            continue
        if _is_private(f"{name}={value}"):
            withheld.append(name)
        else:
            variables.append(f"{name}={value}")
    return Shaping(tuple(told), tuple(variables), tuple(dict.fromkeys(withheld)))


def _own(
    root: Path, environ: Mapping[str, str], config_settings: Mapping[str, str | list[str]]
) -> Iterator[tuple[str, str]]:
    """Keys of gpuwheel, as `-C` names them, with the text that was given."""
    own, _ = split_config_settings(config_settings)
    stated = from_toml(own_table(read_pyproject(root)), "pyproject.toml")
    given = arch_list(environ) | from_environ(environ, other_variables()) | from_config_settings(own)
    for path, found in sorted(given.items()):
        name = ".".join(path)
        if path in _OUTCOMES or (path in stated and stated[path].value == found.value):
            continue
        kind, _, origin = found.origin.partition(" ")
        if kind == "-C":
            texts = own[origin.removeprefix("gpuwheel.")]  # its own spelling: quotes may be left in a name
        elif origin in _OTHERWISE:
            texts = [str(each) for each in found.value]  # type: ignore[attr-defined]  # a tuple of architectures
        else:
            texts = [environ[origin]]
        # Lists may come in pieces, and are divided by `;` (`sources`).
        yield f"gpuwheel.{name}", ";".join(part.strip() for text in texts for part in text.split(";") if part.strip())


def _inner(config_settings: Mapping[str, str | list[str]]) -> Iterator[tuple[str, str]]:
    """Those of scikit-build-core; a list comes as several."""
    _, inner = split_config_settings(config_settings)
    plain = {name.removeprefix("skbuild."): value for name, value in inner.items()}
    for name, value in sorted(plain.items()):
        if not _matters_not(name):
            yield from ((name, text) for text in ([value] if isinstance(value, str) else value))


def _matters_not(name: str) -> bool:
    return _NO_MATTER.fullmatch(name) is not None


def _is_quiet_variable(name: str) -> bool:
    """Of `SKBUILD_BUILD_DIR` nobody sees whether it is a key "build-dir" or a key "dir" of "build"."""
    words = name.removeprefix("SKBUILD_").lower()
    spellings = (words.replace("_", "-"), words.replace("_", ".", 1).replace("_", "-"))
    return words != name.lower() and any(map(_matters_not, spellings))


def _is_private(words: str) -> bool:
    """Whether "NAME=VALUE" names a path of this machine, or may be secret."""
    parts = (_OPTION.sub("", word) for word in _APART.split(words))
    return _SECRET.search(words) is not None or any(part.startswith(("/", "~")) for part in parts)
