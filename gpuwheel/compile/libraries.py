"""Host code in the cache: what did not change is not configured, compiled or linked again.

Two things are kept: linked libraries, and the objects of their C++ sources, which serve where only kernels changed. A
key holds all that gpuwheel gives the compiler, by content. What the compiler found by itself, in system folders, is
noted with size and time when it was read, and has to be as it was then (the "direct mode" of ccache).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.compile.host import project_text, target_name
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.store import ContentStore, Stored, content_key, tree_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compile.host import HostProject
    from gpuwheel.model.libraries import HostLibrary
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["HostStore", "LinkedFile"]

# What compilers, linkers and CMake take from the environment (GCC manual, "Environment Variables"; CMake manual,
# cmake-env-variables).
_ENVIRONMENT = (
    *("CC", "CXX", "ASM", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "ASMFLAGS", "LDFLAGS"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX"),
    *("LD_RUN_PATH", "SOURCE_DATE_EPOCH", "MACOSX_DEPLOYMENT_TARGET"),
)
# Variables, and sections of scikit-build-core's settings, that can name files or programs which no key covers.
_UNCOVERED_VARIABLES = ("CMAKE_", "SKBUILD_")
_UNCOVERED_SECTIONS = {"backport", "build", "cmake", "env", "install", "ninja", "overrides", "search"}


@dataclass(frozen=True)
class LinkedFile:
    """A library as it goes into the wheel."""

    name: str
    """Member of the wheel, for example "fused_ops/_C.so"."""
    data: bytes
    executable: bool


class HostStore:
    """What one project became before, and becomes now."""

    def __init__(
        self,
        cache: Cache,
        project: HostProject,
        host: HostCompiler,
        *,
        settings: Mapping[str, object],
        environ: Mapping[str, str],
    ) -> None:
        """`settings` are the user's own for scikit-build-core, from `[tool.scikit-build]` and `-C`.

        Nothing is found or kept where they, or the environment, have a say that no key covers.
        """
        self._store = ContentStore(cache, "libraries")
        self._project = project
        sections = {name.removeprefix("skbuild.").partition(".")[0] for name in settings}
        variables = [name for name in environ if name.startswith(_UNCOVERED_VARIABLES)]
        link_flags = [flag for library in project.libraries for flag in library.link_flags]
        self._objects_key: str | None = None
        self._linked_key: str | None = None
        if not (variables or link_flags or sections & _UNCOVERED_SECTIONS):
            self._objects_key = _objects_key(project, host, settings, environ)
            images = {name: _digest(group.fatbin) for name, group in project.groups.items()}
            self._linked_key = content_key({"objects": self._objects_key, "images": images})

    def linked(self) -> list[LinkedFile] | None:
        """The libraries, if the same ones were linked before."""
        stored = self._load(self._linked_key)
        if stored is None:
            return None
        pieces = _pieces(stored.content, [size for _, size, _ in stored.facts["files"]])
        files = zip(stored.facts["files"], pieces, strict=True)
        return [LinkedFile(name, data, executable) for (name, _, executable), data in files]

    def with_objects(self, folder: Path) -> HostProject | None:
        """The project with objects, written into `folder`, in place of its C++ sources; `None` if there are none."""
        stored = self._load(self._objects_key)
        if stored is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        pieces = iter(_pieces(stored.content, stored.facts["sizes"]))
        objects = []
        for index, library in enumerate(self._project.libraries):
            files = tuple(folder / f"{index}-{number}.o" for number in range(len(library.sources)))
            for file in files:
                file.write_bytes(next(pieces))
            objects.append(files)
        return replace(self._project, objects=tuple(objects))

    def save(self, files: Sequence[LinkedFile], build: Path) -> None:
        """Keep what was linked in the CMake folder `build`, and the objects if they were compiled there.

        Raises:
            CacheError: the cache cannot be written.
        """
        if self._objects_key is None or self._linked_key is None:
            return
        compiled = self._load(self._objects_key)
        if compiled is None:
            compiled = self._compiled(build)
            if compiled is None:
                return
            self._store.save(self._objects_key, compiled)
        facts = {
            "read": compiled.facts["read"],
            "files": [[file.name, len(file.data), file.executable] for file in files],
        }
        self._store.save(self._linked_key, Stored(facts, b"".join(file.data for file in files)))

    def _load(self, key: str | None) -> Stored | None:
        """An entry whose system files are what they were."""
        stored = None if key is None else self._store.load(key)
        if stored is None or any(_state(path) != state for path, state in stored.facts["read"].items()):
            return None
        return stored

    def _compiled(self, build: Path) -> Stored | None:
        """The objects in a CMake folder, in order; `None` where it cannot be told what the compiler read."""
        read = _compiler_read(build)
        if read is None:
            return None
        outputs = _outputs(build)
        contents = []
        for index, library in enumerate(self._project.libraries):
            for source in library.sources:
                output = outputs.get((target_name(index), str(source)))
                if output is None:
                    return None
                contents.append(output.read_bytes())
        covered = tuple(f"{place}{os.sep}" for place in (str(build.parent), *_places(self._project)))
        facts = {
            "read": {path: _state(path) for path in sorted(read) if not path.startswith(covered)},
            "sizes": [len(content) for content in contents],
        }
        return Stored(facts, b"".join(contents))


def _objects_key(
    project: HostProject, host: HostCompiler, settings: Mapping[str, object], environ: Mapping[str, str]
) -> str:
    compiler = host.path.resolve()
    state = compiler.stat()
    return content_key(
        {
            "project": _without_places(project),
            "sources": sorted({line for library in project.libraries for line in _closure(library, project)}),
            "kernels": {name: _digest(group.header) for name, group in project.groups.items()},
            "own": [tree_digest(resource("include")), tree_digest(resource("cmake"))],
            "torch": project.sdk.digest,
            "compiler": [host.identity, host.target, str(compiler), state.st_size, state.st_mtime_ns],
            "settings": dict(sorted(settings.items())),
            "environment": {name: environ[name] for name in _ENVIRONMENT if name in environ},
        }
    )


def _pieces(content: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`content` cut into parts of these sizes."""
    pieces, offset = [], 0
    for size in sizes:
        pieces.append(content[offset : offset + size])
        offset += size
    return pieces


def _places(project: HostProject) -> dict[str, str]:
    """Folders whose contents the key covers -> what they are called in it."""
    places = {
        str(resource("cmake").parent): "gpuwheel",
        str(project.headers): "include",
        str(project.sdk.include_dir): "torch",
        str(project.sdk.library.parent): "torch-stub",
        **{str(group.header.parent): "kernels" for group in project.groups.values()},
        **{str(manifest.parent): "manifest" for manifest in project.manifests.values()},
        str(project.root): ".",
    }
    return dict(sorted(places.items(), key=lambda place: -len(place[0])))  # inner folders first


def _without_places(project: HostProject) -> str:
    """The generated CMake project, wherever the build takes place."""
    text = project_text(project, Path("/somewhere/project"))
    for place, name in _places(project).items():
        text = text.replace(place, name)
    return text


def _closure(library: HostLibrary, project: HostProject) -> Iterator[str]:
    """`path sha256` of every file of the user's that a source of the library may include, and of the source."""
    kernels = dict.fromkeys(project.groups[name].header.parent for name in library.kernels)
    foreign = (*kernels, project.headers, project.sdk.include_dir)
    scanner = IncludeScanner(library.include_dirs, foreign, " ".join((*library.defines, *library.flags)))
    for source in library.sources:
        for file in scanner.closure(source):
            inside = file.path.is_relative_to(project.root)
            yield f"{file.path.relative_to(project.root) if inside else file.path} {file.sha256}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _state(path: str) -> list[int] | None:
    """Size in bytes and time in ns; `None` if the file is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116 (hundreds of files: Path objects would take most of the time)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _compiler_read(build: Path) -> set[str] | None:
    """Every header that the compiler read, as Ninja has it; `None` if another program made the build."""
    cache = build / "CMakeCache.txt"
    if not (build / ".ninja_deps").is_file() or not cache.is_file():
        return None
    ninja = re.search(r"^CMAKE_MAKE_PROGRAM:\w+=(.+)$", cache.read_text(encoding="utf-8"), re.MULTILINE)
    if ninja is None:
        return None
    lines = run([ninja[1], "-C", build, "-t", "deps"]).stdout.splitlines()
    return {os.path.normpath(build / line.strip()) for line in lines if line.startswith("    ")}


def _outputs(build: Path) -> dict[tuple[str, str], Path]:
    """(CMake target, source) -> object file, from the compilation database."""
    outputs = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        match = re.search(r"CMakeFiles/(\w+)\.dir/", entry.get("output", ""))
        if match is not None:
            outputs[match[1], entry["file"]] = build / entry["output"]
    return outputs
