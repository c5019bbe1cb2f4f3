"""What the libraries of a project are made from, by content: the keys under which they are kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._environment import reaching, uncovered
from gpuwheel._resources import resource
from gpuwheel.compile.host import project_text, target_name
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.compile.libraries import Recipe, Unit
from gpuwheel.compile.nvcc import nvcc_text, source_target, source_text
from gpuwheel.compile.store import content_key, tree_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.compile.host import HostProject
    from gpuwheel.compile.nvcc import NvccProject
    from gpuwheel.model.libraries import HostLibrary, NvccLibrary
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["host_recipe", "nvcc_recipe"]

# Sections of scikit-build-core's settings that can name files or programs which no key covers.
_UNCOVERED_SECTIONS = {"backport", "build", "cmake", "env", "install", "ninja", "overrides", "search"}
_ANYWHERE = Path("/somewhere/project")


def host_recipe(
    project: HostProject, host: HostCompiler, *, settings: Mapping[str, object], environ: Mapping[str, str]
) -> Recipe | None:
    """Of a project in mode `embed`, whose objects are kept together: they share a precompiled header.

    `settings` are the user's own for scikit-build-core, from `[tool.scikit-build]` and `-C`. `None` where they, or the
    environment, have a say that no key covers.
    """
    if _uncovered(project.libraries, settings, environ):
        return None
    places = _inner_first(
        {
            str(project.headers): "include",
            str(project.sdk.include_dir): "torch",
            str(project.sdk.library.parent): "torch-stub",
            **{str(group.header.parent): "kernels" for group in project.groups.values()},
            **{str(manifest.parent): "manifest" for manifest in project.manifests.values()},
            str(project.root): ".",
        }
    )
    files = {line for library in project.libraries for line in _host_files(library, project)}
    objects = content_key(
        {
            **_machine(host, settings, environ),
            "project": _named(project_text(replace(project, objects={}), _ANYWHERE), places),
            "sources": sorted(_named(line, places) for line in files),
            "kernels": {name: _digest(group.header) for name, group in project.groups.items()},
            "torch": project.sdk.digest,
        }
    )
    images = {name: _digest(group.fatbin) for name, group in project.groups.items()}
    outputs = tuple(
        (target_name(index), str(source))
        for index, library in enumerate(project.libraries)
        for source in library.sources
    )
    return Recipe((Unit(objects, outputs),), content_key({"objects": objects, "images": images}), tuple(places))


def nvcc_recipe(project: NvccProject, *, settings: Mapping[str, object], environ: Mapping[str, str]) -> Recipe | None:
    """Of a project in mode `nvcc`, whose objects are kept one by one; arguments as for `host_recipe`."""
    if _uncovered(project.libraries, settings, environ):
        return None
    toolchain = project.toolchain
    torch = toolchain.torch
    places = _inner_first(
        {
            str(project.headers): "include",
            str(toolchain.cuda.root): "cuda",
            **({str(torch.include_dir): "torch", str(torch.library.parent): "torch-stub"} if torch else {}),
            **{str(folder): f"packages/{name}" for name, folder in project.package_dirs.items()},
            **{str(manifest.parent): "manifest" for manifest in project.manifests.values()},
            str(project.root): ".",
        }
    )
    anywhere = replace(project, objects={}, jobs=1, pool=1)  # how many compile at once does not reach the objects
    common = {
        **_machine(toolchain.host, settings, environ),
        "cuda": [str(toolchain.cuda.version), toolchain.cuda.digest],
        "torch": [torch.digest, sorted(project.weak_symbols)] if torch else [],
    }
    units = []
    for index, library in enumerate(project.libraries):
        scanner = _nvcc_scanner(library, project)
        for source in library.sources:
            parts = {
                "source": _named(source_text(index, source, anywhere, _ANYWHERE), places),
                "files": sorted(_named(line, places) for line in _closure(scanner, source.path)),
            }
            output = (source_target(index, library, source), str(source.path))
            units.append(Unit(content_key({**common, **parts}), (output,), linkable=not library.rdc))
    whole = {"project": _named(nvcc_text(anywhere, _ANYWHERE), places), "objects": [unit.key for unit in units]}
    return Recipe(tuple(units), content_key({**common, **whole}), tuple(places))


def _uncovered(
    libraries: Iterable[HostLibrary | NvccLibrary], settings: Mapping[str, object], environ: Mapping[str, str]
) -> bool:
    """Whether something has a say that no key covers: files that linker options name, settings, variables."""
    sections = {name.removeprefix("skbuild.").partition(".")[0] for name in settings}
    return (
        any(library.link_flags for library in libraries)
        or bool(uncovered(environ))
        or bool(sections & _UNCOVERED_SECTIONS)
    )


def _machine(host: HostCompiler, settings: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Any]:
    """What every object depends on: gpuwheel itself, the C++ compiler, what the user set."""
    compiler = host.path.resolve()
    state = compiler.stat()
    return {
        "own": [tree_digest(resource("include")), tree_digest(resource("cmake"))],
        "compiler": [host.identity, host.target, str(compiler), state.st_size, state.st_mtime_ns, *host.arguments],
        "settings": dict(sorted(settings.items())),
        "environment": reaching(environ),
    }


def _inner_first(places: Mapping[str, str]) -> dict[str, str]:
    """Folders whose contents the keys cover -> what they are called in them."""
    found = {str(resource("cmake").parent): "gpuwheel", **places}
    return dict(sorted(found.items(), key=lambda place: -len(place[0])))


def _named(text: str, places: Mapping[str, str]) -> str:
    """`text`, wherever the build takes place."""
    for place, name in places.items():
        text = text.replace(place, name)
    return text


def _host_files(library: HostLibrary, project: HostProject) -> Iterator[str]:
    kernels = dict.fromkeys(project.groups[name].header.parent for name in library.kernels)
    foreign = (*kernels, project.headers, project.sdk.include_dir)
    scanner = IncludeScanner(library.include_dirs, foreign, " ".join((*library.defines, *library.flags)))
    for source in library.sources:
        yield from _closure(scanner, source)


def _nvcc_scanner(library: NvccLibrary, project: NvccProject) -> IncludeScanner:
    toolchain = project.toolchain
    packages = (project.package_dirs[name] for name in library.include_packages)
    torch = (toolchain.torch.include_dir,) if toolchain.torch else ()
    options = (*library.defines, *library.flags, *library.nvcc_flags)
    return IncludeScanner(
        (*library.include_dirs, *packages),
        (project.headers, *torch, toolchain.cuda.root / "include"),
        " ".join((*options, *(flag for source in library.sources for flag in source.flags))),
    )


def _closure(scanner: IncludeScanner, source: Path) -> Iterator[str]:
    """`path sha256` of every file of the user's that a source may include, and of the source."""
    for file in scanner.closure(source):
        yield f"{file.path} {file.sha256}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
