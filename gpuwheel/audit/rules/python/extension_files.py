"""Extension modules: their file names, against the wheel's tag, and their entry points against their file names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.python.pythons import entry_names, module_name, suffix_of, tagged
from gpuwheel.binary.elf import MAGIC
from gpuwheel.model.findings import Found, Part, Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.audit.rules.python.pythons import Suffix
    from gpuwheel.binary.elf import ElfFile

__all__ = ["EXTENSION_RULES"]

_SHOWN = 3
_LIBRARY = re.compile(r"\.so(?:\.\d+)*$")
_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHER_PYTHON = re.compile(r"\.(?:(?:pypy|graalpy)\d[\w-]*|cpython-\d+[a-su-z]+(?:-[\w-]+)?)\.so$")
"""Suffixes of Pythons that are none of a tag like cp311-cp311: PyPy, GraalPy, CPython for debugging."""
_SYSTEMS = {"linux-gnu": ("manylinux", "linux"), "linux-musl": ("musllinux", "linux")}


@rule(
    "extension-suffix",
    needs={Part.NAME, Part.LIBRARIES},
    why="`import` looks for files with the suffix of its own Python, and does not find this one",
    fix="build the module with each Python of the tag (its EXT_SUFFIX), or tag the wheel for the Python that built it",
    source="PEP 3149; importlib.machinery.EXTENSION_SUFFIXES of each Python",
)
def _suffix(case: WheelCase) -> Iterator[Found]:
    """The suffix of an extension module is for a Python, a machine or a system that the wheel is not for."""
    for library in case.wheel.libraries:
        suffix = suffix_of(library.name)
        wrong = _other_python(case, library) or (suffix is not None and _wrong_suffix(case, library, suffix))
        if wrong:
            # Who loads it by its path does not ask for the suffix (torch.ops.load_library).
            severity = Severity.ERROR if entry_names(library) else Severity.WARNING
            why = None if entry_names(library) else "`import` would not find it; who loads it by its path does"
            yield Found(library.name, wrong, why, severity=severity)


def _other_python(case: WheelCase, library: ElfFile) -> str | None:
    match, tag = _OTHER_PYTHON.search(library.name), case.wheel.tag
    if match is None or not tagged(tag) or match[0][1:].partition("-")[0] in tag.abi:
        return None
    if any(abi.endswith("d") for abi in tag.abi.split(".")):
        return None
    return (
        f"is for a Python that the wheel is not for (found {match[0]}, the tag is for {cut(tag.python)}-{cut(tag.abi)})"
    )


def _wrong_suffix(case: WheelCase, library: ElfFile, suffix: Suffix) -> str | None:
    tag = case.wheel.tag
    pythons, platforms = tagged(tag), tag.platform.split(".")
    found = f"found {suffix.text}"
    if suffix.machine is not None and suffix.machine != library.machine:
        return f"has the suffix of another machine than its code ({found}, expected {library.machine})"
    system = _SYSTEMS.get(suffix.system or "")
    if system is not None and not any(platform.startswith(system) for platform in platforms):
        return f"has the suffix of another C library than the tag ({found}, tag {cut(tag.platform)})"
    if suffix.python is None or not pythons or tag.abi == "none":
        return None
    told = f"{found}, the tag is for {', '.join(sorted(map(str, pythons)))}"
    if "abi3" in tag.abi.split("."):
        return f"is for one Python, in a wheel for that and later ones ({told} and later, expected .abi3.so)"
    if suffix.python not in pythons:
        return f"is for a Python that the wheel is not for ({told})"
    return None


@rule(
    "extension-entry-point",
    needs={Part.NAME, Part.LIBRARIES},
    why="`import` ends with ImportError: dynamic module does not define module export function",
    fix="name the file as its module is named in the code (PyInit_NAME), or the other way round",
    source="Python documentation, Extending: PyInit_NAME; PEP 489, Export Hook Name",
)
def _entry_point(case: WheelCase) -> Iterator[Found]:
    """An extension module has no entry point, or one of another name than its file."""
    if case.wheel.tag.abi == "none" and not tagged(case.wheel.tag):
        return  # which may hold no module: a rule of its own
    for library in case.wheel.libraries:
        names, name, suffix = entry_names(library), module_name(library), suffix_of(library.name)
        # Of a name beyond ASCII the entry point is in punycode, which is as good as none to compare.
        if not name.isascii() or name in names or not library.name.endswith(".so"):
            continue
        if suffix is None and name.startswith("lib"):
            continue  # for who loads it by its path, and asks for the modules in it by name
        if names:
            found = ", ".join(f"PyInit_{one}" for one in sorted(names)[:_SHOWN])
            problem = f"has no entry point of its file's name (found {cut(found)}, expected PyInit_{cut(name)})"
            yield Found(library.name, problem)
        elif suffix is not None and not _wrong_suffix(case, library, suffix):
            why = "`import` cannot load it; torch.ops.load_library and ctypes do not ask for an entry point"
            problem = f"has the suffix of a Python module and no entry point (expected PyInit_{cut(name)})"
            yield Found(library.name, problem, why, cause="no entry point", severity=Severity.NOTE)


@rule(
    "free-threading",
    needs={Part.NAME, Part.LIBRARIES},
    why="Pythons without the global lock do not look for .abi3.so: `import` does not find the module",
    fix="build with the free-threaded Python itself, and name the file with its suffix",
    source="PEP 703; Python documentation, C API Stability: free-threaded builds have no abi3 before PEP 803",
)
def _free_threading(case: WheelCase) -> Iterator[Found]:
    """A wheel for Pythons without the global lock holds modules of the stable ABI, or claims it."""
    tag = case.wheel.tag
    if not any(part.endswith("t") for part in tag.python.split(".") if part.startswith("cp")) and not (
        any(abi.startswith("cp") and abi.endswith("t") for abi in tag.abi.split("."))
    ):
        return
    if "abi3" in tag.abi.split("."):
        why = "no Python without the global lock takes abi3: installers find that the wheel fits none"
        yield Found(case.wheel.name, f"has a tag that no Python has (found {tag.python}-{tag.abi})", why)
        return
    if not all(python.threaded for python in tagged(tag)):
        return
    for library in case.wheel.libraries:
        suffix = suffix_of(library.name)
        if suffix is not None and suffix.text == ".abi3.so":
            yield Found(library.name, "is a module of the stable ABI in a free-threaded wheel (found .abi3.so)")


@rule(
    "libpython-needed",
    needs={Part.LIBRARIES},
    why="many Pythons have no libpython as a library, or another than they run: loading fails, or crashes",
    fix="link extension modules without libpython (no -lpython; Python's own symbols are in the process)",
    source="PEP 513, libpythonX.Y.so.1: extension modules must not link it",
    profile=Profile.ANY,  # in gpuwheel's own wheels any such library is a finding of `needed-library`
)
def _libpython(case: WheelCase) -> Iterator[Found]:
    """A library needs libpython."""
    for library in case.wheel.libraries:
        for needed in library.needed:
            if needed.startswith("libpython") and not library.program:
                yield Found(library.name, f"needs {cut(needed)} (expected no libpython)", facts={"soname": needed})


@rule(
    "extension-content",
    needs={Part.MEMBERS, Part.LIBRARIES},
    why="`import` ends with ImportError: file too short, or invalid ELF header",
    fix="build the wheel again from a checkout that has the file itself (git lfs pull), not an empty one or a pointer",
    source="dlopen(3); git-lfs, Specification: the pointer",
)
def _content(case: WheelCase) -> Iterator[Found]:
    """A file with the name of an extension module or of a library is empty, or holds something else."""
    libraries = {library.name for library in case.wheel.libraries}
    for name, member in case.wheel.members.items():
        if name in libraries or name in case.wheel.damaged or not _LIBRARY.search(name):
            continue
        if member.size == 0:
            found = "nothing"
        elif member.starts_with(_POINTER):
            found = "a pointer of git-lfs"
        elif suffix_of(name) is not None and not member.starts_with(MAGIC):
            found = "no ELF file"
        else:
            continue  # a linker's script may be called so
        yield Found(cut(name), f"is no library (found {found}, expected an ELF file)", facts={"found": found})


EXTENSION_RULES = (_content, _suffix, _entry_point, _free_threading, _libpython)
"""About a whole wheel (`WheelCase`)."""
