"""Rules of the audit, asked about one library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import LibraryCase
from gpuwheel.audit.rules import LIBRARY_RULES
from gpuwheel.binary.elf import read_elf
from gpuwheel.model.promises import Expected
from gpuwheel.wheel import Member

if TYPE_CHECKING:
    from collections.abc import Collection

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.findings import Finding
    from gpuwheel.model.promises import Claims

__all__ = ["library_findings"]


def library_findings(
    library: ElfFile | Path,
    tables: Tables,
    claims: Claims,
    *,
    kernels: Collection[str] | None = None,
    folders: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with a library that a build just made.

    Args:
        library: Its facts, or the file.
        tables: What the world allows.
        claims: What the wheel says of it.
        kernels: The kernel groups that it must hold; none where they have no names; `None`: it need hold no kernels.
        folders: Those of the build.
    """
    data = library.read_bytes() if isinstance(library, Path) else b""
    elf = read_elf(data, library.name) if isinstance(library, Path) else library
    expected = Expected(claims, {} if kernels is None else {elf.name: kernels}, folders)
    case = LibraryCase(elf, claims, tables, expected, Member(elf.name, data))
    return [finding for rule in LIBRARY_RULES for finding in rule.findings(case)]
