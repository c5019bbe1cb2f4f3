"""What of an environment goes along when another machine builds: words for compilers, by name, and nothing else.

All that the table does not say of stays: passwords of an index, tokens and keys of clouds are among it. So do files and
programs of this machine, for which the other one has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._environment.table import document, find_variable
from gpuwheel._environment.tools import tool_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["arrived", "staying", "travelling"]

_SETTING = "GPUWHEEL_"


def travelling(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that another machine needs to build what would be built here.

    Raises:
        ConfigError: a variable is set with which nothing can be built.
    """
    heard = {**environ, **tool_environment(environ).key}
    return {name: value for name, value in sorted(heard.items()) if value and _travels(name)}


def arrived(environ: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """The environment of this machine, with the words for compilers of another one in place of its own.

    Args:
        environ: of this machine.
        others: what `travelling` gave there; what does not travel is not taken from it.
    """
    own = {name: value for name, value in environ.items() if not _travels(name)}
    return own | {name: value for name, value in others.items() if _travels(name)}


def staying(environ: Mapping[str, str]) -> list[str]:
    """Variables by which a build here goes, and one on another machine does not."""
    names = []
    for name, value in sorted(environ.items()):
        rule = find_variable(name)
        if value and rule is not None and rule.machine and "every program" not in rule.read_by:
            names.append(name)
    return names


def _travels(name: str) -> bool:
    if name.startswith(_SETTING):
        # The others say where things are on this machine, or hold keys.
        return name not in document()["own"]
    rule = find_variable(name)
    return rule is not None and rule.travels
