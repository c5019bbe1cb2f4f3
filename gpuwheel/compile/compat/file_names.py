"""How the files of an extension with `abi = "compat"` are called."""

from __future__ import annotations

__all__ = ["COMPAT_TREE", "compat_library"]

COMPAT_TREE = "compat-"
"""How the folder of headers that stand in for torch's begins, in the cache."""


def compat_library(import_path: str) -> str:
    """The member of the wheel with the code of the extension `pkg.NAME`: "pkg/libNAME.so"."""
    *package, name = import_path.split(".")
    return "/".join((*package, f"lib{name}.so"))
