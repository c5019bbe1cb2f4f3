"""Compiles modules in a process of its own, so that its hash seed and what it has seen before are known.

Its argument is a JSON file: [source, compiled, path in the image] of each. What does not compile has no result, as with
every installer: packages carry templates and files for other Pythons. Nothing of gpuwheel is imported.
"""

from __future__ import annotations

import json
import py_compile
import sys
from pathlib import Path

__all__ = ["compile_all"]


def compile_all(listed: Path) -> None:
    """Compile what a file lists."""
    for source, compiled, shown in json.loads(listed.read_bytes()):
        try:
            py_compile.compile(
                source,
                compiled,
                shown,
                doraise=True,
                optimize=0,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, ValueError, RecursionError, MemoryError):  # noqa: PERF203 (each may fail)
            continue


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]))
