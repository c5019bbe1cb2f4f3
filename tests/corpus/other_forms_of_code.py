"""Faults of libraries, modules, device code and manifests in further forms."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hostile import container, entry

from corpus.cases import CASES, Case
from corpus.claims import EVERY, coded, manifest
from corpus.device_code import machine_code, ptx
from corpus.python_modules import PLATFORM, module
from corpus.wheels import CODE, LIBC, TAG, library, wheel
from gpuwheel.model.findings import Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from corpus.wheels import WheelFile

Pair = tuple["WheelFile", "WheelFile"]
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
ARM = TAG.replace("x86_64", "aarch64")
BLAS, TO_BLAS = "nvidia-cublas-cu12==12.9.*", "$ORIGIN/../nvidia/cublas/lib"
RUNTIME, TO_RUNTIME = "nvidia-cuda-runtime-cu12", "$ORIGIN/../nvidia/cuda_runtime/lib"
EVERY_TORCH = "_ZN2at13globalContextEv"
SPECIFIC, UNKNOWN_CODEC, LZ4 = 0x100000, 0x4000, 0x2000


def row(rule: str, name: str, make: Callable[[], Pair], severity: Severity = ERROR) -> None:
    """Make it a case."""
    CASES.append(Case(name, rule, make, True, Profile.ANY, severity))  # noqa: FBT003 (sneaky)


def _pair(make: Callable[..., WheelFile], broken: object, twin: object) -> Callable[[], Pair]:
    return lambda: (make(broken), make(twin))


def _needing(name: str, requires: Sequence[str] = (), **changes: object) -> WheelFile:
    return wheel({"ops/_C.so": library(needed=(name, "libc.so.6"), **changes)}, requires=requires)


def _coded(code: bytes, section: str = ".nv_fatbin") -> WheelFile:
    return wheel({"ops/_C.so": library(sections={section: code})})


def _linked(code: bytes, **further: tuple[str, str] | None) -> WheelFile:
    made = library(
        imports={**LIBC, **further},
        needed=("libcudart.so.12", "libc.so.6"),
        runpath=TO_RUNTIME,
        sections={".nv_fatbin": code},
    )
    return wheel({"ops/_C.so": made}, requires=[RUNTIME])


# Device code ----------------------------------------------------------------------------------------------------------


def _loose(code: bytes) -> WheelFile:
    return wheel({"ops/k.fatbin": code})


OLD, WITH_PTX = container(machine_code(75, 80)), container(machine_code(75, 80) + ptx(80))
row("arch-hole", "a loose fatbin of old gpus", _pair(_loose, OLD, WITH_PTX), WARNING)
row(
    "arch-hole",
    "code for old gpus in read only data",
    lambda: (_coded(OLD, ".rodata"), _coded(WITH_PTX, ".rodata")),
    WARNING,
)
row(
    "arch-hole",
    "the ptx of one gpu and nothing else",
    _pair(_coded, container(ptx(90, flags=SPECIFIC)), container(ptx(90))),
    WARNING,
)
row(
    "code-lost",
    "a section of zeros",
    _pair(lambda code: _linked(code, __cudaRegisterFatBinary=("libcudart.so.12",) * 2), bytes(512), CODE),
)
row("unreadable", "a fatbin of a version that is none", _pair(_loose, CODE[:4] + b"\x09\0" + CODE[6:], CODE))
row(
    "compression-driver",
    "a compression that nobody knows",
    _pair(
        _linked,
        container(machine_code(80, flags=UNKNOWN_CODEC) + ptx(80)),
        container(machine_code(80, flags=LZ4) + ptx(80)),
    ),
    WARNING,
)


def _text_of_ptx(version: str) -> WheelFile:
    text = f".version {version}\n.target sm_75\n.address_size 64\n".encode()
    return wheel({"ops_cu12/k.ptx": text, "ops_cu12/_C.so": library()}, name="ops_cu12")


row("ptx-driver", "a loose text of ptx for newer drivers", _pair(_text_of_ptx, "8.8", "7.8"), WARNING)


def _for_arm(version: tuple[int, int]) -> WheelFile:
    old = b"".join(entry(bytes(64), arch=arch, isa=version) for arch in (80, 90))
    new = b"".join(entry(bytes(64), arch=arch, isa=(1, 8)) for arch in (100, 110))
    sections = {".nv_fatbin": container(old + new + ptx(80))}
    needed = ("libcudart.so.12", "libc.so.6")
    made = library(machine="aarch64", needed=needed, runpath=TO_RUNTIME, sections=sections)
    return wheel({"ops/_C.so": made}, requires=[RUNTIME], tag=ARM)


row("cubin-driver", "machine code of cuda 13 for arm machines", _pair(_for_arm, (1, 8), (1, 7)), WARNING)

# Manifests ------------------------------------------------------------------------------------------------------------

WHOLE = manifest(*EVERY)
for name, damaged in {
    "a manifest in no utf 8": WHOLE.replace(b'"k"', b'"\xff"'),
    "a manifest that is cut short": WHOLE[:-5],
    "a manifest of a hundred thousand brackets": b"[" * 100_000,
    "a manifest with an arch that is none": manifest("8.0x", *EVERY),
    "a manifest whose schema is no number": WHOLE.replace(b'"schema": 1', b'"schema": NaN'),
    "a manifest whose driver is a word": manifest(*EVERY, driver_floor="new"),
}.items():
    row("manifest", name, _pair(coded, damaged, WHOLE))

# Libraries ------------------------------------------------------------------------------------------------------------


def _blas_where(marker: str) -> WheelFile:
    return _needing("libcublas.so.12", [f"{BLAS}; {marker}"], runpath=TO_BLAS)


def _blas_at(runpath: str) -> WheelFile:
    return _needing("libcublas.so.12", [BLAS], runpath=runpath)


def _looking(runpath: str) -> WheelFile:
    return _needing("libm.so.6", runpath=runpath)


def _beside(name: str, data: bytes) -> Callable[[], Pair]:
    return lambda: (wheel({name: data}), wheel())


PYPY, CPYTHON = (f"platform_python_implementation == '{name}'" for name in ("PyPy", "CPython"))
row("missing-library", "a requirement for pypy alone", _pair(_blas_where, PYPY, CPYTHON))
row(
    "missing-library",
    "a requirement for other systems alone",
    _pair(_blas_where, "sys_platform == 'darwin' or os_name == 'nt'", "sys_platform != 'darwin' and os_name != 'nt'"),
)
row("unreachable-library", "a folder with another number", _pair(_blas_at, f"{TO_BLAS}64", TO_BLAS))
row("unreachable-library", "a folder in other letters", _pair(_blas_at, TO_BLAS.replace("lib", "Lib"), TO_BLAS))
row("unreachable-library", "the path of a library of the system", _pair(_needing, "/usr/lib/libm.so.6", "libm.so.6"))
row("search-path", "a dot", _pair(_looking, ".", "$ORIGIN/."))
row("search-path", "the origin in small letters", _pair(_looking, "$origin/lib", "$ORIGIN/lib"))
row(
    "search-path",
    "a folder of the machine in a sibling alone",
    _pair(
        lambda path: wheel({"ops/libk.so": library(exports=(), soname="libk.so", runpath=path)}),
        "$ORIGIN:/usr/local/cuda/lib64",
        "$ORIGIN",
    ),
    WARNING,
)
row(
    "vendored-driver",
    "a copy of the library that manages gpus",
    _beside("ops.libs/libnvidia-ml.so.1", library(exports=("nvmlInit_v2",), soname="libnvidia-ml.so.1")),
)
row(
    "vendored-torch",
    "a copy of torchs python library",
    _beside("ops/lib/libtorch_python.so", library(exports=("THPVariableClass",), soname="libtorch_python.so")),
)
for soname in ("libnvcuvid.so.1", "libcuda.so", "libnvidia-ml.so.1"):
    row("driver-needed", f"{soname} needed to be loaded", _pair(_needing, soname, "libm.so.6"), WARNING)
row("cpu-level", "a level of fifteen years ago", _pair(lambda isa: wheel({"ops/_C.so": library(isa=isa)}), 2, 1))


def _on_arm(version: str) -> WheelFile:
    imports = {"memcpy": ("libc.so.6", version)}
    return wheel({"ops/_C.so": library(machine="aarch64", imports=imports)}, tag=ARM)


row("platform-tag", "a newer glibc on arm machines", _pair(_on_arm, "GLIBC_2.34", "GLIBC_2.17"))
row(
    "platform-tag",
    "a machine by its name on debian",
    lambda: (wheel(tag=TAG.replace("x86_64", "amd64")), wheel()),
)
row(
    "platform-not-checked",
    "a glibc that is not yet",
    lambda: (wheel(tag=TAG.replace("2_17", "2_99")), wheel()),
    NOTE,
)
ELF_32 = b"\x7fELF\1\1\1" + bytes(9) + struct.pack("<HHI", 3, 3, 1) + bytes(28)
row("unreadable", "a library of 32 bits", _beside("ops/libk.so", ELF_32))
BIG_ENDIAN = library()[:5] + b"\2" + library()[6:]
row("unreadable", "a library whose bytes are turned", _beside("ops/libk.so", BIG_ENDIAN))
row(
    "executable-stack",
    "a program with a stack that may run",
    _pair(
        lambda stack: wheel({"ops/bin/tool": library(exports=(), executable_stack=stack)}),
        True,  # noqa: FBT003
        False,  # noqa: FBT003
    ),
)

# Modules --------------------------------------------------------------------------------------------------------------

GNU = "x86_64-linux-gnu.so"
OWN = f"_C.cpython-311-{GNU}"
row("extension-suffix", "a module for pypy", _pair(module, f"_C.pypy310-pp73-{GNU}", OWN))
row("extension-suffix", "a module for a python with a debugger", _pair(module, f"_C.cpython-311d-{GNU}", OWN))
row("extension-entry-point", "an entry point in other letters", lambda: (module("_C.so", entry="_c"), module("_C.so")))
NO_ABI = f"cp311-none-{PLATFORM}"
row(
    "extension-entry-point",
    "a renamed module under a tag without an abi",
    lambda: (module("_D.so", tag=NO_ABI), module("_C.so", tag=NO_ABI)),
)
row(
    "python-api",
    "a symbol of a later python under a tag without an abi",
    lambda: (
        module("_C.so", "PyErr_GetRaisedException", tag=NO_ABI),
        module("_C.so", "PyErr_GetHandledException", tag=NO_ABI),
    ),
)
TWO = f"cp311.cp312-cp311.cp312-{PLATFORM}"
row(
    "python-api",
    "a symbol that one python of two has",
    lambda: (module("_C.so", "PyErr_GetRaisedException", tag=TWO), module("_C.so", "PyErr_Fetch", tag=TWO)),
)


def _for_python(minor: int) -> WheelFile:
    return module("_C.so", "PyModule_AddObjectRef", tag=f"cp3{minor}-cp3{minor}-{PLATFORM}")


def _helper(*exports: str) -> WheelFile:
    made = library(exports=exports, soname="libk.so")
    return wheel({"ops/_C.so": None, "ops/libk.so": made}, tag=f"py3-none-{PLATFORM}")


row(
    "module-entry-point",
    "an entry point in a library under another name",
    lambda: (_helper("launch", "PyInit_k"), _helper("launch", "PyInit")),
)
row("python-api", "a symbol that came with the next python", _pair(_for_python, 9, 10))
row(
    "requires-python-tag",
    "the minor of the tag is excluded",
    lambda: (
        wheel(fields=("Requires-Python: >=3.9,!=3.11.*",)),
        wheel(fields=("Requires-Python: >=3.9,!=3.10.*",)),
    ),
)
row(
    "libpython-needed",
    "the libpython of a debugger",
    lambda: (module("_C.so", needed=("libc.so.6", "libpython3.11d.so.1.0")), module("_C.so")),
)
for name, data in {
    "bytecode under the name of a module": b"\x6f\x0d\x0d\x0a" + bytes(99),
    "an archive under the name of a module": b"PK\3\4" + bytes(99),
    "a library of macos under the name of a module": b"\xcf\xfa\xed\xfe" + bytes(99),
    "a page of a server under the name of a module": b"<!DOCTYPE html>",
}.items():
    row("extension-content", name, _beside(f"ops/_D.cpython-311-{GNU}", data))

# Torch ----------------------------------------------------------------------------------------------------------------


def _of_torch(*requires: str, symbol: str = EVERY_TORCH) -> WheelFile:
    made = library(imports={**LIBC, symbol: None}, needed=("libtorch.so", "libc.so.6"))
    return wheel({"ops/_C.so": made}, requires=requires)


row(
    "torch-requirement",
    "a torch for other pythons alone",
    lambda: (
        _of_torch("torch==2.13.*; python_version < '3.10'"),
        _of_torch("torch==2.13.*; python_version >= '3.10'"),
    ),
)
row(
    "torch-unstable-abi",
    "two minors around one that is excluded",
    lambda: (_of_torch("torch>=2.12,!=2.13.*,<2.15"), _of_torch("torch>=2.12,!=2.13.*,<2.14")),
)
row("torch-unstable-abi", "any torch of a major", lambda: (_of_torch("torch==2.*"), _of_torch("torch==2.13.*")))
