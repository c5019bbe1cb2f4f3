"""What the loader, the kernel or the CPU refuses in a library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.model.findings import Found, Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase

__all__ = ["LOADING_RULES"]


@rule(
    "executable-stack",
    needs={Part.LIBRARIES},
    why="glibc 2.41 and newer refuse to load it (dlopen: cannot enable executable stack)",
    fix='end assembly files with .section .note.GNU-stack,"",@progbits',
    source="glibc 2.41, NEWS",
)
def _executable_stack(case: LibraryCase) -> Iterator[Found]:
    """A library asks for an executable stack."""
    if case.library.executable_stack:
        problem = "asks for an executable stack (PT_GNU_STACK is missing or has the X flag, expected RW)"
        yield Found(case.library.name, problem)


LOADING_RULES = (_executable_stack,)
"""About one library (`LibraryCase`)."""
