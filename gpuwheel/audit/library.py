"""What a library must not be, if one file is to load in every torch of its range, with and without CUDA.

These are the refusals after linking. Each looks at the bytes of the finished library, not at how it was built.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.audit.providers import Provider, provider, shown
from gpuwheel.binary.elf import ElfFile, read_elf
from gpuwheel.binary.fatbin import CODE_SECTIONS
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from gpuwheel.binary.elf import Import
    from gpuwheel.compatibility import Shim, Tables
    from gpuwheel.model.versions import MinorVersion

__all__ = ["Claims", "check_build_paths", "check_library", "system_libraries"]


_TORCH = "libtorch.so"
_TORCH_CPP_LIBRARIES = frozenset(
    {"libtorch_python.so", "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libc10_cuda.so"}
)
"""What libraries on torch's C++ ABI may need beside `libtorch.so`."""
_ENTRY_POINT = "PyInit_"
_LOADERS = frozenset({"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})
"""The dynamic loader: on every machine, and in no policy's list."""

_MISSING_CODE = (
    "that of its .cu sources",
    "every CUDA call would fail with 'kernel not found'",
    "check that its sources have kernels which something launches, and that the link keeps the section",
)
_WITH_VERSIONS = (
    "libc.",
    "libm.",
    "libdl.",
    "libpthread.",
    "librt.",
    "libgcc_s.",
    "libstdc++.",
    "libutil.",
    "ld-linux",
)
"""System libraries all of whose symbols have versions, so that one without is none of theirs; libz.so.1 is no such."""
_OPENMP = ("GOMP_", "omp_")
"""What GCC calls for OpenMP (libgomp manual, "The libgomp ABI")."""

_NEEDED_WHY: tuple[tuple[str, str, str], ...] = (
    (
        r"libcuda\.so.*",
        "it comes with the NVIDIA driver: on a machine without one the library would not load at all",
        "drop -lcuda; libraries = [\"cuda\"] of mode 'nvcc' and gpuwheel/launch.h look the functions up at run time",
    ),
    (
        r"libcudart\.so.*",
        "it ties the file to one CUDA major, and a CPU build of torch does not bring it",
        "launch through gpuwheel/launch.h, which needs no CUDA runtime, and drop -lcudart",
    ),
    (
        r"lib(torch_\w+|c10\w*|torch_python)\.so.*",
        "CUDA and CPU builds of torch hold different libraries; libtorch.so is in both and brings the others",
        "link libtorch.so alone (GpuWheel::torch_stable)",
    ),
    (
        r"libpython.*",
        "it ties the file to one version of Python, and many Pythons do not ship it as a library",
        "register operators with STABLE_TORCH_LIBRARY instead of a Python module",
    ),
)
_NEEDED_ELSE = (
    "nothing promises that this library is on the machine that installs the wheel",
    "link it statically, or drop it from `link-flags`",
)


@dataclass(frozen=True)
class Claims:
    """What the wheel says of its libraries: they must not ask for more."""

    torch: TorchAbi = TorchAbi.STABLE
    python: bool = False
    """Whether the tag names Pythons, so that their symbols may be used."""
    provided: frozenset[str] = frozenset()
    """SONAMEs that packages of Requires-Dist have, other than torch."""


_COLLAPSED = Claims()


def system_libraries(tables: Tables, machine: str) -> frozenset[str]:
    """SONAMEs that some platform tag promises on `machine`, and the loader."""
    return _LOADERS.union(*(policy.libraries for policy in tables.platforms if policy.machine == machine))


def check_library(
    library: ElfFile | bytes,
    name: str,
    floor: MinorVersion,
    tables: Tables,
    *,
    kernels: bool | Collection[str] = False,
    claims: Claims = _COLLAPSED,
) -> list[Finding]:
    """What forbids a library to ship; empty for a good one.

    Args:
        library: The shared library, parsed or as bytes.
        name: Its name in messages, for example "fused_ops/_C.so".
        floor: Oldest torch that the wheel promises to run with.
        tables: What the world allows.
        kernels: Whether kernel images were declared, so that the library must hold device code; or of which groups.
        claims: What the wheel says; by default that it is for every Python and every torch from the floor on.

    Raises:
        AuditError: not an ELF file.
    """
    elf = library if isinstance(library, ElfFile) else read_elf(library, name)
    found = [
        *_check_symbols(elf, name, floor, tables, claims),
        *_check_needed(elf, name, tables, claims),
        *_check_layout(elf, name, claims),
    ]
    expected, why, fix = _MISSING_CODE
    if not isinstance(kernels, bool):
        groups = ", ".join(f"{group!r}" for group in kernels)
        headers = " or ".join(f"{group}.kernels.h" for group in kernels)
        expected = f"that of kernel group{'s' if len(kernels) > 1 else ''} {groups}"
        why = f"nothing in its sources uses {headers}, so that the linker left the images out"
        fix = f"launch a kernel of {headers} in `sources`, or drop the group from `kernels` of the extension until then"
    if kernels and not any(section in elf.sections for section in CODE_SECTIONS):
        found.append(
            Finding(
                *("missing-device-code", Severity.ERROR, name),
                problem=f"has no device code (no section {CODE_SECTIONS[0]}, expected {expected})",
                why=why,
                fix=fix,
            )
        )
    return found


def check_build_paths(data: bytes, name: str, folders: Sequence[str]) -> list[Finding]:
    """Whether a library's bytes tell where it was built; `folders` are those of the build, absolute."""
    leaked = [folder for folder in folders if folder.encode() in data]
    if not leaked:
        return []
    return [
        _error(
            *("build-path", name),
            f"contains a folder of the build ({', '.join(leaked)}, expected none)",
            "the same sources would give other bytes in another folder, and the wheel tells where it was built",
            "compile with -ffile-prefix-map=FOLDER=.; leave -lineinfo and -g of nvcc to gpuwheel dev",
        )
    ]


def _error(rule: str, subject: str, problem: str, why: str, fix: str) -> Finding:
    return Finding(rule, Severity.ERROR, subject, problem, why, fix)


def _check_symbols(elf: ElfFile, name: str, floor: MinorVersion, tables: Tables, claims: Claims) -> Iterator[Finding]:
    groups: dict[Provider, list[Import]] = defaultdict(list)
    for symbol in elf.imports:
        groups[provider(symbol, tables.shims)].append(symbol)
    if claims.torch is not TorchAbi.EXACT:
        yield from _check_stable(groups, name, floor, tables)
    if not claims.python and (python := groups[Provider.PYTHON]):
        yield _error(
            *("python-symbol", name),
            f"imports symbols of Python ({shown(python)}, expected none)",
            "the wheel says py3-none: it must load in every Python",
            "register operators with STABLE_TORCH_LIBRARY and load them with torch.ops.load_library",
        )
    if cuda := groups[Provider.CUDA]:
        yield _error(
            *("cuda-symbol", name),
            f"imports symbols of CUDA ({shown(cuda)}, expected none)",
            "on a machine without an NVIDIA driver, or with another CUDA major, the library would not load",
            "launch through gpuwheel/launch.h, or link what has them by `libraries` of mode 'nvcc' (cuda, cudart)",
        )
    unresolved = [symbol for symbol in groups[Provider.NOBODY] if not symbol.weak and not _of_torch(symbol, elf)]
    known = {name for name in system_libraries(tables, elf.machine) if name.startswith(_WITH_VERSIONS)} | {_TORCH}
    # A further library, refused elsewhere, may provide them.
    if unresolved and known.issuperset(elf.needed):
        yield _error(
            *("unresolved-symbol", name),
            f"imports symbols that nothing provides ({shown(unresolved)}, expected none)",
            "the library would fail to load with 'undefined symbol'",
            "add the source that defines them to `sources`; if they are of a newer glibc, name a newer `platform`",
        )


def _of_torch(symbol: Import, elf: ElfFile) -> bool:
    """Whether it is of the OpenMP runtime that torch's own libraries bring, and which libtorch.so makes visible."""
    return symbol.name.startswith(_OPENMP) and _TORCH in elf.needed


def _check_stable(
    groups: Mapping[Provider, Sequence[Import]], name: str, floor: MinorVersion, tables: Tables
) -> Iterator[Finding]:
    """Symbols of torch, in a library that is to load in every torch from the floor on."""
    yield from _check_shims(groups.get(Provider.SHIM, ()), name, floor, tables.shims)
    if unknown := groups.get(Provider.UNKNOWN_SHIM):
        yield _error(
            *("torch-unknown-symbol", name),
            f"imports a torch symbol that no known torch has ({shown(unknown)}, expected one of torch's stable ABI)",
            "the library would fail to load with 'undefined symbol', in old torches at least",
            f"call a function of the stable ABI (gpuwheel knows torch up to {max(tables.torch)})",
        )
    if unstable := groups.get(Provider.TORCH_CPP):
        yield _error(
            *("torch-unstable-abi", name),
            f"imports C++ symbols of torch ({shown(unstable)}, expected the stable C ABI alone)",
            "at::, c10:: and torch:: C++ symbols change from one torch to the next: the library loads in one of them",
            "include torch/csrc/stable/*.h and torch/headeronly/*.h only, never ATen, c10 or torch/extension.h",
        )


def _check_shims(
    symbols: Sequence[Import], name: str, floor: MinorVersion, shims: Mapping[str, Shim]
) -> Iterator[Finding]:
    newer: dict[MinorVersion, list[Import]] = defaultdict(list)
    for symbol in symbols:
        if shims[symbol.name].since > floor and not symbol.weak:
            newer[shims[symbol.name].since].append(symbol)
    for since, too_new in sorted(newer.items()):
        yield _error(
            *("torch-floor", name),
            f"imports {shown(too_new)}, new in torch {since} (expected symbols of torch {floor} or older)",
            f"under torch {floor} the library would fail to load with 'undefined symbol'",
            f"""do without, or set `torch = ">={since}"`""",
        )
    strong = [symbol for symbol in symbols if shims[symbol.name].library == "libtorch_cuda.so" and not symbol.weak]
    if strong:
        yield _error(
            *("strong-cuda-shim", name),
            f"needs {shown(strong)} of libtorch_cuda.so (strong reference, expected a weak one)",
            "CPU builds of torch have no libtorch_cuda.so: the library would not load there",
            "use gpuwheel/torch.h, or redeclare the function with __attribute__((weak)) and test it before the call",
        )


def _check_needed(elf: ElfFile, name: str, tables: Tables, claims: Claims) -> Iterator[Finding]:
    torch = {TorchAbi.STABLE: {_TORCH}, TorchAbi.EXACT: {_TORCH, *_TORCH_CPP_LIBRARIES}}.get(claims.torch, set())
    allowed = system_libraries(tables, elf.machine) | torch | claims.provided
    for needed in elf.needed:
        if needed in allowed:
            continue
        why, fix = next(
            ((why, fix) for pattern, why, fix in _NEEDED_WHY if re.fullmatch(pattern, needed)), _NEEDED_ELSE
        )
        yield _error(
            "needed-library", name, f"needs {needed} (DT_NEEDED, expected {_TORCH} and system libraries)", why, fix
        )
    if _TORCH not in elf.needed and any(symbol.name in tables.shims for symbol in elf.imports):
        yield _error(
            *("torch-not-needed", name),
            f"uses torch's symbols without asking for it ({_TORCH} is not in DT_NEEDED, expected there)",
            "Python loads torch's libraries out of sight of others: the symbols would not be found",
            f"link {_TORCH} after -Wl,--no-as-needed (GpuWheel::torch_stable)",
        )


def _check_layout(elf: ElfFile, name: str, claims: Claims) -> Iterator[Finding]:
    if elf.executable_stack:
        yield _error(
            *("executable-stack", name),
            "asks for an executable stack (PT_GNU_STACK is missing or has the X flag, expected RW)",
            "glibc 2.41 and newer refuse to load it (dlopen: cannot enable executable stack)",
            'end assembly files with .section .note.GNU-stack,"",@progbits',
        )
    absolute = [path for path in elf.search_path if not path.startswith(("$ORIGIN", "${ORIGIN}"))]
    if absolute:
        yield _error(
            *("search-path", name),
            f"searches libraries in {', '.join(absolute)} (DT_RUNPATH, expected none)",
            "that folder is on the machine that built the wheel: elsewhere it is missing, or somebody else's",
            "drop -Wl,-rpath from `link-flags`, and build with CMAKE_SKIP_RPATH=ON",
        )
    elif elf.search_path and not claims.provided:
        yield Finding(
            *("search-path", Severity.WARNING, name),
            problem=f"searches libraries in {', '.join(elf.search_path)} (DT_RUNPATH, expected none)",
            why="torch is loaded before the library, so there is nothing to search for",
            fix="drop -Wl,-rpath from `link-flags`",
        )
    exports = [symbol for symbol in elf.exports if not (claims.python and symbol.startswith(_ENTRY_POINT))]
    if exports and claims.torch is not TorchAbi.NONE:  # without torch, what it exports is all it is for
        yield Finding(
            *("exported-symbol", Severity.WARNING, name),
            problem=f"exports symbols ({shown(exports)}, expected none)",
            why="two packages that export one name in one process may call each other's function",
            fix="build with -fvisibility=hidden and link with a version script that makes all symbols local",
        )
