"""Header trees in wheels of the index: their digest, and which files hold the same one. Used by `update_*.py`."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from packaging.version import Version
from update_index import IndexFile, open_wheel
from update_table import Table, as_text, as_texts

from gpuwheel.model.pins import HeadersPin, tree_digest

__all__ = ["cut_headers"]

_READERS = 4


def cut_headers(name: str, row: Table, files: list[IndexFile]) -> Table:
    """Cut the headers out of every Linux wheel of the row's version; those that hold the same tree are its sources."""
    pin = HeadersPin(
        name=name,
        version=as_text(row["version"]),
        files=(),
        prefix=as_text(row["prefix"]),
        roots=tuple(as_texts(row["roots"])),
        digest="",
        file_count=0,
    )
    wheels = [file for file in files if file.version == Version(pin.version)]
    with ThreadPoolExecutor(_READERS) as pool:
        trees = list(pool.map(lambda file: _header_digests(pin, file), wheels))
    reference = trees[0]
    for wheel, tree in zip(wheels, trees, strict=True):
        if tree != reference:
            print(f"{wheel.filename} holds other headers than {wheels[0].filename}: not a source of them")
    same = [wheel for wheel, tree in zip(wheels, trees, strict=True) if tree == reference]
    return {
        **row,
        "digest": tree_digest(reference),
        "file-count": len(reference),
        "files": [wheel.row() for wheel in same],
    }


def _header_digests(pin: HeadersPin, file: IndexFile) -> dict[str, str]:
    with open_wheel(file) as wheel:
        paths = {pin.path_of(name): name for name in wheel.namelist()}
        return {path: hashlib.sha256(wheel.read(name)).hexdigest() for path, name in paths.items() if path}
