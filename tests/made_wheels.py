"""Wheels with a library and device code, written by hand: one that breaks no rule of the audit, and changes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hostile import container, elf_library, entry

from gpuwheel.audit import WheelCase, inspect
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import Member, Wheel, parse_wheel_name
from gpuwheel.wheel.archive import sealed_members

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.compatibility import Tables

__all__ = [
    "BUILT",
    "FOLDER",
    "IMPORTS",
    "INFO",
    "NEEDED",
    "TAG",
    "Made",
    "describing",
    "door",
    "importing",
    "made",
    "manifest",
]

INFO = "ops-1.dist-info"
METADATA = "Metadata-Version: 2.2\nName: ops\nVersion: 1\n"
TAG = "py3-none-manylinux_2_17_x86_64"
FOLDER = "/home/somebody/build"
CODE = container(entry(bytes(64), arch=75))
IMPORTS: dict[str, tuple[str, str] | None] = {
    "torch_call_dispatcher": None,
    "memcpy": ("libc.so.6", "GLIBC_2.14"),
}
NEEDED = ("libtorch.so", "libc.so.6")
BUILT = Expected(Claims(MinorVersion(2, 10)), {"ops/_C.so": ["fused"]}, [FOLDER])


def manifest(*, archs: Sequence[str] = (), ptx: Sequence[str] = (), driver: str = "525", schema: int = 1) -> bytes:
    """What a package declares."""
    groups = {"fused": {"archs": archs, "ptx": ptx}}
    return json.dumps({"schema": schema, "toolkit": "12.9", "driver_floor": driver, "groups": groups}).encode()


@dataclass(frozen=True)
class Made:
    """A wheel, changed in one place; the default breaks no rule."""

    library: Mapping[str, Any]
    files: Mapping[str, bytes]
    requires: str = "torch>=2.10"
    tag: str = TAG
    told: str | None = None
    """The tag in WHEEL, where it is another."""
    archs: tuple[str, ...] = ("sm_75",)
    ptx: tuple[str, ...] = ()
    code: bytes = CODE
    resealed: bool = True
    max_size: int = 100_000

    @property
    def name(self) -> str:
        """Of the file."""
        return f"ops-1-{self.tag}.whl"

    def members(self) -> dict[str, Member]:
        """Every file, with RECORD."""
        sections = {".nv_fatbin": self.code} if self.code else {}
        given: dict[str, Any] = {"imports": IMPORTS, "needed": NEEDED, "search_path": "", **self.library}
        given["sections"] = sections | given.get("sections", {})
        files = {
            "ops/__init__.py": b"",
            "ops/_C.so": elf_library(**given),
            "ops/_kernels.json": manifest(archs=self.archs, ptx=self.ptx),
            f"{INFO}/METADATA": f"{METADATA}Requires-Dist: {self.requires}\n".encode(),
            f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: gpuwheel 0.1.0\nRoot-Is-Purelib: false\n"
            f"Tag: {self.told or self.tag}\n".encode(),
        }
        sealed = sealed_members([Member(name, data) for name, data in files.items()], self.name)
        added = {name: Member(name, data) for name, data in self.files.items() if data != b"remove"}
        kept = {name: member for name, member in sealed.items() if name not in self.files}
        return sealed_members({**kept, **added}.values(), self.name) if self.resealed else {**kept, **added}

    def wheel(self) -> Wheel:
        """In memory."""
        return Wheel(parse_wheel_name(self.name), self.members())

    def case(self, tables: Tables) -> WheelCase:
        """As a build would ask about it."""
        return WheelCase(replace(inspect(self.wheel()), size=50_000), tables, BUILT, self.max_size)


def made(*, library: Mapping[str, Any] | None = None, files: Mapping[str, bytes] | None = None, **changes: Any) -> Made:  # noqa: ANN401
    return Made(library or {}, files or {}, **changes)


def describing() -> bytes:
    """A library with `abi = "compat"`."""
    return elf_library(IMPORTS, needed=NEEDED, exports=["gpuwheel_compat_open"], search_path="")


def door(*exports: str) -> bytes:
    """The file by which `import` finds the generated module in front of such a library."""
    return elf_library({"memcpy": IMPORTS["memcpy"]}, exports=exports, search_path="")


def importing(symbol: str, **further: Any) -> Made:  # noqa: ANN401
    return made(library={"imports": {**IMPORTS, symbol: None}, **further})
