"""The fake CUDA runtimes: `libcudart.so.N` for torch, and what takes the place of one that is linked into a library.

nvcc links NVIDIA's runtime into a library, as code without names, and that runtime works with NVIDIA's driver alone. A
library for the loader's auditing interface finds it by `data/static_runtimes.toml` and leads each of its functions to a
fake one, in memory, before anything of it runs. So the file is tested that is shipped.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._toml import own_table
from gpuwheel.binary.elf import Elf
from gpuwheel.testing.native_code import compile_c, compile_objects
from gpuwheel.testing.stubs import version_script

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.testing.stubs import Stub

__all__ = [
    "AUDIT_LIBRARY",
    "StaticRuntime",
    "build_fake_runtime",
    "build_linked_in",
    "nvidia_names",
    "static_runtimes",
    "torch_names",
]

AUDIT_LIBRARY = "libgpuwheel-audit.so"
"""What `LD_AUDIT` has to name (rtld-audit(7))."""

_SOURCES = (
    "cudart.c",
    "kernels.c",
    "runtime_errors.c",
    "runtime_memory.c",
    "runtime_rest.c",
    "runtime_streams.c",
    "runtime_variables.c",
)
_MACHINE = "x86_64"
"""Jumps are written in its machine code, and the table is of its archives."""
_PER_THREAD = ("_ptsz", "_ptds")
"""What `--default-stream per-thread` calls. Where no stream is recorded it is the same function: all run at once."""


@dataclass(frozen=True)
class StaticRuntime:
    """A row of the table: the machine code of one or more `libcudart_static.a`."""

    version: str
    """Of the first release that has it, "13.0.48"."""
    wheels: tuple[str, ...]
    size: int
    at: int
    """Where `run` is."""
    run: bytes
    heads: int
    entries: Mapping[str, tuple[int, int]]
    """Function -> its place in the code, and how many of its first bytes no linker changes."""

    @property
    def major(self) -> int:
        """Of CUDA."""
        return int(self.version.partition(".")[0])


def static_runtimes() -> tuple[StaticRuntime, ...]:
    """The table `data/static_runtimes.toml`."""
    table = own_table("static_runtimes.toml")
    return tuple(_row(version, row, table["names"].split()) for version, row in table["release"].items())


def _row(version: str, row: Mapping[str, Any], names: Sequence[str]) -> StaticRuntime:
    entries = {}
    for name, word in zip(names, row["entries"].split(), strict=True):
        if word != "-":
            place, _, head = word.partition(".")
            entries[name] = (int(place, 16), int(head))
    return StaticRuntime(
        version=version,
        wheels=tuple(row["wheels"]),
        size=row["size"],
        at=row["at"],
        run=bytes.fromhex(row["bytes"]),
        heads=int(row["heads"], 16),
        entries=entries,
    )


def build_fake_runtime(stub: Stub, major: int, of_torch: frozenset[str], folder: Path, compiler: str) -> None:
    """`libcudart.so.N`, with every name that NVIDIA's has or somebody links against.

    What the fake lacks succeeds where torch asks for it, `of_torch`: it does so on its way to what tests are about. For
    others it is an error.
    """
    objects = _compile(folder, compiler, f"-DCUDART_MAJOR={major}")
    defined = set(_defined(objects))
    known = {name for row in static_runtimes() if row.major == major for name in row.entries}
    others = (stub.every | known) - defined
    # torch does not load unless every name that it links against is there, called or not.
    text = "".join(f"long {name}(void) {{ return 0; }}\n" for name in sorted(others & of_torch))
    text += _missing(others - of_torch)
    names: dict[str | None, frozenset[str]] = {stub.soname: frozenset(defined | others)}
    _link(folder / stub.soname, objects, text, version_script(names), compiler)


def build_linked_in(folder: Path, compiler: str) -> None:
    """What libraries with a runtime of their own need, where this machine is one that can have it; else nothing."""
    if platform.machine() != _MACHINE:
        return
    rows = static_runtimes()
    targets = {}
    for major in sorted({row.major for row in rows}):
        names = set().union(*(row.entries for row in rows if row.major == major))
        targets[major] = _build_replacement(major, names, folder, compiler)
    header, script = folder / "entries.h", folder / "audit.map"
    header.write_text(_entries(rows, targets) + _owners())
    script.write_text("{ global: la_version; la_objopen; local: *; };\n")
    linked = [f"-I{folder}", f"-Wl,--version-script={script}", f"-Wl,-soname,{AUDIT_LIBRARY}"]
    compile_c(compiler, [resource("testing", "native", "audit.c")], folder / AUDIT_LIBRARY, linked)
    header.unlink()
    script.unlink()


def _replacement(major: int) -> str:
    return f"libgpuwheel-cudart-{major}.so"


def _build_replacement(major: int, names: Iterable[str], folder: Path, compiler: str) -> Mapping[str, int]:
    """The fake runtime of a major version that nobody is linked to; function -> its address in it."""
    objects = _compile(folder, compiler, f"-DCUDART_MAJOR={major}", "-DLINKED_IN")
    defined = set(_defined(objects))
    same = {name: name[: -len(_PER_THREAD[0])] for name in names if name not in defined and name.endswith(_PER_THREAD)}
    text = _missing({same.get(name, name) for name in names} - defined)
    library = folder / _replacement(major)
    # It exports nothing: a library that is linked to a real libcudart must not find these first.
    _link(library, objects, text, "{ local: *; };\n", compiler)
    addresses = {symbol.name: symbol.value for symbol in Elf(library.read_bytes()).symbols(".symtab")}
    return {name: addresses[same.get(name, name)] for name in names}


def _compile(folder: Path, compiler: str, *options: str) -> list[Path]:
    source = resource("testing", "native")
    options = ("-fvisibility=hidden", f"-DTORCH_LIBRARIES={_strings(torch_names())}", *options)
    return compile_objects(compiler, [source / name for name in _SOURCES], folder, options)


def _missing(names: Iterable[str]) -> str:
    """Functions of NVIDIA's runtime that the fake has not."""
    functions = (f'int {name}(void) {{ return runtime_missing("{name}"); }}\n' for name in sorted(names))
    return "int runtime_missing(const char*);\n" + "".join(functions)


def _defined(objects: Iterable[Path]) -> Iterable[str]:
    for path in objects:
        for symbol in Elf(path.read_bytes()).symbols(".symtab"):
            if not (symbol.local or symbol.weak or symbol.undefined) and symbol.name.startswith(("cuda", "__cuda")):
                yield symbol.name


def _link(library: Path, objects: Sequence[Path], more: str, script: str, compiler: str) -> None:
    """Link `objects` and the C source `more`, and remove them."""
    extra, versions = library.with_suffix(".more.c"), library.with_suffix(".map")
    extra.write_text(more)
    versions.write_text(script)
    driver = library.with_name("libcuda.so.1")
    # $ORIGIN: the fake runtime finds the fake driver beside it. -w: declarations made of names alone contradict what
    # compilers know of some.
    options = ["-w", f"-Wl,-soname,{library.name}", f"-Wl,--version-script={versions}", "-Wl,-rpath,$ORIGIN"]
    compile_c(compiler, [*objects, extra, driver], library, [*options, "-lpthread", "-ldl"])
    for intermediate in (*objects, extra, versions):
        intermediate.unlink()


def torch_names() -> tuple[str, ...]:
    """The file names of torch's libraries that may hold kernels: the others, as libshm.so, may be anybody's."""
    names = own_table("providers.toml")["distributions"]["torch"].split()
    return tuple(name for name in names if name.startswith(("libtorch", "libc10")))


def nvidia_names() -> tuple[str, ...]:
    """The names of NVIDIA's libraries up to `.so`, of those that have a version behind it."""
    table = own_table("providers.toml")
    brought = (row for name, row in table["distributions"].items() if name.startswith(("nvidia-", "cutensor-")))
    sonames = " ".join([table["driver"], *brought]).split()
    return tuple(sorted({name.partition(".so.")[0] for name in sonames if ".so." in name}))


def _owners() -> str:
    """The names of libraries whose launches are no business of a test, as audit.c includes them."""
    lists = {"of_nvidia": nvidia_names(), "of_torch": torch_names()}
    return "".join(f"static const char* const {name}[] = {{{_strings(it)}}};\n" for name, it in lists.items())


def _strings(names: Iterable[str]) -> str:
    return ",".join(f'"{name}"' for name in names)


def _entries(rows: Sequence[StaticRuntime], targets: Mapping[int, Mapping[str, int]]) -> str:
    """The table as audit.c includes it."""
    majors = sorted(targets)
    libraries = ", ".join(f'{{"{_replacement(major)}", 0}}' for major in majors)
    lines = [f"static struct {{ const char* name; uintptr_t base; }} runtimes[] = {{{libraries}}};"]
    table = []
    for number, row in enumerate(rows):
        target = targets[row.major]
        entries = ",".join(f"{{{place},{target[name]},{head}}}" for name, (place, head) in sorted(row.entries.items()))
        lines.append(f"static const Entry entries_{number}[] = {{{entries}}};")
        run = "".join(f"\\x{byte:02x}" for byte in row.run)
        table.append(
            f'{{"{row.version}", {majors.index(row.major)}, {row.size}, {row.at}, {len(row.run)}, '
            f'(const unsigned char*)"{run}", {row.heads}u, entries_{number}, {len(row.entries)}}}'
        )
    lines.append(f"static const Release releases[] = {{{', '.join(table)}}};")
    return "\n".join(lines) + "\n"
