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

__all__ = ["NULL", "Variant", "index_document", "needed_driver", "variant_document", "variant_of"]

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
    """What a wheel is a variant for; the null variant where it asks for no CUDA.

    Args:
        facts: what its inspection found.
        provider: how properties are spelled.
        tables: which driver came with which CUDA.
        archs: whether to state the GPUs too.

    Raises:
        AuditError: nothing says which driver it needs, or none of its device code can be stated.
    """
    if not facts.code and not facts.runtimes:
        return Variant(NULL)
    floor = needed_driver(facts, tables)
    # What a provider calls the CUDA version of a driver is that of the toolkit that it came with.
    version = next(
        (row.version for row in tables.cuda.values() if floor and row.driver is not None and row.driver >= floor), None
    )
    if version is None:
        found = f"driver {floor}" if floor else "code of no known toolkit"
        msg = f"{facts.filename} does not say which CUDA a driver must have (found {found}, expected a toolkit's)"
        raise AuditError(msg, hint="build it with gpuwheel, whose manifests say so")
    properties: dict[str, tuple[str, ...]] = {provider.lower_bound: (str(version),)}
    label = f"cu{version.major}{version.minor}"
    if archs and facts.code:
        stated = _archs(facts)
        properties[provider.arch] = stated
        label += "_sm" + "_".join(dict.fromkeys(value.partition("_")[0] for value in stated))
    return Variant(label, properties)


def needed_driver(facts: WheelFacts, tables: Tables) -> DriverVersion | None:
    """The oldest driver with which all of a wheel runs, on GPUs that it is for; `None`: something in it does not tell.

    What is by a further toolkit is left out: older drivers do without. PTX counts where there is nothing else.
    """
    codes = [code for code in facts.code if not code.further] or list(facts.code)
    known = [floor for code in codes for floor in _floors(code)]
    # Libraries of CUDA run with the drivers of their major (minor-version compatibility).
    for major in facts.runtimes:
        rows = [row for row in tables.cuda.values() if row.version.major == major]
        known.append(min((row.driver_floor for row in rows), default=None))
    floors = [floor for floor in known if floor is not None]
    return max(floors) if len(floors) == len(known) and floors else None


def _floors(code: DeviceCode) -> list[DriverVersion | None]:
    stated = None if code.driver is None else DriverVersion.parse(code.driver)
    if code.cubins:
        return [stated]
    # Nothing but PTX: its own version decides, and what it is packed with.
    compiled = [DriverVersion.parse(ptx.driver) for ptx in code.ptx if ptx.driver is not None]
    return [min(compiled, default=None), *([stated] if stated is not None else [])]


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


def index_document(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `NAME-VERSION-variants.json` holds: the variants of all wheels of that version, whoever made them.

    Args:
        documents: what their variant.json hold, and what the file held before; of one label the first counts.

    Raises:
        AuditError: a provider has different definitions.
    """
    schema, namespaces, providers, variants = "", dict[str, None](), dict[str, Any](), dict[str, Any]()
    for one in documents:
        schema = schema or one["$schema"]
        namespaces.update(dict.fromkeys(one["default-priorities"]["namespace"]))
        for name, provider in one.get("providers", {}).items():
            if providers.setdefault(name, provider) != provider:
                msg = f"the provider {name} has two definitions in wheels of one version (expected one)"
                raise AuditError(msg, hint="make the variants of one version anew, in an empty folder")
        for label, properties in one["variants"].items():
            variants.setdefault(label, properties)
    return {
        "$schema": schema,
        "default-priorities": {"namespace": list(namespaces)},
        "providers": providers,
        "variants": dict(sorted(variants.items())),
    }


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
