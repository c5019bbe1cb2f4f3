"""Policies in place of versions: `torch = "last 3 minors"` becomes a list, before anything else looks at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.config.reading.defaults import oldest_python
from gpuwheel.config.reading.sources import Given
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.versions import VersionPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpuwheel.model.versions import KnownVersions

__all__ = ["expanded_policies"]

_CUDA, _TORCH, _PYTHONS = ("cuda",), ("torch",), ("pythons",)

Values = dict[tuple[str, ...], Given]


def expanded_policies(
    given: Values, requires_python: str | None, known: KnownVersions
) -> tuple[Values, dict[str, VersionPolicy]]:
    """The values with lists in place of policies, and which keys had one.

    Args:
        given: everything that is given, defaults too.
        requires_python: of the project; Pythons that it does not admit are none of its.
        known: which versions there are.

    Raises:
        ConfigError: a policy stands beside versions, or names more than there are.
    """
    policies = {path[0]: _alone(path, given[path]) for path in (_CUDA, _TORCH, _PYTHONS) if path in given}
    found = {key: policy for key, policy in policies.items() if policy is not None}
    values = dict(given)

    def interpreters(policy: VersionPolicy) -> tuple[object, ...]:
        # Only where it matters: what is no specifier, other parts of the configuration tell.
        admitted = SpecifierSet(requires_python or f">={oldest_python()}")
        return policy.interpreters(known, values[_TORCH].value, admitted)  # type: ignore[arg-type]  # ranges

    # In this order: which Pythons there are depends on the torch.
    choosers: Mapping[str, Callable[[VersionPolicy], tuple[object, ...]]] = {
        "cuda": lambda policy: policy.toolkits(known, _mode(given)),
        "torch": lambda policy: policy.torchs(known, _abi(given)),
        "pythons": interpreters,
    }
    for key, choose in choosers.items():
        if key not in found:
            continue
        origin = given[key,].origin
        try:
            values[key,] = replace(given[key,], value=choose(found[key]))
        except ValueError as error:
            msg = f"{key} in {origin} cannot be told from what this gpuwheel knows ({error})"
            raise ConfigError(msg, hint="name fewer, or the versions themselves; pip install -U gpuwheel") from None
    return values, found


def _alone(path: tuple[str, ...], given: Given) -> VersionPolicy | None:
    values = given.value if isinstance(given.value, tuple) else (given.value,)
    policies = [value for value in values if isinstance(value, VersionPolicy)]
    if not policies:
        return None
    if len(values) > 1:
        msg = f"{path[0]} in {given.origin} has a policy beside other entries (found {str(policies[0])!r} of several)"
        raise ConfigError(msg, hint=f'{path[0]} = "{policies[0]}" alone, or versions alone')
    return policies[0]


def _mode(given: Values) -> Mode:
    """That of the extensions; of several, whichever comes first is as good, for the plan refuses them."""
    modes = [one.value for path, one in given.items() if path[0] == "extensions" and path[-1] == "mode"]
    return next((mode for mode in modes if isinstance(mode, Mode)), Mode.EMBED)


def _abi(given: Values) -> TorchAbi:
    abis = [one.value for path, one in given.items() if path[0] == "extensions" and path[-1] == "abi"]
    return TorchAbi.EXACT if TorchAbi.EXACT in abis else TorchAbi.STABLE
