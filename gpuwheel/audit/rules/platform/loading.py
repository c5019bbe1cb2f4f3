"""What the loader, the kernel or the CPU refuses in a library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.platform.tag_promises import of_host
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase
    from gpuwheel.binary.elf import ElfFile

__all__ = ["LOADING_RULES"]

_ENOUGH, _STRAY = 40, 0.01
"""So many instructions are no chance; so few others, for each of them, are."""
_OF_A_LEVEL = re.compile(
    r"avx|sse|amx|fma|simd|haswell|skylake|icelake|sapphire|zen\d|hwcaps|x86[-_]64[-_]v\d|native", re.IGNORECASE
)
"""In the name of a file that is chosen when it runs."""
_BASELINE = "x86-64"
"""What tags of x86_64 promise (PEP 425 names the machine, and no level of it)."""


@rule(
    "executable-stack",
    needs={Part.LIBRARIES},
    why="glibc 2.41 and newer refuse to load it (dlopen: cannot enable executable stack)",
    fix='end assembly files with .section .note.GNU-stack,"",@progbits',
    source="glibc 2.41, NEWS",
)
def _executable_stack(case: LibraryCase) -> Iterator[Found]:
    """A library asks for an executable stack."""
    if case.library.executable_stack and of_host(case.library):
        problem = "asks for an executable stack (PT_GNU_STACK is missing or has the X flag, expected RW)"
        yield Found(case.library.name, problem)


@rule(
    "text-relocations",
    needs={Part.LIBRARIES},
    why="the loader has to write into its code, which SELinux forbids (execmod), and processes share none of it",
    fix="compile all that is linked into it with -fPIC (the linker names what is not: -Wl,-z,text)",
    source="System V ABI, Dynamic Section: DT_TEXTREL, DF_TEXTREL; selinux_execmod(8)",
    severity=Severity.WARNING,
)
def _text_relocations(case: LibraryCase) -> Iterator[Found]:
    """A library has relocations in its code."""
    if case.library.text_relocations and of_host(case.library):
        yield Found(case.library.name, "has relocations in its code (DT_TEXTREL or DF_TEXTREL, expected none)")


@rule(
    "cpu-level",
    needs={Part.LIBRARIES},
    why="the loader refuses it on older CPUs of that machine ('CPU ISA level is lower than required')",
    fix="compile without -march and -z x86-64-vN, and choose faster code when it runs (target_clones)",
    source="x86-64 psABI, Program Property (GNU_PROPERTY_X86_ISA_1_NEEDED); PEP 425: tags name no level of a machine",
)
def _cpu_level(case: LibraryCase) -> Iterator[Found]:
    """A library says that it needs a newer CPU than the platform tag does."""
    beyond = _beyond(case.library)
    if beyond and case.library.machine == "x86_64":
        problem = f"needs a CPU of {max(beyond)} (GNU property, expected {_BASELINE}, which is all that x86_64 says)"
        yield Found(case.library.name, problem, facts={"level": max(beyond)})


def _beyond(library: ElfFile) -> list[str]:
    """Levels that its property asks for, with which the loader refuses it before any of its code runs."""
    return [level for level in library.isa_needed if level != _BASELINE]


@rule(
    "cpu-code",
    needs={Part.LIBRARIES},
    why="on a CPU without them, loading it ends the process with 'Illegal instruction'",
    fix="compile without -march, -mavx2 and -mavx512f but for what is chosen when it runs (target_clones, ifunc)",
    source="Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2; PEP 425: x86_64 is the baseline",
)
def _cpu_code(case: LibraryCase) -> Iterator[Found]:
    """A library executes AVX when it is loaded (a warning: a sample of its code has AVX throughout, and no SSE)."""
    library, found = case.library, case.library.vectors
    if library.machine != "x86_64" or _OF_A_LEVEL.search(library.name) or _beyond(library):
        return
    if (sure := library.at_load) is not None and not library.program:
        where = f"at {sure.place:#x}, in the {sure.function} at {sure.entry:#x}"
        yield Found(
            library.name,
            f"executes {sure.extension} when it is loaded ({where}; expected {_BASELINE} alone)",
            facts={"level": sure.extension, "function": sure.function, "entry": sure.entry, "place": sure.place},
            cause=f"at load {sure.extension}",
        )
        return
    if found is None:
        return
    beyond = found.avx + found.avx512
    # Code that is chosen when it runs lies beside code for every CPU, which computes floats with SSE.
    if beyond < _ENOUGH or found.sse > beyond * _STRAY:
        return
    # What asks the CPU may keep the widest vectors for those that have them.
    level = "AVX-512" if found.avx512 >= _ENOUGH and not found.asking else "AVX"
    counts = f"{beyond} vector instructions of AVX in a sample of its code, {found.sse} of SSE"
    facts = {"level": level, "avx": found.avx, "avx512": found.avx512, "sse": found.sse}
    why = "on a CPU without them the process ends with 'Illegal instruction', unless something asks the CPU before"
    problem = f"is most likely compiled for {level} throughout ({counts})"
    yield Found(library.name, problem, why, severity=Severity.WARNING, facts=facts)


LOADING_RULES = (_executable_stack, _text_relocations, _cpu_level, _cpu_code)
"""About one library (`LibraryCase`)."""
