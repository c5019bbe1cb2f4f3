"""Everything that goes into pyproject.toml, and everything that does not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel.adopt.commands import command_leftovers
from gpuwheel.adopt.declared.cmake_files import CMAKE_FILE, cmake_project, with_targets
from gpuwheel.adopt.declared.failures import switches
from gpuwheel.adopt.extensions import AdoptedExtension, adopt_extension, cmake_extension
from gpuwheel.adopt.leftover import Leftover
from gpuwheel.adopt.project_table import ProjectTable, project_table
from gpuwheel.adopt.widest import widest
from gpuwheel.config.project.build_system import build_requirements
from gpuwheel.config.project.project_table import check_inner_settings
from gpuwheel.config.reading.defaults import defaults_for
from gpuwheel.config.reading.variables import parse_arch_list
from gpuwheel.errors import ConfigError
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.choices import Mode, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.adopt.declared.cmake_files import CMakeProject
    from gpuwheel.adopt.declared.recording import SetupRecord
    from gpuwheel.compatibility import Tables
    from gpuwheel.model.archs import Arch
    from gpuwheel.model.versions import MinorVersion

__all__ = ["Proposal", "default_toolkit", "fitting_torches", "propose"]

# What a build by setuptools asks for, and one by gpuwheel has no use for or brings.
_SETUPTOOLS = {"cmake", "ninja", "packaging", "pip", "setuptools", "torch", "wheel"}
_SHOWN = 3
_SCM = 'in [tool.scikit-build.metadata.version]: provider = "scikit_build_core.metadata.setuptools_scm"'
_ROCM = re.compile(r"torch\.version\.hip|ROCM_HOME|HIP_HOME|IS_HIP_EXTENSION|hipify")


@dataclass(frozen=True)
class Proposal:
    """What `pyproject.toml` is to say."""

    build_requires: tuple[str, ...]
    project: ProjectTable
    settings: Mapping[str, Any]
    """Keys of `[tool.gpuwheel]` that are no tables."""
    extensions: tuple[AdoptedExtension, ...]
    sources: Mapping[str, Mapping[str, Any]]
    """`[tool.gpuwheel.sources]`."""
    archs: Mapping[str, tuple[ArchTarget, ...]]
    """What setup.py names for extensions with device code; empty where it names none."""
    leftovers: tuple[Leftover, ...]


def default_toolkit() -> MinorVersion:
    """The CUDA toolkit of projects in mode `nvcc` that name none."""
    toolkits: Sequence[MinorVersion] = defaults_for(None, Mode.NVCC.value)["cuda",].value  # type: ignore[assignment]
    return toolkits[0]


def fitting_torches(
    tables: Tables, toolkit: MinorVersion, allowed: SpecifierSet | None = None
) -> tuple[MinorVersion, ...]:
    """The torch releases whose C++ headers gpuwheel pins and that were built with `toolkit`, newest first."""
    fitting = [
        version
        for version, build in tables.torch.items()
        if build.headers is not None
        and build.cuda == toolkit
        and (allowed is None or allowed.contains(build.release, prereleases=True))
    ]
    return tuple(sorted(fitting, reverse=True))


def propose(record: SetupRecord, pyproject: Mapping[str, Any], tables: Tables) -> Proposal:
    """What pyproject.toml is to say, by what setup.py said.

    Args:
        record: what setup.py said.
        pyproject: the document as it is now; empty if there is none.
        tables: what the world allows.

    Raises:
        ConfigError: there is no extension to build.
    """
    left: list[Leftover] = []
    record, cmake = _with_cmake(record)
    extensions = _extensions(record, cmake, left)
    # The keys `cmake` and `sources` exclude each other (config.laws): what setup.py compiles itself comes first.
    if cmake is not None and any(extension.sources for extension in extensions):
        cmake = None
    left += cmake.left if cmake else ()
    uses_torch = any(extension.interface.torch is not TorchAbi.NONE for extension in extensions)
    packages = list(dict.fromkeys(package for extension in extensions for package in extension.packages))
    project = project_table(record, pyproject, [found.import_path for found in extensions], uses_torch=uses_torch)
    if not record.refused and _allows_newest(project.torch, tables):
        extensions = widest(extensions, left)
    settings: dict[str, Any] = {"cmake": cmake.file} if cmake else {}
    cuda = {found.import_path: _archs_of(record, found) for found in extensions if found.cuda_sources}
    common = _known(_common_archs(cuda.values()), tables)
    if common:
        settings["archs"] = [str(target) for target in common]
    torch = _torch_range(record, extensions, project.torch, tables, left)
    if torch:
        settings["torch"] = torch
    if project.dependencies and uses_torch:
        settings["dependencies"] = list(project.dependencies)
    own = {
        source: {"archs": [str(target) for target in targets]}
        for extension in extensions
        for source in extension.cuda_sources
        if (targets := _known(cuda[extension.import_path], tables)) not in ((), common)
    }
    left += [*_unknown_archs(record, cuda.values(), tables), *_unknown_libraries(record, extensions, tables)]
    left += _inner_settings(pyproject)
    left += [*_build_requirements(record.root, pyproject, packages), *project.leftovers, *_deeds(record)]
    return Proposal(
        build_requires=("gpuwheel", *packages),
        project=project,
        settings=settings,
        extensions=tuple(_linked(extension, tables) for extension in extensions),
        sources=own,
        archs=cuda,
        # By line of the file, as somebody goes through it.
        leftovers=tuple(sorted(set(left), key=_order)),
    )


def _order(leftover: Leftover) -> tuple[str, int, str]:
    file, _, line = leftover.place.partition(":")
    return file, int(line or 0), leftover.what


def _with_cmake(record: SetupRecord) -> tuple[SetupRecord, CMakeProject | None]:
    """The `CMakeLists.txt` of a project that leaves its extensions to it, and the record with the extensions."""
    bare = [extension for extension in record.extensions if not extension.attributes.get("sources")]
    says = record.file == CMAKE_FILE or any("cmake" in line.lower() for line in record.lines)
    if not bare and (record.extensions or not says):
        return record, None
    project = cmake_project(record)
    return (with_targets(record, project) if project and not record.extensions else record), project


def _extensions(record: SetupRecord, cmake: CMakeProject | None, left: list[Leftover]) -> list[AdoptedExtension]:
    found: dict[str, AdoptedExtension] = {}
    for extension in record.extensions:
        bare = cmake is not None and not extension.attributes.get("sources")
        adopted, rest = (
            cmake_extension(record, extension, cmake) if bare and cmake else adopt_extension(record, extension)
        )
        left += rest
        if adopted is not None:
            found[adopted.import_path] = adopted
    if cmake is not None and any(extension.sources for extension in found.values()):
        for name in [name for name, extension in found.items() if not extension.sources]:
            advice = f"{cmake.file} makes it, and setup.py the others: gpuwheel takes sources from one of the two"
            left.append(Leftover(record.place_of(name, record.place), name, advice))
            del found[name]
    if not found:
        reasons = "".join(f"\n{each.place}: {each.what}: {each.advice}" for each in left).strip()
        msg = f"{record.place} gives no extension that gpuwheel could build (found {len(record.extensions)})"
        raise ConfigError(msg, hint=_how_to_ask(record), detail=reasons or None)
    return [found[name] for name in sorted(found)]


def _how_to_ask(record: SetupRecord) -> str:
    """What makes a setup.py build its extensions."""
    named = switches("\n".join(record.lines))
    looks = f" (it looks for {', '.join(named)})" if named else ""
    flag = next((name for name in named if name.startswith("--")), None)
    example = f"gpuwheel init -- {flag}" if flag else f"{next(iter(named), 'FORCE_CUDA')}=1 gpuwheel init"
    return f"set what makes setup.py build its extensions, for example {example}{looks}"


def _allows_newest(asked: Requirement | None, tables: Tables) -> bool:
    """Whether the project asks for no torch older than the newest: then its wheel may be for every one to come."""
    newest = tables.torch[max(tables.torch)].release
    return asked is None or asked.specifier.contains(newest, prereleases=True)


def _archs_of(record: SetupRecord, extension: AdoptedExtension) -> tuple[ArchTarget, ...]:
    """What an extension is compiled for. Empty: for what gpuwheel takes by itself.

    Where setup.py asks for the GPU of the machine, that is what it says for all the GPUs that it was told of; if for
    each of them that is the GPU itself, it names none.
    """
    said = {device: targets for device, targets in extension.targets.items() if targets}
    if not said:
        said = {device: _listed(text) for device, text in record.arch_lists.items()}
    own = all({str(each.arch) for each in found} == {device} for device, found in said.items())
    if extension.everywhere and own and record.asks_gpu:
        return ()
    merged: dict[Arch, bool] = {}
    for target in (target for targets in said.values() for target in targets):
        merged[target.arch] = merged.get(target.arch, False) or target.ptx
    return tuple(ArchTarget(arch, ptx=merged[arch]) for arch in sorted(merged))


def _listed(text: str) -> tuple[ArchTarget, ...]:
    """What a TORCH_CUDA_ARCH_LIST says; nothing where it is none."""
    try:
        return tuple(sorted(parse_arch_list(text)))
    except ConfigError:
        return ()


def _common_archs(archs: Iterable[tuple[ArchTarget, ...]]) -> tuple[ArchTarget, ...]:
    """Architectures of the project: those of most of its extensions; then those that are no family's own."""
    counts = Counter(archs)

    def rank(targets: tuple[ArchTarget, ...]) -> tuple[int, bool, int]:
        return counts[targets], not any(target.arch.suffix for target in targets), len(targets)

    return max(counts, key=rank, default=())


def _unknown_archs(record: SetupRecord, archs: Iterable[tuple[ArchTarget, ...]], tables: Tables) -> Iterable[Leftover]:
    toolkit = default_toolkit()
    for target in sorted({target for targets in archs for target in targets}):
        if target.arch not in tables.cuda[toolkit].archs:
            place = record.place_of(f"_{target.arch.number}", record.place_of(str(target.arch), record.place))
            advice = f"nvcc {toolkit} does not know it; a toolkit on your machine that does is named by cuda"
            yield Leftover(place, f"architecture {target.arch}", advice)


def _known(targets: Iterable[ArchTarget], tables: Tables) -> tuple[ArchTarget, ...]:
    return tuple(target for target in targets if target.arch in tables.cuda[default_toolkit()].archs)


def _torch_range(
    record: SetupRecord,
    extensions: Sequence[AdoptedExtension],
    asked: Requirement | None,
    tables: Tables,
    left: list[Leftover],
) -> str | None:
    """`torch`: one minor where the C++ ABI is used, else a floor above the default, else nothing."""
    place = record.place_of("torch", record.place)
    if record.refused:
        advice = f"setup.py refuses newer ones; it was told of {record.torch}"
        left.append(Leftover(place, f"torch newer than {record.torch}", advice))
    allowed = asked.specifier if asked is not None else SpecifierSet()
    if any(extension.interface.torch is TorchAbi.EXACT for extension in extensions):
        toolkit = default_toolkit()
        # Nothing newer than setup.py was told of: what it refused, its sources may not compile with.
        told = SpecifierSet(f"<={record.torch}") if record.torch else SpecifierSet()
        fitting = next(iter(fitting_torches(tables, toolkit, allowed & told)), None)
        chosen = fitting or next(iter(fitting_torches(tables, toolkit, told)), None)
        if fitting is None and asked is not None:
            advice = (
                f"nvcc {toolkit} builds for torch {chosen}; another needs its own cuda and torch in [tool.gpuwheel]"
            )
            left.append(Leftover(place, str(asked), advice))
        return f"=={chosen}.*"
    floors = [version for version in tables.torch if version >= tables.torch_floor]
    fitting_floors = [
        version for version in floors if allowed.contains(tables.torch[version].release, prereleases=True)
    ]
    if fitting_floors and fitting_floors[0] > tables.torch_floor:
        return f">={fitting_floors[0]}"
    return None


def _cuda_libraries(tables: Tables) -> set[str]:
    return {"cuda", *(name for pin in tables.cuda[default_toolkit()].libraries for name, _ in pin.sonames)}


def _unknown_libraries(
    record: SetupRecord, extensions: Iterable[AdoptedExtension], tables: Tables
) -> Iterable[Leftover]:
    known = _cuda_libraries(tables)
    for extension in extensions:
        for name in extension.table.get("libraries", ()):
            if name not in known:
                advice = f'link-flags = ["-l{name}"], if every machine with the platform of the wheel has it'
                yield Leftover(
                    record.place_of(name, record.place), f"library {name} of {extension.import_path}", advice
                )


def _linked(extension: AdoptedExtension, tables: Tables) -> AdoptedExtension:
    """Without the libraries that are none of the CUDA toolkit."""
    known = _cuda_libraries(tables)
    libraries = [name for name in extension.table.get("libraries", ()) if name in known]
    table = {key: value for key, value in extension.table.items() if key != "libraries"}
    return replace(extension, table={**table, **({"libraries": libraries} if libraries else {})})


def _inner_settings(pyproject: Mapping[str, Any]) -> Iterable[Leftover]:
    """A key of `[tool.scikit-build]` that gpuwheel sets itself, and that has to go."""
    try:
        check_inner_settings(pyproject, {}, {})
    except ConfigError as error:
        yield Leftover("pyproject.toml", error.message.partition(" (")[0], error.hint or "")


def _build_requirements(root: Path, pyproject: Mapping[str, Any], kept: Iterable[str]) -> Iterable[Leftover]:
    """What the build asked for beside setuptools' and torch's own."""
    for text in build_requirements(root) if "build-system" in pyproject else ():
        if canonicalize_name(Requirement(text).name) not in {*_SETUPTOOLS, *kept}:
            advice = "gpuwheel is the build: put it back into requires of [build-system] if something still needs it"
            yield Leftover("pyproject.toml", f"build-system.requires {text}", advice)


def _deeds(record: SetupRecord) -> Iterable[Leftover]:
    """What setup.py does beside describing, which nobody does once it is gone."""
    writes: dict[str, list[str]] = {}
    for note in record.notes:
        if note.kind == "writes":
            writes.setdefault(note.place, []).append(note.what.removeprefix(f"{record.root}/"))
        elif note.kind == "version":
            yield Leftover(note.place, f"version by {note.what}", _SCM)
        elif note.kind == "imports":
            advice = "it is not installed, and a stand-in took its place: what setup.py hears from it is missing here"
            yield Leftover(record.place_of(note.what, note.place), f"imports {note.what}", advice)
        elif note.kind == "runs":
            yield Leftover(note.place, f"runs {note.what}", "gpuwheel does not run setup.py: run it before the build")
        else:
            advice = (
                f"archs names what the wheel runs on: init told setup.py of {', '.join(record.devices)} in turn, and "
            )
            advice += "took what it said for all of them; where that was the GPU itself, archs stays unset"
            yield Leftover(note.place, "compiles for the GPU of the machine", advice)
    for place, names in writes.items():
        advice = "gpuwheel does not run setup.py: keep what it writes in the project, or write it before the build"
        yield Leftover(place, f"writes {_some(names)}", advice)
    for number, text in enumerate(record.lines, 1):
        if _ROCM.search(text):
            yield Leftover(f"{record.file}:{number}", "ROCm", "gpuwheel builds for CUDA: setup.py stays for AMD's GPUs")
            break
    yield from command_leftovers(record)


def _some(names: Sequence[str]) -> str:
    """Names, or the first of many and how many there are."""
    shown = [*dict.fromkeys(names)]
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN + 1 else ""
    return ", ".join(shown[:_SHOWN] if rest else shown) + rest
