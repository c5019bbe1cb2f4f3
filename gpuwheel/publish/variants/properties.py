"""The properties of a variant, by what the bytes of a wheel say: which driver it asks for, and which GPUs it serves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel.errors import AuditError
from gpuwheel.model.versions import DriverVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.publishing import VariantProvider
    from gpuwheel.publish.wheel_facts import DeviceCode, WheelFacts

__all__ = ["NULL", "Variant", "index_document", "variant_document", "variant_of"]

NULL = "null"
"""The label of the variant without properties (PEP 825)."""
_PLAIN = re.compile(r"(?P<major>\d+)\.(?P<minor>\d)", re.ASCII)
"""A target that runs on later minors too; what is arch-specific or for a family has no property of its own."""


@dataclass(frozen=True)
class Variant:
    """One variant: its label, and what a machine must have."""

    label: str
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Feature -> values, any of which is enough; empty: every machine will do."""


def variant_of(facts: WheelFacts, provider: VariantProvider, tables: Tables, *, archs: bool = False) -> Variant:
    """What a wheel is a variant for; the null variant where it has no device code.

    Args:
        facts: what its inspection found.
        provider: how properties are spelled.
        tables: which driver came with which CUDA.
        archs: whether to state the GPUs too.

    Raises:
        AuditError: nothing says which driver it needs, or none of its device code can be stated.
    """
    if not facts.code:
        return Variant(NULL)
    floor = None if facts.driver is None else DriverVersion.parse(facts.driver)
    # What a provider calls the CUDA version of a driver is that of the toolkit that it came with.
    version = next(
        (row.version for row in tables.cuda.values() if floor and row.driver is not None and row.driver >= floor), None
    )
    if version is None:
        found = f"driver {facts.driver}" if facts.driver else "device code of no known toolkit"
        msg = f"{facts.filename} does not say which CUDA a driver must have (found {found}, expected a toolkit's)"
        raise AuditError(msg, hint="build it with gpuwheel, whose manifests say so")
    properties: dict[str, tuple[str, ...]] = {provider.lower_bound: (str(version),)}
    label = f"cu{version.major}{version.minor}"
    if archs:
        stated = _archs(facts)
        properties[provider.arch] = stated
        label += "_sm" + "_".join(dict.fromkeys(value.partition("_")[0] for value in stated))
    return Variant(label, properties)


def _archs(facts: WheelFacts) -> tuple[str, ...]:
    """The targets that all of its code, but that by further toolkits, has."""
    per_code = [_targets(code) for code in facts.code if not code.further]
    shared = set.intersection(*per_code) if per_code else set()
    if not shared:
        msg = f"{facts.filename} has no target that can be stated (found none, expected 8.0, 9.0 or another plain one)"
        raise AuditError(msg, hint="leave --sm-arch out: the driver alone decides then")
    return tuple(f"{arch}_{kind}" for arch, kind in sorted(shared, key=lambda one: (-one[0], one[1])))


def _targets(code: DeviceCode) -> set[tuple[int, str]]:
    kinds = (("real", code.cubins), ("virtual", [ptx.arch for ptx in code.ptx]))
    matches = [(kind, _PLAIN.fullmatch(arch)) for kind, archs in kinds for arch in archs]
    return {(int(match["major"] + match["minor"]), kind) for kind, match in matches if match}


def variant_document(variant: Variant, provider: VariantProvider) -> dict[str, Any]:
    """What variant.json holds (PEP 825, with the providers of PEP 850)."""
    return _document({variant.label: _properties(variant, provider)}, provider)


def index_document(variants: Iterable[Mapping[str, Any]], provider: VariantProvider) -> dict[str, Any]:
    """What `NAME-VERSION-variants.json` holds: the variants of all wheels of that version.

    Args:
        variants: their `variants` in variant.json.
        provider: as above.

    Raises:
        AuditError: one label has different properties.
    """
    together: dict[str, Any] = {}
    for one in variants:
        for label, properties in one.items():
            if together.setdefault(label, properties) != properties:
                msg = f"the label {label} has different properties in two wheels of one version (expected the same)"
                raise AuditError(msg, hint="make the variants of one version anew, in an empty folder")
    return _document(dict(sorted(together.items())), provider)


def _properties(variant: Variant, provider: VariantProvider) -> dict[str, Any]:
    return (
        {provider.namespace: {name: list(values) for name, values in variant.properties.items()}}
        if variant.properties
        else {}
    )


def _document(variants: Mapping[str, Any], provider: VariantProvider) -> dict[str, Any]:
    return {
        "$schema": provider.schema,
        "default-priorities": {"namespace": [provider.namespace]},
        "providers": {provider.namespace: {"requires": [provider.requires], "plugin-api": provider.plugin}},
        "variants": dict(variants),
    }
