"""The environment that compilers, linkers, CMake and the workers of NVRTC and cuTile get."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._environment.table import Does, Variable, document, find_variable
from gpuwheel._environment.words import Rewritten, folders, rewrite_value
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ToolEnvironment", "device_environment", "reaching", "tool_environment", "tool_variables", "uncovered"]

_LAST = "NVCC_APPEND_FLAGS"
_INCLUDE_PATHS = ("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
"""Searched after every folder of the command line, as CPATH is not (GCC manual, Environment Variables)."""


@dataclass(frozen=True)
class ToolEnvironment:
    """What becomes of an environment on its way to the tools of a build."""

    variables: Mapping[str, str]
    """Everything that the tools see."""
    key: Mapping[str, str]
    """Those that may change what they make, as they see them."""
    notes: tuple[str, ...]
    """A line for each variable that reaches them and of which somebody may want to know."""
    warnings: tuple[str, ...]
    """A line for each that does not, or not as it is."""
    uncovered: tuple[str, ...]
    """Variables that can name files or programs which no key covers."""


def tool_environment(environ: Mapping[str, str], mode: str | None = None) -> ToolEnvironment:
    """What the tools of a build in `mode` get of `environ`; of a build in any, where that is not known.

    Raises:
        ConfigError: a variable is set with which nothing can be built, or has a word that nobody can read.
    """
    making = _Making()
    # Sorted: words that go to the end of nvcc's line come in the same order each time.
    for name, value in sorted(environ.items()):
        rule = find_variable(name)
        if rule is None or any(environ.get(other) for other in rule.unless):
            making.variables[name] = value
        elif value and rule.modes and mode is not None and mode not in rule.modes:
            making.unread(name, value, rule)
        elif value:
            making.read(name, value, rule)
    making.search_last(folders(environ.get("CPATH", "")))
    making.end_with_last()
    # Last: what is fixed (a locale, for one) holds whatever the user has.
    variables = making.variables | document()["fixed"]
    return ToolEnvironment(variables, making.key, tuple(making.notes), tuple(making.warnings), tuple(making.uncovered))


@dataclass
class _Making:
    """An environment while it is made."""

    variables: dict[str, str] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    """Words for nvcc, after all others."""

    def unread(self, name: str, value: str, rule: Variable) -> None:
        """A variable that no tool of this mode reads."""
        if rule.elsewhere:
            self.warnings.append(f"{name} is not used: {rule.elsewhere}")
        else:
            self.variables[name] = value

    def read(self, name: str, value: str, rule: Variable) -> None:
        """A variable that some tool would read."""
        match rule.does:
            case Does.THROUGH | Does.TAKE:
                if not rule.hidden:
                    self.variables[name] = value
            case Does.REFUSE:
                msg = f"environment {name} is set, with which no wheel can be made (found {value!r})"
                raise ConfigError(msg, hint=rule.follows)
            case Does.NEUTRALISE:
                doing = "reaches no compiler as it is" if rule.rewrite else "is not used"
                self.warnings += [] if rule.quiet else [f"{name} {doing}: {rule.follows}"]
            case Does.HONOUR:
                self._honour(name, value, rule)

    def _honour(self, name: str, value: str, rule: Variable) -> None:
        found = rewrite_value(name, value, rule.rewrite) if rule.rewrite else Rewritten(value)
        self.warnings += found.said
        self.last += found.last
        if not found.value:
            return
        self.variables[name] = self.key[name] = found.value
        if rule.opaque or found.opaque:
            self.uncovered.append(name)
        if not rule.quiet:
            self.notes.append(f"{name} is honoured: {rule.follows}")

    def end_with_last(self) -> None:
        """Words that stood ahead of all others, for nvcc to read at the end."""
        if self.last:
            words = f"{self.variables.get(_LAST, '')} {shlex.join(self.last)}".strip()
            self.variables[_LAST] = self.key[_LAST] = words

    def search_last(self, offered: list[str]) -> None:
        """Folders of headers, for compilers to look into after all that the command line names."""
        for name in _INCLUDE_PATHS:
            both = list(dict.fromkeys([*offered, *folders(self.key.get(name, ""))]))
            if both:
                self.variables[name] = self.key[name] = ":".join(both)


def tool_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What a compiler or linker sees of `environ`; `environ` itself where it was made so."""
    return dict(tool_environment(environ).variables)


def reaching(environ: Mapping[str, str], mode: str | None = None) -> dict[str, str]:
    """The variables that may change what the tools of a build make, as they see them: a part of every key."""
    return dict(tool_environment(environ, mode).key)


def uncovered(environ: Mapping[str, str], mode: str | None = None) -> tuple[str, ...]:
    """Variables that can name files or programs which `reaching()` does not cover: builds with one keep nothing."""
    return tool_environment(environ, mode).uncovered


def device_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What NVRTC and cuTile see of `environ`: nothing that could reach an image."""

    def reaches(name: str) -> bool:
        rule = find_variable(name)
        own = find_variable(name, device=True)
        return own is None and (rule is None or (rule.does is not Does.NEUTRALISE and not rule.hidden))

    fixed: dict[str, str] = document()["fixed"]
    return {name: value for name, value in environ.items() if reaches(name)} | fixed
