"""From the extensions of a setup.py to tables of `[tool.gpuwheel.extensions]`."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.compiler_options import Compiler, SortedOptions, same_libraries, sort_options
from gpuwheel.adopt.included import interface_of
from gpuwheel.adopt.paths import ExtensionPaths
from gpuwheel.config.survey import survey_sources
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.adopt.declared.cmake_files import CMakeProject
    from gpuwheel.adopt.declared.recording import RecordedExtension, SetupRecord
    from gpuwheel.adopt.included import Interface
    from gpuwheel.adopt.leftover import Leftover
    from gpuwheel.model.archs import ArchTarget
    from gpuwheel.model.libraries import Survey

__all__ = ["AdoptedExtension", "adopt_extension", "cmake_extension", "on_compat"]

_CUDA_SUFFIX = ".cu"
_UNUSED = {
    "runtime_library_dirs": "gpuwheel writes the search path of CUDA's libraries; other folders are of one machine",
    "extra_objects": "gpuwheel compiles sources: add what the object was compiled from",
    "dlink_libraries": "rdc = true links the device code of all sources of the extension",
    "export_symbols": "exports = [...] names the symbols of a library that is no Python module",
    "swig_opts": "run swig before the build, and add what it writes to sources",
}


@dataclass(frozen=True)
class AdoptedExtension:
    """One table, as TOML says it."""

    import_path: str
    table: Mapping[str, Any]
    interface: Interface
    sources: tuple[str, ...]
    """Relative to the project."""
    targets: Mapping[str, tuple[ArchTarget, ...]]
    """Architectures that its options name, by the compute capability of the GPU that setup.py was told of."""
    everywhere: bool
    """Whether setup.py makes the extension for every GPU."""
    packages: tuple[str, ...]
    """Distributions with headers that it includes."""
    survey: Survey | None = None
    """What keeps its sources from `abi = "compat"`; `None`: it is not on torch's C++ ABI, or nobody read them."""

    @property
    def cuda_sources(self) -> tuple[str, ...]:
        """The sources that nvcc compiles."""
        return tuple(path for path in self.sources if path.endswith(_CUDA_SUFFIX))


def adopt_extension(
    record: SetupRecord, extension: RecordedExtension
) -> tuple[AdoptedExtension | None, list[Leftover]]:
    """The table of one extension, and what is left of it; no table where there is nothing to compile."""
    paths = ExtensionPaths(record, extension)
    name = _import_path(record, extension, paths)
    if name is None:
        return None, paths.left
    sources = paths.sources()
    if not sources:
        paths.leave(name, "none of its sources can be compiled: the extension is left out")
        return None, paths.left
    words = _option_words(extension)
    options = {compiler: sort_options(words[compiler], compiler) for compiler in words}
    _note_left(paths, options)
    if _differs(extension):
        advice = "setup.py says so by the GPU that it finds: what is here is for the first that it was told of"
        paths.leave(f"{extension.name} for {', '.join(extension.variants)}", advice, search=extension.name)
    folders = [folder for compiler in ("cxx", "nvcc") for folder in options[compiler].include_dirs]
    include_dirs = paths.include_dirs([*extension.texts("include_dirs"), *folders])
    interface = interface_of(
        [record.root / path for path in sources],
        [record.root / path for path in include_dirs],
        limited_api=bool(extension.attributes.get("py_limited_api")) or _asks_limited_api(words, extension),
    )
    table = {
        **_interface_keys(interface),
        "sources": [glob.escape(path) for path in sources],  # they are patterns there, and names here
        "include-dirs": include_dirs,
        "include-packages": list(dict.fromkeys(paths.packages)),
        **_flags(extension, options, interface, cuda=any(path.endswith(_CUDA_SUFFIX) for path in sources)),
        "libraries": [name for name in dict.fromkeys(options["link"].libraries) if name not in same_libraries()],
    }
    found = AdoptedExtension(
        import_path=name,
        table={key: value for key, value in table.items() if value},
        interface=interface,
        sources=tuple(sources),
        targets=_targets(extension),
        everywhere=extension.everywhere,
        packages=tuple(dict.fromkeys(package.partition("/")[0] for package in paths.packages)),
        survey=_survey(name, record.root, sources, table) if interface.torch is TorchAbi.EXACT else None,
    )
    return found, paths.left


def _survey(name: str, root: Path, sources: Sequence[str], table: Mapping[str, Any]) -> Survey:
    words = (*table["flags"], *table["nvcc-flags"])
    defines = (*table["defines"], *(word for word in words if word.startswith("-D")))
    folders = [root / folder for folder in table["include-dirs"]]
    return survey_sources(name, root, [root / path for path in sources], folders, defines)


def on_compat(extension: AdoptedExtension) -> AdoptedExtension:
    """With headers in place of torch's: no source is edited, and one file serves every torch and Python."""
    interface = replace(extension.interface, torch=TorchAbi.COMPAT, python=PythonAbi.NONE)
    rest = {key: value for key, value in extension.table.items() if key not in {"mode", "abi", "python"}}
    return replace(extension, interface=interface, table={**_interface_keys(interface), **rest})


def cmake_extension(
    record: SetupRecord, extension: RecordedExtension, project: CMakeProject
) -> tuple[AdoptedExtension | None, list[Leftover]]:
    """The table of an extension whose sources a `CMakeLists.txt` names."""
    paths = ExtensionPaths(record, extension)
    name = _import_path(record, extension, paths)
    if name is None:
        return None, paths.left
    table = _interface_keys(project.interface)
    return AdoptedExtension(name, table, project.interface, (), {}, extension.everywhere, ()), paths.left


def _interface_keys(interface: Interface) -> dict[str, str]:
    """The keys that say how a module meets torch and Python, where that is not the default."""
    table = {"mode": Mode.NVCC.value}
    if interface.torch is not TorchAbi.STABLE:
        table["abi"] = interface.torch.value
    if interface.python is not PythonAbi.NONE:
        table["python"] = interface.python.value
    return table


def _import_path(record: SetupRecord, extension: RecordedExtension, paths: ExtensionPaths) -> str | None:
    """An import path, "package._C"; `None`, which `paths` notes, where its name is none."""
    prefix = record.keywords.get("ext_package")
    name = f"{prefix}.{extension.name}" if prefix else extension.name
    if all(part.isidentifier() for part in name.split(".")):
        return name
    paths.leave(extension.name, "an extension is named by its import path, for example my_ops._C")
    return None


def _targets(extension: RecordedExtension) -> dict[str, tuple[ArchTarget, ...]]:
    variants = extension.variants or {"": extension}
    return {device: sort_options(_option_words(each)["nvcc"], "nvcc").targets for device, each in variants.items()}


def _differs(extension: RecordedExtension) -> bool:
    """Whether something else than architectures depends on the GPU of the machine."""

    def rest(each: RecordedExtension) -> tuple[object, ...]:
        words = _option_words(each)
        options = [sort_options(words[compiler], compiler) for compiler in words]
        kept = tuple(tuple(sorted({*found.kept, *found.defines})) for found in options)
        return (*kept, *(tuple(sorted(each.texts(key))) for key in ("sources", "include_dirs", "libraries")))

    return len({rest(each) for each in extension.variants.values()}) > 1


def _option_words(extension: RecordedExtension) -> dict[Compiler, list[str]]:
    """What each compiler and the link are told. A plain list is for both compilers, as torch takes it."""
    given = extension.attributes.get("extra_compile_args") or []
    by_compiler = given if isinstance(given, dict) else {"cxx": given, "nvcc": given}
    undefined = [f"-U{name}" for name in extension.texts("undef_macros")]

    def words(key: str) -> list[str]:
        value = by_compiler.get(key) or []
        listed = value if isinstance(value, list) else [value]
        return [*undefined, *(str(word) for word in listed if not isinstance(word, dict))]

    # Given by torch to nvcc, unasked (COMMON_NVCC_FLAGS of torch.utils.cpp_extension).
    torchs = ["--expt-relaxed-constexpr"] if extension.kind == "CUDAExtension" else []
    libraries = [f"-l{name}" for name in extension.texts("libraries")]
    return {
        "cxx": words("cxx"),
        "nvcc": [*torchs, *words("nvcc")],
        "link": [*extension.texts("extra_link_args"), *libraries],
    }


def _asks_limited_api(words: Mapping[Compiler, Sequence[str]], extension: RecordedExtension) -> bool:
    macros = _macros(extension)
    return any("Py_LIMITED_API" in word for word in (*words["cxx"], *macros))


def _note_left(paths: ExtensionPaths, options: Mapping[Compiler, SortedOptions]) -> None:
    for each in options.values():
        for what, advice in each.left:
            paths.leave(what, advice, search=what.partition("=")[2] or what.removeprefix("-l"))
    for key, advice in _UNUSED.items():
        for what in paths.extension.texts(key):
            paths.leave(f"{key}: {what}", advice, search=what)
    paths.library_dirs()


def _flags(
    extension: RecordedExtension, options: Mapping[Compiler, SortedOptions], interface: Interface, *, cuda: bool
) -> dict[str, Any]:
    """Macros that both compilers get are `defines`; the others stay options of the one."""
    cxx, nvcc = options["cxx"], options["nvcc"]
    torchs = nvcc.torchs if interface.torch is not TorchAbi.EXACT else []
    both = [name for name in cxx.defines if name in nvcc.defines or not cuda]
    own = _macros(extension)
    standards = {option.std for option in options.values()}
    return {
        "defines": _once(name for name in (*own, *both) if not name.startswith("Py_LIMITED_API")),
        "flags": _once((*cxx.kept, *(f"-D{name}" for name in cxx.defines if name not in both))),
        "nvcc-flags": _once((*torchs, *nvcc.kept, *(f"-D{name}" for name in nvcc.defines if name not in both)))
        if cuda
        else [],
        "link-flags": _once(options["link"].kept),
        # c++17 is the default, and what was older was raised to it without a word: newer compilers take it.
        "std": "c++20" if "c++20" in standards else None,
        "rdc": cuda and (nvcc.rdc or bool(extension.attributes.get("dlink"))),
    }


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _macros(extension: RecordedExtension) -> list[str]:
    """`define_macros`: pairs of a name and a value, which may be missing."""
    given = extension.attributes.get("define_macros")
    pairs = [pair if isinstance(pair, list) else [pair] for pair in given] if isinstance(given, list) else []
    named = [(*pair, None) for pair in pairs if pair and isinstance(pair[0], str) and pair[0]]
    return [name if value is None else f"{name}={value}" for name, value, *_ in named]
