"""Wheels as other people's tools make them, healthy by default: small, and with nothing that only gpuwheel writes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elf_files import Library
from hostile import RawMember, container, deflated, entry, raw_zip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CODE", "LIBC", "TAG", "TORCH", "WheelFile", "library", "recorded", "wheel", "zipped"]

TAG = "cp311-cp311-manylinux_2_17_x86_64"
LIBC: dict[str, tuple[str, str] | None] = {"memcpy": ("libc.so.6", "GLIBC_2.14")}
"""What any library imports."""
TORCH = "torch>=2.13,<2.14"
"""A requirement of one minor, whose C++ ABI may be used."""
CODE = container(
    entry(bytes(64), arch=75)
    + entry(bytes(64), arch=80)
    + entry(bytes(64), arch=90)
    + entry(bytes(64), arch=100)
    + entry(bytes(64), arch=120)
    + entry(b".version 7.8", kind=1, arch=75, isa=(7, 8))
)
"""Device code that every GPU since Turing can run."""


@dataclass(frozen=True)
class WheelFile:
    """A file."""

    name: str
    data: bytes


def library(**changes: object) -> bytes:
    """A Python module in C, as a compiler for manylinux makes it."""
    given = {"imports": LIBC, "needed": ("libc.so.6",), "soname": None, "exports": ("PyInit__C",), **changes}
    return bytes(Library(**given))  # type: ignore[arg-type]


def recorded(files: Mapping[str, bytes], folder: str) -> bytes:
    """RECORD of these files."""
    rows = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{folder}/RECORD,,\n"]).encode()


def zipped(name: str, files: Mapping[str, bytes]) -> WheelFile:
    """A wheel of exactly these files."""
    return WheelFile(name, raw_zip([deflated(member, data) for member, data in files.items()]))


def wheel(  # noqa: PLR0913 (each is a place where wheels are broken)
    files: Mapping[str, bytes | None] | None = None,
    *,
    requires: Sequence[str] = (),
    tag: str = TAG,
    told: Sequence[str] | None = None,
    name: str = "ops",
    version: str = "1.0",
    fields: Sequence[str] = ("Requires-Python: >=3.9",),
    generator: str = "setuptools (80.9.0)",
    pure: bool = False,
    raw: Sequence[RawMember] = (),
) -> WheelFile:
    """A wheel.

    Args:
        files: Put into it, or in place of what it has; `None` leaves one out. RECORD lists what is there, unless it is
            given.
        requires: Requires-Dist.
        tag: In the name.
        told: Tags in WHEEL, where they are others.
        name: Of the project, as in the file's name.
        version: The same.
        fields: Further lines of METADATA.
        generator: In WHEEL.
        pure: Root-Is-Purelib.
        raw: Members behind the others, as they are.
    """
    folder = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    further = "".join(f"{line}\n" for line in fields)
    python, abi, platform = tag.split("-")
    tags = [f"{py}-{a}-{p}" for py in python.split(".") for a in abi.split(".") for p in platform.split(".")]
    lines = "".join(f"Tag: {one}\n" for one in (tags if told is None else told))
    given: dict[str, bytes | None] = {
        f"{name}/__init__.py": b"",
        f"{name}/_C.so": library(),
        f"{folder}/METADATA": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{further}{needs}".encode(),
        f"{folder}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: {generator}\nRoot-Is-Purelib: {str(pure).lower()}\n{lines}".encode()
        ),
        **(files or {}),
    }
    there = {member: data for member, data in given.items() if data is not None}
    record = f"{folder}/RECORD"
    if record not in given:
        there[record] = recorded(there, folder)
    data = raw_zip([*(deflated(member, content) for member, content in there.items()), *raw])
    return WheelFile(f"{name}-{version}-{tag}.whl", data)
