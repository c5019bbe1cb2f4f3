"""A local version (PEP 440) for a wheel, which tells it from others of one version: METADATA, names of folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel.wheel.archive import Member
from gpuwheel.wheel.metadata import field_values, set_field

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["labelled_folder", "labelled_metadata", "labelled_version", "moved"]


def labelled_version(version: str, label: str) -> str:
    """`1.0` with `torch2.14` is `1.0+torch2.14`; a local part of the project's own stays in front.

    Labelling twice changes nothing.
    """
    parsed = Version(version)
    own = parsed.local
    if own is not None and (own == label or own.endswith(f".{label}")):
        return version
    return f"{parsed.public}+{label if own is None else f'{own}.{label}'}"


def labelled_metadata(metadata: bytes, label: str) -> bytes:
    """Core metadata of that version."""
    return set_field(metadata, "Version", [labelled_version(one, label) for one in field_values(metadata, "Version")])


def labelled_folder(folder: str, label: str) -> str:
    """The name of `NAME-VERSION.dist-info`, and of the `.data` folder beside it, in that version."""
    stem, dot, kind = folder.rpartition(".")
    distribution, dash, version = stem.rpartition("-")
    return f"{distribution}{dash}{labelled_version(version, label)}{dot}{kind}"


def moved(members: Iterable[Member], folder: str, label: str) -> dict[str, Member]:
    """The files of a wheel by their names in that version; `folder` is its `.dist-info`."""
    stem = folder.removesuffix(".dist-info")
    renamed = {old: labelled_folder(old, label) for old in (folder, f"{stem}.data")}
    found = {}
    for member in members:
        top, slash, rest = member.name.partition("/")
        name = f"{renamed.get(top, top)}{slash}{rest}"
        found[name] = member if name == member.name else Member(name, member.data, member.executable)
    return found
