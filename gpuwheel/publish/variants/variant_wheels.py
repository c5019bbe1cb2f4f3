"""Variant wheels from finished ones: a further label in the name, variant.json, RECORD; and the file that indexes list.

After repair and audit: other tools do not know such names.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from gpuwheel._endings import cut, reading
from gpuwheel._files import sha256_of, write_if_changed
from gpuwheel.errors import AuditError
from gpuwheel.publish.variants.properties import Variant, index_document, variant_document, variant_of
from gpuwheel.publish.wheel_facts import facts_of, split_variant
from gpuwheel.wheel import Member, Packing, parse_wheel_name, read_members, write_wheel
from gpuwheel.wheel.archive import dist_info_folder, stored_members
from gpuwheel.wheel.metadata import set_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.publishing import VariantProvider
    from gpuwheel.wheel import WheelName

__all__ = ["PlannedVariant", "VariantRequest", "chosen_by_ptx", "plan_variants", "write_indexes", "write_variant"]

_FILE = "variant.json"
_CUDA_PART = re.compile(r"(?:^|\.)cu(?:\d+\.\d+|\d{3,4})(?=\.|$)", re.ASCII)
"""Of a local version: what gpuwheel puts there to tell wheels of one version apart, and what a variant does instead."""
_LARGEST = 1 << 20  # bytes of a variant.json


@dataclass(frozen=True)
class VariantRequest:
    """What is asked for."""

    wheels: Sequence[Path]
    out: Path
    archs: bool = False
    """Whether to state the GPUs too."""
    epoch: int | None = None
    """Timestamp of members (SOURCE_DATE_EPOCH)."""


@dataclass(frozen=True)
class PlannedVariant:
    """One file to write."""

    source: Path
    name: WheelName
    """Without the label, in the version that the variants share."""
    variant: Variant
    sha256: str
    """Of the source, as it was looked at."""
    only_ptx: tuple[str, ...] = ()
    """Targets that the driver would compile for later GPUs, which a choice by GPU passes over."""

    @property
    def filename(self) -> str:
        """With the label."""
        return f"{str(self.name).removesuffix('.whl')}-{self.variant.label}.whl"


def plan_variants(request: VariantRequest, provider: VariantProvider, tables: Tables) -> tuple[PlannedVariant, ...]:
    """Which file each wheel becomes.

    Raises:
        AuditError: a wheel cannot be read, is a variant already, does not say what it needs, or two would be one file.
    """
    planned = [_planned(path, request, provider, tables) for path in request.wheels]
    first: dict[str, PlannedVariant] = {}
    for one in planned:
        other = first.setdefault(one.filename, one)
        if other is not one:
            msg = (
                f"{other.source.name} and {one.source.name} would be one variant "
                f"(found {one.variant.label} twice, expected wheels that differ in the driver that they need)"
            )
            raise AuditError(msg, hint="name one of them; --sm-arch tells apart what differs in GPUs")
    return tuple(planned)


def _planned(path: Path, request: VariantRequest, provider: VariantProvider, tables: Tables) -> PlannedVariant:
    name = _name(path)
    facts = facts_of(path, tables)
    variant = variant_of(facts, provider, tables, archs=request.archs)
    ptx = {ptx.arch for code in facts.code for ptx in code.ptx}
    return PlannedVariant(path, name, variant, facts.sha256, tuple(sorted(ptx)) if request.archs else ())


def _name(path: Path) -> WheelName:
    plain, label = split_variant(path.name)
    if label is not None:
        msg = f"{path.name} is a variant already (found {label}, expected a wheel without a label)"
        raise AuditError(msg, hint="name the wheels that it was made from")
    name = parse_wheel_name(plain)
    return replace(name, version=_shared_version(name.version))


def _shared_version(version: str) -> str:
    """Without the part that told wheels of several toolkits apart: the installer chooses among those of one version."""
    parsed = Version(version.replace("_", "-"))
    if parsed.local is None:
        return version
    local = _CUDA_PART.sub("", parsed.local).strip(".")
    return f"{parsed.public}+{local}" if local else parsed.public


def write_variant(planned: PlannedVariant, request: VariantRequest, provider: VariantProvider) -> str:
    """Write one variant wheel, and return its sha256 in hexadecimal. Members keep their compressed streams.

    Raises:
        AuditError: the source is damaged, or another one than was planned for.
        OSError: the file cannot be written.
    """
    members = read_members(planned.source)
    with planned.source.open("rb") as file:
        if sha256_of(file) != planned.sha256:
            msg = f"{planned.source.name} changed while variants were made of it (expected a file that nobody writes)"
            raise AuditError(msg, hint="try again when whatever writes it has finished")
    old = dist_info_folder(members, planned.source.name)
    new = f"{planned.name.distribution}-{planned.name.version}.dist-info"
    data = (old.removesuffix(".dist-info") + ".data", new.removesuffix(".dist-info") + ".data")
    moved = [_moved(member, {old: new, data[0]: data[1]}) for member in members.values()]
    version = planned.name.version.replace("_", "-")
    final = [_with_version(member, version) if member.name == f"{new}/METADATA" else member for member in moved]
    text = json.dumps(variant_document(planned.variant, provider), indent=2) + "\n"
    final = [*(member for member in final if member.name != f"{new}/{_FILE}"), Member(f"{new}/{_FILE}", text.encode())]
    request.out.mkdir(parents=True, exist_ok=True)
    packing = Packing(keep_streams=True)
    return write_wheel(request.out / planned.filename, final, epoch=request.epoch, packing=packing)


def _moved(member: Member, renamed: dict[str, str]) -> Member:
    top, slash, rest = member.name.partition("/")
    name = f"{renamed.get(top, top)}{slash}{rest}"
    packed = None if member.packed is None else replace(member.packed, name=name)
    return member if name == member.name else replace(member, name=name, packed=packed)


def _with_version(member: Member, version: str) -> Member:
    text = set_field(member.data, "Version", [version])
    return member if text == member.data else Member(member.name, text, member.executable)


def write_indexes(folder: Path) -> tuple[Path, ...]:
    """Write `NAME-VERSION-variants.json` for each version of which variant wheels lie in a folder.

    Labels of wheels that lie elsewhere stay in it.

    Raises:
        AuditError: a variant wheel is damaged, or two of one version differ in what a label or a provider means.
        OSError: a file cannot be written.
    """
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(folder.glob("*.whl")):
        plain, label = split_variant(path.name)
        if label is not None:
            name = parse_wheel_name(plain)
            found[f"{name.distribution}-{name.version}"].append(_document_of(path, label))
    written = []
    for stem, documents in found.items():
        path = folder / f"{stem}-variants.json"
        _check_labels(documents, stem)
        if path.is_file():
            with reading(f"{path.name} does not tell variants apart", "JSON with variants", hint="remove it"):
                documents.append(_checked(path.read_bytes()))
        text = json.dumps(index_document(documents), indent=2) + "\n"
        write_if_changed(path, text.encode())
        written.append(path)
    return tuple(written)


def _check_labels(documents: Sequence[dict[str, Any]], stem: str) -> None:
    first: dict[str, Any] = {}
    for one in documents:
        for label, properties in one["variants"].items():
            if first.setdefault(label, properties) != properties:
                msg = f"the label {label} has different properties in two wheels of {stem} (expected the same)"
                raise AuditError(msg, hint="make the variants of one version anew, in an empty folder")


def _document_of(path: Path, label: str) -> dict[str, Any]:
    expected = f"{_FILE} with the variant {label} alone"
    with stored_members(path) as members, reading(f"{path.name} is not a variant wheel", expected):
        member = members[f"{dist_info_folder(members, path.name)}/{_FILE}"]
        if member.size > _LARGEST:
            msg = f"{member.size:,} bytes"
            raise ValueError(msg)
        document = _checked(member.data)
        if set(document["variants"]) != {label}:
            msg = f"it has {cut(', '.join(document['variants'])) or 'none'}"
            raise ValueError(msg)
        return document


def _checked(text: bytes) -> dict[str, Any]:
    """Raises one of `DAMAGE` where it is not of the form that is read here."""
    document: dict[str, Any] = json.loads(text)
    index_document([document])
    if not isinstance(document["$schema"], str) or not all(isinstance(name, str) for name in document["variants"]):
        msg = "its schema or labels are no texts"
        raise TypeError(msg)
    return document


def chosen_by_ptx(planned: Iterable[PlannedVariant]) -> tuple[str, ...]:
    """Targets of PTX in variants that are chosen by GPU: later GPUs would be passed over, though they could run it."""
    return tuple(sorted({arch for one in planned for arch in one.only_ptx}))
