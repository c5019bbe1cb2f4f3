"""Laws: what holds for any valid table, whatever its values. Checked whenever the tables are loaded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from gpuwheel.compatibility.platforms import glibc_of
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpuwheel.compatibility.rows import Tables

__all__ = ["LAWS", "check_laws"]

_SHA256_DIGITS = 64


def versions_ascend(tables: Tables) -> Iterator[str]:
    """Tables are in order, so that "the newest" and "oldest first" mean what they say."""
    for name, versions in (("cuda.toml", tables.cuda), ("torch.toml", tables.torch), ("devices", tables.devices)):
        if list(versions) != sorted(versions):
            yield f"{name} is out of order ({', '.join(map(str, versions))}, expected ascending)"


def toolkits_say_what_they_drop(tables: Tables) -> Iterator[str]:
    """A toolkit's plain targets shrink only by what its row names, and only where its major changes."""
    for older, newer in pairwise(tables.cuda.values()):
        gone = {arch for arch in older.archs if not arch.suffix} - set(newer.archs)
        if gone != set(newer.dropped):
            yield f"cuda {newer.version} drops {_names(gone)} (its row says {_names(newer.dropped)})"
        # NVIDIA drops architectures with a new major alone: a row that says otherwise was read wrongly.
        if gone and older.version.major == newer.version.major:
            yield f"cuda {newer.version} drops {_names(gone)} (within major {newer.version.major}, expected none)"


def torch_says_what_it_drops(tables: Tables) -> Iterator[str]:
    """A torch's targets shrink only by what its row names."""
    for older, newer in pairwise(tables.torch.values()):
        gone = set(older.archs) - set(newer.archs)
        if gone != set(newer.dropped):
            yield f"torch {newer.version} drops {_names(gone)} (its row says {_names(newer.dropped)})"


def toolkits_do_not_regress(tables: Tables) -> Iterator[str]:
    """PTX ISA, drivers and host compilers never go down with a newer toolkit."""
    for older, newer in pairwise(tables.cuda.values()):
        for name, before, after in (
            ("PTX ISA", older.ptx_isa, newer.ptx_isa),
            ("driver floor", older.driver_floor, newer.driver_floor),
            ("gcc", older.gcc_max, newer.gcc_max),
            ("clang", older.clang_max, newer.clang_max),
        ):
            if after < before:  # type: ignore[operator]  # both of one type, row by row
                yield f"cuda {newer.version} has an older {name} than {older.version} ({after}, expected {before})"
    drivers = [toolkit.driver for toolkit in tables.cuda.values() if toolkit.driver]
    if drivers != sorted(drivers):
        yield f"cuda.toml has drivers that go down ({', '.join(map(str, drivers))}, expected ascending)"


def toolkits_are_usable(tables: Tables) -> Iterator[str]:
    """A driver floor is not above the toolkit's own driver; host compiler ranges and arch lists are not empty."""
    for version, toolkit in tables.cuda.items():
        if toolkit.driver and toolkit.driver < toolkit.driver_floor:
            yield f"cuda {version} needs a newer driver than its own ({toolkit.driver_floor}, has {toolkit.driver})"
        if int(toolkit.clang_min.split(".")[0]) > toolkit.clang_max or toolkit.gcc_max < 1 or not toolkit.archs:
            yield f"cuda {version} compiles nothing (gcc <= {toolkit.gcc_max}, clang <= {toolkit.clang_max})"
        plain = {(arch.major, arch.minor) for arch in toolkit.archs if not arch.suffix}
        orphans = [arch for arch in toolkit.archs if (arch.major, arch.minor) not in plain]
        if orphans:
            yield f"cuda {version} has variants of unknown targets ({_names(orphans)}, expected plain ones too)"
        odd = set(toolkit.nvrtc_deprecated or ()) - set(toolkit.archs)
        if odd:
            yield f"cuda {version} warns about targets that it does not know ({_names(odd)})"
        odd = set(toolkit.cutile_archs) - set(toolkit.archs)
        if odd or bool(toolkit.cutile) != bool(toolkit.cutile_archs):
            yield f"cuda {version} has cuTile without targets, or for targets that it does not know ({_names(odd)})"


def devices_are_compiled_for(tables: Tables) -> Iterator[str]:
    """Devices are exactly the plain targets of all toolkits, by their newest number."""
    targets = {arch for toolkit in tables.cuda.values() for arch in toolkit.archs if not arch.suffix}
    expected = targets - set(tables.renamed)
    if expected != set(tables.devices):
        yield f"devices differ from the toolkits' targets ({_names(expected ^ set(tables.devices))})"


def torch_rows_name_known_things(tables: Tables) -> Iterator[str]:
    """Every torch names a CUDA toolkit that exists and knows its targets; the floor and every shim name a torch.
    Headers that say how it was built are from wheels for their machine.
    """
    for version, build in tables.torch.items():
        toolkit = tables.cuda.get(build.cuda)
        if toolkit is None:
            yield f"torch {version} names an unknown toolkit ({build.cuda})"
        elif not set(build.archs) <= set(toolkit.archs):
            yield f"torch {version} has targets that cuda {build.cuda} does not know ({_names(build.archs)})"
        if not build.release.startswith(f"{version}."):
            yield f"torch {version} has another release ({build.release}, expected {version}.x)"
        for machine, pin in build.headers.items():
            strangers = [file.filename for file in pin.files if not file.filename.endswith(f"_{machine}.whl")]
            if strangers:
                yield f"torch {version} has headers of another machine ({strangers[0]}, expected {machine})"
    if tables.torch_floor not in tables.torch:
        yield f"torch.toml lacks the floor of the stable ABI ({tables.torch_floor})"
    unknown = {shim.since for shim in tables.shims.values()} - set(tables.torch)
    if unknown:
        yield f"torch_shims.toml names unknown versions ({', '.join(map(str, sorted(unknown)))})"


def pins_fit_every_python(tables: Tables) -> Iterator[str]:
    """Every pin has a Linux x86_64 file for each Python of each supported torch, free-threaded builds aside.

    cuTile is apart: cuda-tile may know a new Python later than torch does, and builds that use it say so.
    """
    pythons = {
        python
        for version, build in tables.torch.items()
        if version >= tables.torch_floor
        for python in build.pythons
        if not python.endswith("t")
    }
    for toolkit in tables.cuda.values():
        for pin in (*toolkit.components, *toolkit.nvcc):
            tags = {tag for file in pin.files for tag in file.tags if tag.platform.endswith(("x86_64", "any"))}
            abis = {(tag.interpreter, tag.abi) for tag in tags}
            # A pin without a file for a Python would fail there, in a resolver, with a message about somebody else.
            for python in sorted(pythons):
                number = f"cp{python.replace('.', '')}"
                if not abis & {(number, number), ("py3", "none")}:
                    yield f"{pin.requirement} has no file for Python {python} on Linux x86_64"


def nvcc_links_for_every_machine(tables: Tables) -> Iterator[str]:
    """What nvcc links into extensions is there for every CPU architecture that wheels are made for."""
    machines = sorted({policy.machine for policy in tables.platforms})
    for version, toolkit in tables.cuda.items():
        linked = [pin for pin in toolkit.nvcc if pin.linked]
        if toolkit.nvcc and not linked:
            yield f"nvcc of cuda {version} links nothing (expected the CUDA runtime)"
        for pin in linked:
            lacking = [machine for machine in machines if pin.file_on(machine) is None]
            if lacking:
                yield f"{pin.requirement} has no file for {' and '.join(lacking)}"


def files_have_digests(tables: Tables) -> Iterator[str]:
    """Every pinned file has a sha256 and a size, and its name says the pinned version."""
    headers = [
        tables.torch_sdk,
        *(pin for toolkit in tables.cuda.values() for pin in (*toolkit.headers, *toolkit.libraries)),
        *(pin for build in tables.torch.values() for pin in build.headers.values()),
    ]
    wheels = (pin for toolkit in tables.cuda.values() for pin in (*toolkit.components, *toolkit.nvcc, *toolkit.cutile))
    for pin in (*wheels, *headers):
        for file in pin.files:
            if f"-{pin.version}-" not in file.filename:
                yield f"{file.filename} is not of version {pin.version}"
            if file.size < 1 or not _is_sha256(file.sha256):
                yield f"{file.filename} lacks a digest or a size ({file.sha256}, {file.size})"
    for pin in headers:
        if not _is_sha256(pin.digest) or pin.file_count < 1 or not pin.files:
            yield f"the headers of {pin.requirement} lack a digest or files ({pin.digest})"


def policies_are_nested(tables: Tables) -> Iterator[str]:
    """A newer platform allows everything that an older one of the same machine allows (PEP 600)."""
    for older, newer in pairwise(tables.platforms):
        if older.machine != newer.machine:
            continue
        if glibc_of(older.name) >= glibc_of(newer.name):
            yield f"platforms.toml is out of order ({older.tag} before {newer.tag})"
        lost = sorted((older.libraries - newer.libraries) | (older.also - newer.also))
        lost += [name for name, version in older.newest.items() if newer.newest.get(name, ()) < version]
        if lost:
            yield f"{newer.tag} allows less than {older.tag} ({', '.join(lost)})"


def compression_is_graded(tables: Tables) -> Iterator[str]:
    """Newer drivers come later, and the oldest row serves the oldest driver floor of any toolkit."""
    drivers = [row.driver for row in tables.compression]
    if not drivers or drivers != sorted(drivers):
        yield f"compression is out of order ({', '.join(map(str, drivers))})"
    elif drivers[0] > min(toolkit.driver_floor for toolkit in tables.cuda.values()):
        yield f"compression has nothing for the oldest drivers (starts at {drivers[0]})"


def cubin_formats_name_toolkits(tables: Tables) -> Iterator[str]:
    """The toolkit of each format of cubins has a row, and compiles for a GPU of which the format tells it."""
    for row in tables.cubins:
        toolkit = tables.cuda.get(row.toolkit)
        if toolkit is None or not any(arch < row.below for arch in toolkit.archs):
            yield f"cubins of format {row.version} name CUDA {row.toolkit}, which tells nothing below {row.below}"


LAWS: tuple[Callable[[Tables], Iterator[str]], ...] = (
    versions_ascend,
    toolkits_say_what_they_drop,
    torch_says_what_it_drops,
    toolkits_do_not_regress,
    toolkits_are_usable,
    devices_are_compiled_for,
    torch_rows_name_known_things,
    pins_fit_every_python,
    nvcc_links_for_every_machine,
    files_have_digests,
    policies_are_nested,
    compression_is_graded,
    cubin_formats_name_toolkits,
)


def check_laws(tables: Tables) -> None:
    """Hold `tables` against every law.

    Raises:
        DataError: One is broken; `detail` lists every breach.
    """
    # At each load, and not in tests alone: tables are edited by people and scripts.
    breaches = [breach for law in LAWS for breach in law(tables)]
    if breaches:
        raise DataError(breaches[0], hint="reinstall gpuwheel", detail="\n".join(breaches))


def _is_sha256(text: str) -> bool:
    return len(text) == _SHA256_DIGITS and set(text) <= set("0123456789abcdef")


def _names(items: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, items))) or "none"
