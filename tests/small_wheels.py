"""Wheels without device code, and wheels of any torch and CUDA, as an index meets them; small enough for thousands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hostile import container, elf_library, entry

from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TIME", "small_wheel"]

TIME = 1_790_000_000
"""When all of them were made, in seconds since 1970: 2026-09-21."""


def small_wheel(
    folder: Path,
    name: str = "ops",
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    fields: str = "",
    cuda: str | None = None,
) -> Path:
    """Write a wheel into `folder`.

    Args:
        folder: where.
        name: of the project.
        version: with a local part, if it is to have one.
        tag: a compatibility tag.
        fields: lines of METADATA.
        cuda: with "13.0" it has device code of that toolkit, with "12" it links its runtime, with "" nothing tells.
    """
    stem, info = f"{name.replace('-', '_')}-{version}", f"{name.replace('-', '_')}-{version}.dist-info"
    package = name.replace("-", "_")
    head = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{fields}"
    members = {
        f"{package}/__init__.py": b"",
        f"{info}/METADATA": head.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if cuda is not None:
        code = {".nv_fatbin": container(entry(bytes(64), arch=90))}
        needed = (f"libcudart.so.{cuda}", "libc.so.6") if cuda.isdecimal() else ("libc.so.6",)
        members[f"{package}/_C.so"] = elf_library({}, needed=needed, search_path="", sections=code)
    if cuda is not None and "." in cuda:
        driver = "525" if cuda.startswith("12.") else "580"
        manifest = f'{{"schema":1,"toolkit":"{cuda}","driver_floor":"{driver}","groups":{{}}}}'
        members[f"{package}/_kernels.json"] = manifest.encode()
    path = folder / f"{stem}-{tag}.whl"
    write_wheel(path, [Member(member, data) for member, data in members.items()])
    os.utime(path, (TIME, TIME))
    return path
