"""Projects that build by a CMakeLists.txt of their own, and what their CMake files say of extensions."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpuwheel.adopt.declared.recording import RecordedExtension, SetupRecord
from gpuwheel.adopt.included import interface_of
from gpuwheel.adopt.leftover import Leftover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.adopt.included import Interface

__all__ = ["CMAKE_FILE", "CMakeProject", "cmake_project", "record_cmake", "with_targets"]

CMAKE_FILE = "CMakeLists.txt"
_COMMENT = re.compile(r"#\[\[.*?\]\]|#[^\n]*", re.DOTALL)
_COMMAND = re.compile(r"(?P<name>[A-Za-z_]\w*)[ \t]*\((?P<words>[^()]*(?:\([^()]*\)[^()]*)*)\)")
_WORD = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"]+)')
# Functions of pybind11, nanobind, CMake itself, vLLM and others that make modules.
_MODULES = {
    *("pybind11_add_module", "nanobind_add_module", "python_add_library", "python3_add_library"),
    *("define_gpu_extension_target", "define_extension_target", "torch_library", "add_python_module"),
}
_KINDS = {"MODULE", "SHARED"}
_NATIVE = (".c", ".cc", ".cpp", ".cu", ".cxx")
_FINDS = {
    "torch": "GpuWheel::torch has its headers and library; leave out find_package(Torch), which needs an installed one",
    "cuda": "find_package(CUDAToolkit) finds gpuwheel's",
}
_FILES = 400


@dataclass(frozen=True)
class _Command:
    name: str
    words: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class CMakeProject:
    """What a `CMakeLists.txt` says, read without CMake: no variable is known, no condition decided."""

    file: str
    """Relative to the project."""
    modules: Mapping[str, int]
    """Targets that are libraries a package loads -> the line."""
    interface: Interface
    left: tuple[Leftover, ...]
    """Its lines that gpuwheel's own functions take the place of."""


def cmake_project(record: SetupRecord) -> CMakeProject | None:
    """The `CMakeLists.txt` that builds the extensions of a project; `None` where there is none.

    It is the one in a folder that the extensions or `setup()` name, or that of the project, of `csrc` or of `src`.
    """
    named = [str(record.keywords.get("cmake_source_dir") or ".")]
    for extension in record.extensions:
        named = [value for value in extension.attributes.values() if isinstance(value, str) and value] + named
    for folder in (*named, "csrc", "src", "cpp"):
        path = (record.root / folder / CMAKE_FILE).resolve()
        if path.is_relative_to(record.root) and path.is_file():
            return _project(record.root, path)
    return None


def record_cmake(root: Path, pyproject: Mapping[str, Any]) -> SetupRecord:
    """The record of a project that has a `CMakeLists.txt` and no `setup.py`."""
    root = root.resolve()
    text = (root / CMAKE_FILE).read_text(encoding="utf-8", errors="replace")
    name = str(pyproject.get("project", {}).get("name") or root.name)
    empty = SetupRecord(
        root=root,
        place=f"{CMAKE_FILE}:1",
        keywords={"name": name},
        extensions=(),
        commands={},
        notes=(),
        arch_lists={},
        site=root,
        cuda=root,
        lines=tuple(text.splitlines()),
        file=CMAKE_FILE,
    )
    return with_targets(empty, _project(root, root / CMAKE_FILE))


def with_targets(record: SetupRecord, project: CMakeProject) -> SetupRecord:
    """The record with an extension for each library that the CMake project makes for a package."""
    package = _package(record)
    extensions = [
        RecordedExtension(
            "CMake", f"{package}.{target}" if package else target, f"{project.file}:{line}", {"own": True}
        )
        for target, line in project.modules.items()
    ]
    return replace(record, extensions=tuple(extensions))


def _package(record: SetupRecord) -> str:
    name = str(record.keywords.get("name") or record.root.name).replace("-", "_").replace(".", "_")
    places = (record.root / base / name for base in ("src", "python", ""))
    return name if any((place / "__init__.py").is_file() for place in places) else ""


def _project(root: Path, path: Path) -> CMakeProject:
    text = path.read_text(encoding="utf-8", errors="replace")
    commands = list(_commands(text))
    shown = path.relative_to(root).as_posix()
    modules = {
        command.words[0]: command.line
        for command in commands
        if command.words
        and command.words[0].isidentifier()
        and (command.name in _MODULES or (command.name == "add_library" and _KINDS & {*command.words}))
    }
    named = [path.parent / word for command in commands for word in command.words if word.endswith(_NATIVE)]
    sources = [source for source in named if source.is_file()]
    if not sources:
        below = (file for file in sorted(path.parent.rglob("*")) if file.suffix in _NATIVE and file.is_file())
        sources = [file for file, _ in zip(below, range(_FILES), strict=False)]
    folders = [folder for folder in (path.parent, path.parent / "include") if folder.is_dir()]
    interface = interface_of(sources, folders, limited_api="Py_LIMITED_API" in text or "STABLE_ABI" in text)
    return CMakeProject(shown, modules, interface, tuple(_left(shown, commands, modules)))


def _commands(text: str) -> Iterator[_Command]:
    # Newlines stay, for the lines that are told.
    text = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _COMMAND.finditer(text):
        words = tuple(word["plain"] or word["quoted"] or "" for word in _WORD.finditer(match["words"]))
        # Names of commands do not distinguish upper and lower case (cmake-language(7)).
        yield _Command(match["name"].lower(), words, text.count("\n", 0, match.start()) + 1)


def _left(file: str, commands: list[_Command], modules: Mapping[str, int]) -> Iterator[Leftover]:
    for command in commands:
        first = command.words[0] if command.words else ""
        place, what = f"{file}:{command.line}", f"{command.name}({first})"
        if modules.get(first) == command.line:
            yield Leftover(place, what, f"gpuwheel_add_extension({first} PACKAGE.{first} SOURCES ...) makes it")
        elif command.name == "find_package" and first.lower() in _FINDS:
            yield Leftover(place, what, _FINDS[first.lower()])
        elif command.name == "set" and first == "CMAKE_CUDA_ARCHITECTURES":
            yield Leftover(place, what, "archs in [tool.gpuwheel] names them; CODE ... those of single targets")
    if not any(command.name == "find_package" and command.words[:1] == ("GpuWheel",) for command in commands):
        yield Leftover(f"{file}:1", "no find_package(GpuWheel)", "it brings the compilers, headers and functions")
