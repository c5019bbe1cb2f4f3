"""What a library may need, show and hold. Each check looks at its bytes, not at how it was built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.platform import system_libraries
from gpuwheel.audit.providers import TORCH
from gpuwheel.binary.fatbin import CODE_SECTIONS
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Part, Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase, WheelCase

__all__ = ["DEBUG_RULES", "LIBRARY_FILE_RULES"]

_DEBUG = (".debug_", ".zdebug_")
"""How the sections of DWARF are called, packed ones too."""
_MUCH = 10_000_000
"""Bytes from which sections for debuggers are more than a note: a tenth of what PyPI takes for a whole file."""

_TORCH_CPP = frozenset({"libtorch_python.so", "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libc10_cuda.so"})
"""What libraries on torch's C++ ABI may need beside `libtorch.so`."""
_ENTRY_POINT = "PyInit_"
_CLAIMS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
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


@rule(
    "needed-library",
    needs=_CLAIMS,
    why="nothing promises that this library is on the machine that installs the wheel",
    fix="link it statically, drop it from `link-flags`, or name it in `graft` of [tool.gpuwheel.wheel]",
    source="PEP 600: what a platform may promise; `gpuwheel/data/platforms.toml` has each policy's libraries",
    profile=Profile.OWN,
)
def _needed_library(case: LibraryCase) -> Iterator[Found]:
    """A library needs another that neither the platform nor the wheel's requirements promise."""
    torch = {TorchAbi.STABLE: {TORCH}, TorchAbi.EXACT: {TORCH, *_TORCH_CPP}}.get(case.claims.torch, set())
    allowed = system_libraries(case.tables, case.library.machine) | torch | case.claims.provided
    for needed in case.library.needed:
        if needed not in allowed:
            reasons = ((why, fix) for pattern, why, fix in _NEEDED_WHY if re.fullmatch(pattern, needed))
            problem = f"needs {needed} (DT_NEEDED, expected {TORCH} and system libraries)"
            yield Found(case.library.name, problem, *next(reasons, ()))


@rule(
    "missing-device-code",
    needs={Part.LIBRARIES, Part.BUILD},
    why="every CUDA call would fail with 'kernel not found'",
    fix="check that its sources have kernels which something launches, and that the link keeps the section",
    source="CUDA Binary Utilities: device code of a host binary is in its section .nv_fatbin",
)
def _missing_device_code(case: LibraryCase) -> Iterator[Found]:
    """A library that was to hold kernels holds no device code."""
    name = case.library.name
    groups = case.expected.with_kernels.get(name) if case.expected else None
    if groups is None or any(section in case.library.sections for section in CODE_SECTIONS):
        return
    if not groups:
        expected, why, fix = "that of its .cu sources", None, None
    else:
        headers = " or ".join(f"{group}.kernels.h" for group in groups)
        expected = f"that of kernel group{'s' if len(groups) > 1 else ''} {', '.join(f'{group!r}' for group in groups)}"
        why = f"nothing in its sources uses {headers}, so that the linker left the images out"
        fix = f"launch a kernel of {headers} in `sources`, or drop the group from `kernels` of the extension until then"
    yield Found(name, f"has no device code (no section {CODE_SECTIONS[0]}, expected {expected})", why, fix)


@rule(
    "build-path",
    needs={Part.LIBRARIES, Part.BUILD},
    why="the same sources would give other bytes in another folder, and the wheel tells where it was built",
    fix="compile with -ffile-prefix-map=FOLDER=.; leave -lineinfo and -g of nvcc to gpuwheel dev",
    source="reproducible-builds.org, Build path; GCC manual, -ffile-prefix-map",
)
def _build_path(case: LibraryCase) -> Iterator[Found]:
    """A library contains a folder of the machine that built it."""
    if case.expected is None or case.content is None:
        return
    data = case.content.data
    # Anywhere in the file: line tables, assertions (__FILE__) and search paths all hold folders.
    if leaked := [folder for folder in case.expected.build_folders if folder.encode() in data]:
        yield Found(case.library.name, f"contains a folder of the build ({', '.join(leaked)}, expected none)")


@rule(
    "debug-info",
    needs={Part.LIBRARIES},
    why="debuggers alone read it; every user downloads and stores it",
    fix="link without -g, or strip the libraries (strip --strip-debug)",
    source="DWARF debugging standard; System V ABI, chapter 4, Sections",
    severity=Severity.WARNING,
    profile=Profile.ANY,
)
def _debug_info(case: WheelCase) -> Iterator[Found]:
    """Libraries hold sections for debuggers (a note below 10 MB)."""
    sizes = {
        library.name: sum(part.size for name, part in library.sections.items() if name.startswith(_DEBUG))
        for library in case.wheel.libraries
    }
    found = {name: size for name, size in sorted(sizes.items(), key=lambda item: -item[1]) if size}
    if total := sum(found.values()):
        told = f"{total / 1e6:.1f} MB in {len(found)} files" if len(found) > 1 else f"{total / 1e6:.1f} MB"
        yield Found(
            next(iter(found)),
            f"holds sections for debuggers ({told}, expected none)",
            severity=Severity.WARNING if total >= _MUCH else Severity.NOTE,
            facts={"bytes": total, "files": found},
            command="gpuwheel repair --strip WHEEL",
        )


DEBUG_RULES = (_debug_info,)
"""About a whole wheel (`WheelCase`)."""
LIBRARY_FILE_RULES = (
    _needed_library,
    _missing_device_code,
    _build_path,
)
"""About one library (`LibraryCase`)."""
