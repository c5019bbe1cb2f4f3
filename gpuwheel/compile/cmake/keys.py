"""What the libraries of a project are made from, by content: the keys under which they are kept."""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._cache.file_state import state_of
from gpuwheel._environment.words import starts_what_follows
from gpuwheel._resources import resource
from gpuwheel.compile.cmake.embed_project import compiled_once, host_library_arguments, project_text
from gpuwheel.compile.cmake.embed_project import source_target as host_source_target
from gpuwheel.compile.cmake.nvcc_project import (
    is_named_by_project,
    nvcc_text,
    script_texts,
    source_target,
    source_text,
)
from gpuwheel.compile.includes import IncludeScanner, without_remarks
from gpuwheel.compile.reuse.drivers import Driver, build_tools, toolkit_adds_options, toolkit_tools
from gpuwheel.compile.reuse.epoch import EPOCH, follows_epoch
from gpuwheel.compile.reuse.evidence import Setting
from gpuwheel.compile.reuse.facts import FORMAT, Places
from gpuwheel.compile.reuse.index import FileIndex
from gpuwheel.compile.reuse.linked import Recipe, Unit
from gpuwheel.compile.reuse.named_files import (
    NATIVE,
    folders_in,
    machine_identity,
    named_paths,
    refusal,
    with_response_files,
)
from gpuwheel.compile.reuse.scopes import scopes
from gpuwheel.compile.reuse.search import ordinary_words
from gpuwheel.compile.reuse.store import content_key, tree_digest
from gpuwheel.compile.reuse.tokens import FIXED, clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel._cache import Cache
    from gpuwheel._cache.file_state import State
    from gpuwheel._environment import ToolEnvironment
    from gpuwheel.compile.cmake.embed_project import HostProject
    from gpuwheel.compile.cmake.nvcc_project import NvccProject
    from gpuwheel.model.libraries import HostLibrary, NvccLibrary
    from gpuwheel.model.toolchain import HostCompiler, PythonHeaders

__all__ = ["Given", "host_recipe", "nvcc_recipe"]

_FOLDERS = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH")
# Sections of scikit-build-core's settings that can name files or programs which no key covers.
_UNCOVERED_SECTIONS = {"backport", "build", "cmake", "env", "install", "ninja", "overrides", "search"}
# Of these, settings that are words alone, which the key has.
_COVERED = {
    *("cmake.build-type", "cmake.verbose", "cmake.version", "cmake.minimum-version"),
    *("build.verbose", "build.tool-args", "install.strip", "ninja.version", "ninja.minimum-version"),
}
_LAUNCHER = re.compile(r"cmake\.define\.CMAKE_\w+_COMPILER_LAUNCHER")
_ANYWHERE = Path("/somewhere/project")


@dataclass
class Given:
    """What a build is given beside its project; it remembers what it looked at."""

    cache: Cache
    host: HostCompiler
    settings: Mapping[str, object]
    """The user's own for scikit-build-core, from `[tool.scikit-build]` and `-C`."""
    tools: ToolEnvironment
    """What compilers and linkers see of the environment."""
    toolkit: Path | None = None
    """Of nvcc."""
    before: dict[str, State | None] = field(default_factory=dict)
    start: int = field(default_factory=time.time_ns)

    def words(self, libraries: Iterable[HostLibrary | NvccLibrary], root: Path) -> list[str]:
        """Every option that the user gives a compiler or a linker, those in files that others name too."""
        own = [word for library in libraries for word in _options(library)]
        macros = [f"-D{define}" for library in libraries for define in library.defines]
        named = [word for _, value in sorted(self.tools.key.items()) for word in ordinary_words(value)]
        return list(with_response_files([*self.host.arguments, *own, *macros, *named], [str(root)]))

    def folders(self, libraries: Iterable[HostLibrary | NvccLibrary], root: Path) -> tuple[Path, ...]:
        """Folders that options and the environment have compilers search for headers, beside the project's own."""
        named = folders_in(self.words(libraries, root), str(root))
        listed = [folder for name in _FOLDERS for folder in self.tools.key.get(name, "").split(os.pathsep) if folder]
        return tuple(Path(root, folder) for folder in dict.fromkeys((*named, *listed)))

    def refusal(self, words: Iterable[str]) -> str | None:
        """Why nothing can be kept, if so."""
        named = (pair for key, value in self.settings.items() for pair in _named(key.removeprefix("skbuild."), value))
        names = {name for name, value in named if not (_LAUNCHER.fullmatch(name) and starts_what_follows(str(value)))}
        sections = {name.partition(".")[0] for name in names - _COVERED} & _UNCOVERED_SECTIONS
        if sections:
            return f"settings of scikit-build-core that no key covers are in force ({', '.join(sorted(sections))})"
        if self.tools.uncovered:
            return f"variables that can name files which no key covers are set ({', '.join(self.tools.uncovered)})"
        words = list(words)
        for word in words:
            time = clock(word.encode(errors="replace"))
            fixed = time in FIXED and EPOCH in self.tools.variables
            if time is not None and not (fixed and follows_epoch(self.host.command, self.tools.variables)):
                return f"{word} asks what time it is"
        return refusal(words)

    def note(self, words: Iterable[str], root: Path) -> None:
        """Remember the files that options name as they are now."""
        files, _, _ = named_paths(list(words), [str(root)])
        self.before |= {path: state_of(path) for path in files}

    def machine(self, driver: Driver, words: Iterable[str], tools: FileIndex) -> dict[str, Any]:
        """What every object depends on: gpuwheel itself, the tools, what the user set."""
        host, environ = self.host, self.tools.variables
        # Where it is sources that ask for the time, that is noted beside their objects: not all change with the commit.
        unkeyed = set() if any(clock(word.encode(errors="replace")) for word in words) else {EPOCH}
        return {
            "facts": FORMAT,
            "own": [tree_digest(resource("include")), tree_digest(resource("cmake"))],
            "compiler": [host.identity, host.target, list(host.command), driver.tools],
            "build": build_tools(environ, tools),
            "toolkit": toolkit_tools(self.toolkit, tools) if self.toolkit is not None else {},
            "settings": dict(sorted(self.settings.items())),
            "environment": {name: value for name, value in self.tools.key.items() if name not in unkeyed},
            "machine": machine_identity() if any(map(NATIVE.search, words)) else [],
        }


def host_recipe(project: HostProject, given: Given) -> Recipe:
    """The recipe of a project in mode `embed`, whose objects are kept one by one."""
    places = _places(
        {
            str(given.cache.root): "cache",
            str(project.headers): "include",
            str(project.sdk.include_dir): "torch",
            str(project.sdk.library.parent): "torch-stub",
            **{str(group.header.parent): "kernels" for group in project.groups.values()},
            **{str(manifest.parent): "manifest" for manifest in project.manifests.values()},
            str(project.root): ".",
        }
    )
    maker = _Maker(given, project.libraries, project.root)
    common = {**maker.machine, "torch": project.sdk.digest}
    units = []
    for index, library in enumerate(project.libraries):
        scanner = _host_scanner(library, project, given)
        # What only the linker is told does not reach an object.
        told = host_library_arguments(replace(library, link_flags=()), project, _ANYWHERE)
        for source in library.sources:
            parts = {
                "library": places.masked(told + compiled_once(library)),
                "source": [places.masked(str(source)), host_source_target(index, library, source)],
                "options": list(library.flags),
                "files": sorted(map(places.masked, _closure(scanner, source, given))),
                "kernels": {name: _digest(project.groups[name].header) for name in library.kernels},
            }
            output = (host_source_target(index, library, source), str(source))
            units.append(Unit(scopes({**common, **parts}, {}), (output,)))
    whole = {
        # Keys of objects and not their bytes: the whole's key is known before anything is compiled.
        "project": places.masked(project_text(replace(project, objects={}), _ANYWHERE)),
        "options": [list(_options(library)) for library in project.libraries],
        "images": {name: [_digest(group.fatbin), _digest(group.assembly)] for name, group in project.groups.items()},
        "objects": [unit.key for unit in units],
    }
    return maker.recipe(tuple(units), content_key({**common, **whole}), places)


def nvcc_recipe(project: NvccProject, given: Given) -> Recipe:
    """The recipe of a project in mode `nvcc`, whose objects are kept one by one."""
    toolchain = project.toolchain
    torch, python = toolchain.torch, toolchain.python
    given.toolkit = toolchain.cuda.root
    places = _places(
        {
            str(given.cache.root): "cache",
            str(project.headers): "include",
            str(toolchain.cuda.root): "cuda",
            **({str(torch.include_dir): "torch", str(torch.library.parent): "torch-stub"} if torch else {}),
            **({str(python.include_dir.resolve()): "python", str(python.include_dir): "python"} if python else {}),
            **({str(project.compat): "compat"} if project.compat else {}),
            **{str(folder): f"packages/{name}" for name, folder in project.package_dirs.items()},
            **{str(manifest.parent): "manifest" for manifest in project.manifests.values()},
            str(project.root): ".",
        }
    )
    maker = _Maker(given, project.libraries, project.root)
    anywhere = replace(project, objects={}, jobs=1, pool=1)  # how many compile at once does not reach the objects
    # What only the linker is told does not reach an object, nor does how the library is called.
    unlinked = replace(
        anywhere,
        libraries=tuple(replace(library, link_flags=()) for library in project.libraries),
        toolchain=replace(toolchain, python=replace(python, suffix="") if python else None),
    )
    pins = toolchain.cuda.digest if toolchain.cuda.pins else ""  # a toolkit of the machine: see its programs
    scripts = script_texts(anywhere)
    common = {
        **maker.machine,
        "cuda": [str(toolchain.cuda.version), pins],
        "forced": scripts["weak_symbols.h"] if torch else "",
    }
    differing = {
        **({"torch": torch.digest} if torch else {}),
        **({"python": _python_identity(python)} if python else {}),
        **({"compat": project.compat.name} if project.compat else {}),
    }
    units = []
    for index, library in enumerate(project.libraries):
        scanner = _nvcc_scanner(library, project, given)
        for source in library.sources:
            parts = {
                "source": places.masked(source_text(index, source, unlinked, _ANYWHERE)),
                "options": list(_options(replace(unlinked.libraries[index], sources=(source,)))),
                "files": sorted(map(places.masked, _closure(scanner, source.path, given))),
            }
            output = (source_target(index, library, source), str(source.path))
            placed = source.cuda and not is_named_by_project(source, project)
            units.append(Unit(scopes({**common, **parts}, differing), (output,), not library.rdc, placed))
    whole = {
        "project": places.masked(nvcc_text(anywhere, _ANYWHERE)),
        "scripts": scripts,
        "options": [list(_options(library)) for library in project.libraries],
        "objects": [unit.key for unit in units],
        "reads": differing,
    }
    return maker.recipe(tuple(units), content_key({**common, **whole}), places)


def _python_identity(python: PythonHeaders) -> list[str]:
    """What tells headers of one Python from those of another; all that is read of them is noted beside objects."""
    files = (python.include_dir / name for name in ("patchlevel.h", "pyconfig.h"))
    return [python.suffix, *(_digest(file) for file in files if file.is_file())]


class _Maker:
    """What both modes ask of compilers, and note of the build."""

    def __init__(self, given: Given, libraries: Iterable[HostLibrary | NvccLibrary], root: Path) -> None:
        self._given = given
        self._root = root
        words = given.words(libraries, root)
        given.note(words, root)
        self._refusal = given.refusal(words)
        tools = FileIndex(given.cache, "tools")
        self._driver = Driver.of(
            given.host.command, words, cache=given.cache, index=tools, environ=given.tools.variables
        )
        self.machine = given.machine(self._driver, words, tools)
        tools.save()

    def recipe(self, units: tuple[Unit, ...], linked: str, places: Places) -> Recipe:
        """The recipe with the keys that were made of its units and of what is linked."""
        given = self._given
        compilers = {"CMAKE_CUDA_COMPILER": str(given.toolkit / "bin" / "nvcc")} if given.toolkit is not None else {}
        name = hashlib.sha256(str(self._root).encode(errors="surrogateescape")).hexdigest()[:16]
        setting = Setting(
            root=self._root,
            places=places,
            host=given.host.command,
            toolkit=given.toolkit,
            library_dirs=self._driver.library_dirs,
            environ=given.tools.variables,
            adds_options=self._driver.adds_options
            or (given.toolkit is not None and toolkit_adds_options(given.toolkit)),
            before=given.before,
            start=given.start,
            sealed=f"{given.cache.root}{os.sep}",
        )
        return Recipe(
            units=units,
            linked=linked,
            setting=setting,
            index=FileIndex(given.cache, name),
            compilers=compilers,
            names_link_inputs=self._driver.names_link_inputs,
            refusal=self._refusal,
        )


def _named(name: str, value: object) -> Iterator[tuple[str, object]]:
    """The names of settings, dotted, in a table or by themselves, and their values."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _named(f"{name}.{key}", inner)


def _options(library: HostLibrary | NvccLibrary) -> Iterator[str]:
    yield from library.flags
    yield from library.link_flags
    yield from getattr(library, "nvcc_flags", ())
    for source in library.sources:
        yield from getattr(source, "flags", ())


def _places(folders: Mapping[str, str]) -> Places:
    """Folders whose contents keys and facts name wherever they are."""
    return Places.of({str(resource("cmake").parent): "gpuwheel", **folders})


def _host_scanner(library: HostLibrary, project: HostProject, given: Given) -> IncludeScanner:
    kernels = dict.fromkeys(project.groups[name].header.parent for name in library.kernels)
    foreign = (*kernels, project.headers, project.sdk.include_dir)
    searched = (*library.include_dirs, *given.folders([library], project.root))
    return IncludeScanner(searched, foreign, " ".join((*library.defines, *library.flags)))


def _nvcc_scanner(library: NvccLibrary, project: NvccProject, given: Given) -> IncludeScanner:
    toolchain = project.toolchain
    packages = (project.package_dirs[name] for name in library.include_packages)
    torch = (toolchain.torch.include_dir,) if toolchain.torch else ()
    options = (*library.defines, *library.flags, *library.nvcc_flags)
    return IncludeScanner(
        (*library.include_dirs, *packages, *given.folders([library], project.root)),
        (project.headers, *([project.compat] if project.compat else []), *torch, toolchain.cuda.root / "include"),
        " ".join((*options, *(flag for source in library.sources for flag in source.flags))),
    )


def _closure(scanner: IncludeScanner, source: Path, given: Given) -> Iterator[str]:
    """`path sha256` of every file of the user's that a source may include, and of the source, comments emptied.

    Where comments count, facts beside the objects have the digest of the whole file.
    """
    files = scanner.closure(source)
    given.before |= {str(file.path): file.state for file in files}
    yield from (f"{path} {digest}" for path, digest in without_remarks(files))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
