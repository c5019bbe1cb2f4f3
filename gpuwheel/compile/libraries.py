"""Linked libraries in the cache: host code that did not change is not configured, compiled or linked again.

The key holds all that gpuwheel gives the compiler, by content. What the compiler found by itself, in system folders, is
noted with size and time when it was read, and has to be as it was then (the "direct mode" of ccache).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.compile.host import project_text
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.store import ContentStore, Stored, content_key, tree_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compile.host import HostProject
    from gpuwheel.model.libraries import HostLibrary
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["LinkedFile", "load_libraries", "project_key", "save_libraries"]

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


def project_key(
    project: HostProject, host: HostCompiler, settings: Mapping[str, object], environ: Mapping[str, str]
) -> str | None:
    """The key of what a project links to, or `None` if something has a say that no key covers.

    Args:
        project: what is compiled.
        host: with what.
        settings: the user's own for scikit-build-core, from `[tool.scikit-build]` and `-C`.
        environ: the environment of the build.
    """
    sections = {name.removeprefix("skbuild.").partition(".")[0] for name in settings}
    variables = [name for name in environ if name.startswith(_UNCOVERED_VARIABLES)]
    link_flags = [flag for library in project.libraries for flag in library.link_flags]
    if variables or link_flags or sections & _UNCOVERED_SECTIONS:
        return None
    compiler = host.path.resolve()
    state = compiler.stat()
    return content_key(
        {
            "project": _without_places(project),
            "sources": sorted({line for library in project.libraries for line in _closure(library, project)}),
            "images": {name: [_digest(f) for f in (g.header, g.fatbin)] for name, g in project.groups.items()},
            "own": [tree_digest(resource("include")), tree_digest(resource("cmake"))],
            "torch": project.sdk.digest,
            "compiler": [host.identity, host.target, str(compiler), state.st_size, state.st_mtime_ns],
            "settings": dict(sorted(settings.items())),
            "environment": {name: environ[name] for name in _ENVIRONMENT if name in environ},
        }
    )


def load_libraries(cache: Cache, key: str) -> list[LinkedFile] | None:
    """What was linked under `key`, or `None` if nothing was, or a system file that it was made from is another now."""
    stored = ContentStore(cache, "libraries").load(key)
    if stored is None or any(_state(path) != state for path, state in stored.facts["read"].items()):
        return None
    files, offset = [], 0
    for name, size, executable in stored.facts["files"]:
        files.append(LinkedFile(name, stored.content[offset : offset + size], executable))
        offset += size
    return files


def save_libraries(cache: Cache, key: str, files: Sequence[LinkedFile], *, build: Path, project: HostProject) -> None:
    """Keep what was linked in the CMake folder `build`, if it can be told what the compiler read.

    Raises:
        CacheError: the cache cannot be written.
    """
    read = _compiler_read(build)
    if read is None:
        return
    covered = tuple(f"{place}{os.sep}" for place in (str(build.parent), *_places(project)))
    facts = {
        "read": {path: _state(path) for path in sorted(read) if not path.startswith(covered)},
        "files": [[file.name, len(file.data), file.executable] for file in files],
    }
    ContentStore(cache, "libraries").save(key, Stored(facts, b"".join(file.data for file in files)))


def _places(project: HostProject) -> dict[str, str]:
    """Folders whose contents the key covers -> what they are called in it."""
    places = {
        str(resource("include").parent): "gpuwheel",
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
    foreign = (*kernels, resource("include"), project.sdk.include_dir)
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
