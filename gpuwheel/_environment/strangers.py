"""The environment of programs that packages and projects bring: installs, hooks, trials, what repairs wheels.

They are others' code, and read what is around them. What signs for somebody, or opens somebody's bucket, is for
gpuwheel alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._environment.table import find_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["of_strangers", "without_secrets"]

_REMOTE = "GPUWHEEL_REMOTE"


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what is secret, whoever else may need it: a hook asks no remote and signs nothing."""

    def is_secret(name: str) -> bool:
        rule = find_variable(name)
        return rule is not None and rule.secret

    return {name: value for name, value in environ.items() if not is_secret(name)}


def of_strangers(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without secrets and without a remote: that of the user's configuration, with its key, is off too."""
    rest = without_secrets(environ)
    return {name: value for name, value in rest.items() if not name.startswith(_REMOTE)} | {_REMOTE: "off"}
