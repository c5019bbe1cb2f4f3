"""Extras of the package that gpuwheel writes: those of the key `nvmath`, and those of `[tool.gpuwheel.extras]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel.errors import ConfigError
from gpuwheel.model.nvmath import NVMATH, NVMATH_EXTRAS, nvmath_requirement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.config.model import Settings

__all__ = ["check_extras", "extra_requirements"]

_FIELD = "optional-dependencies"


def check_extras(document: Mapping[str, Any], settings: Settings) -> None:
    """`[project]` must leave the extras to gpuwheel where gpuwheel writes any (PEP 621: a field has one writer).

    Raises:
        ConfigError: `optional-dependencies` is static or not listed as dynamic, or an extra of `nvmath` names it again.
    """
    asking = "nvmath" if settings.nvmath is not None else "extras" if settings.extras else None
    if asking is None:
        return
    project = document["project"]
    if _FIELD in project:
        found = ", ".join(project[_FIELD]) or "an empty table"
        msg = (
            f"project.{_FIELD} in pyproject.toml is static (found {found}; expected dynamic, for {asking} of "
            f"[tool.gpuwheel] makes extras)"
        )
        hint = f'add "{_FIELD}" to dynamic of [project]; an extra of yours moves to [tool.gpuwheel.extras.NAME]'
        raise ConfigError(msg, hint=hint)
    # Installers and pyproject_metadata refuse a field that appears in the wheel and was not announced (PEP 621).
    if _FIELD not in project.get("dynamic", []):
        msg = (
            f"project.dynamic in pyproject.toml lacks '{_FIELD}' (expected, for {asking} of [tool.gpuwheel] makes "
            f"extras)"
        )
        raise ConfigError(msg, hint=f'dynamic = ["dependencies", "{_FIELD}"] in [project]')
    for name in NVMATH_EXTRAS if settings.nvmath is not None else ():
        own = settings.extras[name].requires if name in settings.extras else ()
        twice = next((text for text in own if canonicalize_name(Requirement(text).name) == NVMATH), None)
        if twice is not None:
            msg = f"extras.{name} in pyproject.toml names {NVMATH}, whose floor is the key nvmath (found {twice!r})"
            raise ConfigError(msg, hint="take it out of the extra, or leave nvmath out")


def extra_requirements(settings: Settings) -> tuple[str, ...]:
    """The Requires-Dist values of all extras that gpuwheel writes (PEP 508), in a fixed order."""
    nvmath = {} if settings.nvmath is None else {e: (nvmath_requirement(e, settings.nvmath),) for e in NVMATH_EXTRAS}
    requires = {**nvmath, **{name: (*nvmath.get(name, ()), *own.requires) for name, own in settings.extras.items()}}
    return tuple(_within(requirement, extra) for extra, lines in requires.items() for requirement in lines)


def _within(text: str, extra: str) -> str:
    requirement = Requirement(text)
    condition = f'extra == "{extra}"'
    # Parentheses: `or` binds weaker than `and` (PEP 508).
    requirement.marker = Marker(f"({requirement.marker}) and {condition}" if requirement.marker else condition)
    return str(requirement)
