"""`load_tables`: the files of `gpuwheel/data` as typed rows, with their laws checked."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar

from gpuwheel.compatibility.laws import check_laws
from gpuwheel.compatibility.parsing import Reader, read_table
from gpuwheel.compatibility.platforms import glibc_of, version_numbers
from gpuwheel.compatibility.rows import Compression, CubinFormat, CudaToolkit, PlatformPolicy, Shim, Tables, TorchBuild
from gpuwheel.model.archs import Arch
from gpuwheel.model.pins import HeadersPin, LibraryPin, NvccPin, Pin, PinnedFile
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["load_tables"]

P = TypeVar("P", bound=Pin)


@cache
def load_tables() -> Tables:
    """Everything gpuwheel knows about the world.

    Raises:
        DataError: A file is damaged or breaks a law.
    """
    cuda = _cuda_file(_pins_file())
    torch = _torch_file()
    tables = Tables(
        cuda=cuda.toolkits,
        devices=cuda.devices,
        renamed=cuda.renamed,
        rules=cuda.rules,
        compression=cuda.compression,
        cubins=cuda.cubins,
        torch=torch.builds,
        torch_floor=torch.floor,
        torch_sdk=torch.sdk,
        shims=_shims_file(),
        platforms=_platforms_file(),
    )
    check_laws(tables)
    return tables


class _Cuda(NamedTuple):
    toolkits: Mapping[MinorVersion, CudaToolkit]
    devices: Mapping[Arch, str]
    renamed: Mapping[Arch, Arch]
    rules: Mapping[str, str]
    compression: tuple[Compression, ...]
    cubins: tuple[CubinFormat, ...]


class _Pins(NamedTuple):
    components: Mapping[MinorVersion, tuple[Pin, ...]]
    headers: Mapping[MinorVersion, tuple[HeadersPin, ...]]
    nvcc: Mapping[MinorVersion, tuple[NvccPin, ...]]
    cutile: Mapping[MinorVersion, tuple[Pin, ...]]
    libraries: Mapping[MinorVersion, tuple[LibraryPin, ...]]


class _Torch(NamedTuple):
    builds: Mapping[MinorVersion, TorchBuild]
    floor: MinorVersion
    sdk: HeadersPin


def _pins_file() -> _Pins:
    with read_table("pins.toml") as file:
        file.text("source")
        return _Pins(
            _by_toolkit(file, "toolkits", _pin),
            _by_toolkit(file, "headers", _headers),
            _by_toolkit(file, "nvcc", _nvcc_pin),
            _by_toolkit(file, "cutile", _pin),
            _by_toolkit(file, "libraries", _library),
        )


def _by_toolkit(file: Reader, key: str, read: Callable[[str, Reader], P]) -> dict[MinorVersion, tuple[P, ...]]:
    pins = {}
    for version, rows in file.named_tables(key, MinorVersion.parse):
        with rows:
            pins[version] = tuple(read(name, rows.table(name)) for name in rows.names())
    return pins


def _pin(name: str, reader: Reader) -> Pin:
    with reader as row:
        return Pin(name, row.text("version"), _files(row))


def _nvcc_pin(name: str, reader: Reader) -> NvccPin:
    with reader as row:
        linked = row.has("linked") and row.truth("linked")
        return NvccPin(name, row.text("version"), _files(row), linked)


def _files(row: Reader) -> tuple[PinnedFile, ...]:
    files = []
    for reader in row.tables("files"):
        with reader as file:
            files.append(PinnedFile(file.text("filename"), file.text("sha256"), file.integer("size")))
    return tuple(files)


def _headers(name: str, reader: Reader) -> HeadersPin:
    with reader as row:
        return HeadersPin(name=name, **_cut(row))


def _library(name: str, reader: Reader) -> LibraryPin:
    with reader as row:
        return LibraryPin(name=name, **_cut(row), sonames=tuple(row.table("sonames").strings().items()))


class _Cut(TypedDict):
    version: str
    files: tuple[PinnedFile, ...]
    prefix: str
    roots: tuple[str, ...]
    digest: str
    file_count: int
    required_by: tuple[str, ...]


def _cut(row: Reader) -> _Cut:
    return {
        "version": row.text("version"),
        "files": _files(row),
        "prefix": row.text("prefix"),
        "roots": row.texts("roots"),
        "digest": row.text("digest"),
        "file_count": row.integer("file-count"),
        "required_by": row.texts("required-by") if row.has("required-by") else (),
    }


def _cuda_file(pins: _Pins) -> _Cuda:
    with read_table("cuda.toml") as file:
        sources = file.table("sources").strings()
        file.require_sources(sources, "compression", "cubins", "devices", "renamed")
        toolkits = {
            version: _toolkit(version, row, sources, pins)
            for version, row in file.named_tables("toolkits", MinorVersion.parse)
        }
        # A pin without its row would never be found, and nobody would miss it.
        pinned = {**pins.components, **pins.headers, **pins.nvcc, **pins.cutile, **pins.libraries}
        unknown = [str(version) for version in pinned if version not in toolkits]
        if unknown:
            file.fail(f"lacks a toolkit that pins.toml pins ({', '.join(unknown)}, expected a row)")
        return _Cuda(
            toolkits,
            file.table("devices").mapping(Arch.parse, str),
            file.table("renamed").mapping(Arch.parse, Arch.parse),
            file.table("rules").strings(),
            tuple(_compression(row) for row in file.tables("compression")),
            tuple(_cubin_format(row) for row in file.tables("cubins")),
        )


def _toolkit(version: MinorVersion, reader: Reader, sources: Mapping[str, str], pins: _Pins) -> CudaToolkit:
    with reader as row:
        measured = row.text("measured")
        plain = row.words("archs", Arch.parse)
        specific = row.words("arch-specific", lambda text: Arch.parse(f"{text}a"))
        family = row.words("family-specific", lambda text: Arch.parse(f"{text}f"))
        return CudaToolkit(
            version=version,
            archs=tuple(sorted((*plain, *specific, *family))),
            dropped=row.words("dropped", Arch.parse),
            ptx_isa=row.parsed("ptx-isa", MinorVersion.parse),
            driver=row.parsed("driver", DriverVersion.parse) if row.has("driver") else None,
            driver_floor=row.parsed("driver-floor", DriverVersion.parse),
            gcc_max=row.integer("gcc-max"),
            clang_min=row.text("clang-min"),
            clang_max=row.integer("clang-max"),
            nvrtc_deprecated=row.words("nvrtc-deprecated", Arch.parse) if row.has("nvrtc-deprecated") else None,
            has_nvcc=row.truth("has-nvcc"),
            requirement=row.text("toolkit"),
            components=pins.components.get(version, ()),
            headers=pins.headers.get(version, ()),
            nvcc=pins.nvcc.get(version, ()),
            cutile=pins.cutile.get(version, ()),
            cutile_archs=row.words("cutile-archs", Arch.parse),
            libraries=pins.libraries.get(version, ()),
            # Each row was measured with an nvcc of its own: the shared text of a source names it by this word.
            sources={key: text.replace("{nvcc}", measured) for key, text in row.sources(sources).items()},
        )


def _compression(reader: Reader) -> Compression:
    with reader as row:
        return Compression(
            driver=row.parsed("driver", DriverVersion.parse),
            options=row.texts("options"),
            codec=row.text("codec"),
            nvcc_options=row.texts("nvcc"),
            nvcc_since=row.parsed("nvcc-since", MinorVersion.parse),
        )


def _cubin_format(reader: Reader) -> CubinFormat:
    with reader as row:
        return CubinFormat(
            version=row.parsed("format", MinorVersion.parse),
            below=row.parsed("below", Arch.parse),
            toolkit=row.parsed("toolkit", MinorVersion.parse),
        )


def _torch_file() -> _Torch:
    with read_table("torch.toml") as file:
        sources = file.table("sources").strings()
        file.require_sources(sources, "sdk", "headers", "stable-abi-floor")
        classic = _classic_headers(file)
        builds = {
            version: _build(version, row, sources, classic.get(version, {}))
            for version, row in file.named_tables("versions", MinorVersion.parse)
        }
        return _Torch(builds, file.parsed("stable-abi-floor", MinorVersion.parse), _headers("torch", file.table("sdk")))


def _classic_headers(file: Reader) -> dict[MinorVersion, dict[str, HeadersPin]]:
    """By minor and CPU architecture."""
    classic: dict[MinorVersion, dict[str, HeadersPin]] = {}
    for machine, rows in file.named_tables("headers", str):
        with rows:
            for name in rows.names():
                classic.setdefault(MinorVersion.parse(name), {})[machine] = _headers("torch", rows.table(name))
    return classic


def _build(
    version: MinorVersion, reader: Reader, sources: Mapping[str, str], headers: Mapping[str, HeadersPin]
) -> TorchBuild:
    with reader as row:
        return TorchBuild(
            version=version,
            release=row.text("release"),
            cuda=row.parsed("cuda", MinorVersion.parse),
            pythons=row.words("pythons", str),
            requires_python=row.text("requires-python"),
            platforms=row.words("platforms", str),
            archs=row.words("archs", Arch.parse),
            dropped=row.words("dropped", Arch.parse),
            cxx_standard=row.integer("cxx-standard"),
            cxx11_abi=row.truth("cxx11-abi"),
            stable_abi=row.text("stable-abi"),
            requires=row.texts("requires"),
            headers=headers,
            sources=row.sources(sources),
        )


def _shims_file() -> dict[str, Shim]:
    shims = {}
    with read_table("torch_shims.toml") as file:
        file.text("source")
        for since, libraries in file.named_tables("since", MinorVersion.parse):
            with libraries:
                for library in libraries.names():
                    shims.update({name: Shim(name, since, library) for name in libraries.text(library).split()})
    return shims


def _platforms_file() -> tuple[PlatformPolicy, ...]:
    with read_table("platforms.toml") as file:
        file.text("source")
        aliases = file.table("aliases").strings()
        # What a platform has, each later one has too (PEP 600): the table only says what is new.
        libraries = file.table("libraries").mapping(glibc_of, _words)
        return tuple(
            _policy(machine, name, versions, aliases, libraries)
            for machine, table in file.named_tables("policies", str)
            for name, versions in table.mapping(str, _versions).items()
        )


class _Versions(NamedTuple):
    newest: Mapping[str, tuple[int, ...]]
    also: frozenset[str]


def _versions(text: str) -> _Versions:
    """From "GLIBC_2.28 CXXABI_1.3.11 CXXABI_TM_1"; a version without a number stands for itself."""
    numbered, also = {}, set()
    for version in text.split():
        namespace, _, number = version.partition("_")
        if number[:1].isdigit():
            numbered[namespace] = version_numbers(number)
        else:
            also.add(version)
    return _Versions(numbered, frozenset(also))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _policy(
    machine: str,
    name: str,
    versions: _Versions,
    aliases: Mapping[str, str],
    libraries: Mapping[tuple[int, int], frozenset[str]],
) -> PlatformPolicy:
    return PlatformPolicy(
        name=name,
        machine=machine,
        aliases=tuple(alias for alias, policy in aliases.items() if policy == name),
        newest=versions.newest,
        also=versions.also,
        libraries=frozenset().union(*(sonames for since, sonames in libraries.items() if since <= glibc_of(name))),
    )
