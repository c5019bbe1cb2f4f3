"""What a kernel group consists of: programs, their targets, and the keys under which their images are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._cache.file_state import state_of
from gpuwheel._resources import resource
from gpuwheel.compile.device.command_line import Target, VirtualPaths, command_line, shipped_include_dirs
from gpuwheel.compile.includes import IncludeScanner, without_remarks
from gpuwheel.compile.reuse.comments import comments_count
from gpuwheel.compile.reuse.store import content_key, tree_digest
from gpuwheel.compile.reuse.tokens import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache.file_state import State
    from gpuwheel.model.kernels import KernelGroup
    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["DeviceOptions", "GroupPlan", "Program", "plan_group"]

_FACTS = 2
"""Version of the facts beside an image; part of every key."""
_PRE_INCLUDES = ("--pre-include", "-include")
_FOLDERS = ("--include-path", "-I")
# Compiled headers are kept by NVRTC, and what it writes of its own time is nobody's to keep.
_UNSEEN = ("-pch", "--pch", "--use-pch", "-use-pch", "--create-pch", "-create-pch", "--pch-dir", "-pch-dir")


@dataclass(frozen=True)
class DeviceOptions:
    """What the flags of a kernel group have NVRTC read.

    Source: NVRTC documentation, "Supported Compile Options".
    """

    first: tuple[str, ...]
    """Headers that are included before the source, in order."""
    include_dirs: tuple[Path, ...]
    """Folders to search."""
    unseen: str | None
    """An option by which something is read that nobody names."""

    @classmethod
    def of(cls, flags: Sequence[str], root: Path) -> DeviceOptions:
        """Of `flags`, as NVRTC reads them in the folder `root`."""
        first: list[str] = []
        folders: list[str] = []
        unseen = None
        waiting: list[str] | None = None
        for flag in flags:
            if waiting is not None:
                waiting.append(flag)
                waiting = None
                continue
            name, equals, value = flag.partition("=")
            if name.startswith("-I") and name != "-I":
                folders.append(flag[2:].strip())
            elif name in _PRE_INCLUDES or name in _FOLDERS:
                into = first if name in _PRE_INCLUDES else folders
                if equals:
                    into.append(value)
                else:
                    waiting = into
            elif name in _UNSEEN:
                unseen = flag
        return cls(tuple(first), tuple(root / folder for folder in folders), unseen)


@dataclass(frozen=True)
class Program:
    """One source, with the keys of what it becomes."""

    source: Path
    name: str
    """Virtual, as in `VirtualPaths`."""
    shown: str
    """For people: relative to the project."""
    options: Mapping[Target, tuple[str, ...]]
    image_keys: Mapping[Target, str]
    key: str
    """Of the fatbin."""
    texts: str
    """Of the files that it depends on, as they are: kernels are described by the comments above them."""
    states: Mapping[Path, State | None]
    """Of the files that it depends on, before they were read."""
    refusal: str | None
    """Why nothing of it may be kept, if so: it depends on what no key can hold."""

    def __hash__(self) -> int:
        # Of the fields, mappings have no hash.
        return hash(self.key)

    def is_told_by(self, image: Mapping[str, Any]) -> bool:
        """Whether the facts of an image are of this very text: what the compiler said quotes lines, comments too."""
        return not image["messages"] or image["texts"] == self.texts


@dataclass(frozen=True)
class GroupPlan:
    """A kernel group as the compiler will see it."""

    group: KernelGroup
    compiler: DeviceCompiler
    programs: tuple[Program, ...]
    paths: VirtualPaths
    key: str
    """Of all that the group becomes."""

    @property
    def refusal(self) -> str | None:
        """Why what the group becomes may not be kept, if so."""
        return next((program.refusal for program in self.programs if program.refusal is not None), None)

    def is_current(self, program: Program) -> bool:
        """Whether the files that `program` depends on are what its keys were made from, and were all the time.

        A file that was changed and changed back has another time of change.
        """
        if any(state_of(str(path)) != state for path, state in program.states.items()):
            return False
        # New, without anything remembered: the files are read again.
        keys = _Keys(self.group, self.compiler, self.paths)
        return keys.program(program.source).key == program.key


def plan_group(group: KernelGroup, compiler: DeviceCompiler) -> GroupPlan:
    """Read the sources and make the keys, from contents: nothing of where a file lies or when it was written."""
    paths = VirtualPaths.of(group, compiler)
    keys = _Keys(group, compiler, paths)
    programs = tuple(keys.program(source) for source in group.sources)
    sources = [(program.shown, program.key, program.texts) for program in programs]
    # What is written beside the images is decided by modules of `compile`, and by what `binary` reads out of them.
    makers = [tree_digest(resource(room), ".py") for room in ("compile", "binary")]
    key = content_key({"group": group.name, "sources": sources, "made by": makers})
    return GroupPlan(group, compiler, programs, paths, key)


class _Keys:
    """Makes the keys of one group, reading each file once."""

    def __init__(self, group: KernelGroup, compiler: DeviceCompiler, paths: VirtualPaths) -> None:
        shipped = shipped_include_dirs()
        self._group = group
        self._paths = paths
        self._targets = [
            *(Target(arch, ptx=False) for arch in group.cubin_archs),
            *(Target(arch, ptx=True) for arch in group.ptx_archs),
        ]
        self._options = DeviceOptions.of(group.flags, group.root)
        self._scanner = IncludeScanner(
            (*group.include_dirs, *self._options.include_dirs),
            (*shipped, *compiler.include_dirs),
            " ".join((*group.defines, *group.flags)),
            tuple((group.root, name) for name in self._options.first),
        )
        # __DATE__, __TIME__ and __TIMESTAMP__: the same files would give other bytes tomorrow.
        time = clock("\n".join((*group.defines, *group.flags)).encode(errors="replace"))
        self._unseen = self._options.unseen or (f"a macro has {time}" if time else None)
        self._toolchain = {"facts": _FACTS, "compiler": compiler.digest, "headers": tree_digest(shipped[0])}

    def program(self, source: Path) -> Program:
        name = self._paths.name(source)
        files = self._scanner.closure(source)
        options = {target: command_line(self._group, source, target, self._paths) for target in self._targets}
        texts = sorted((self._paths.name(file.path), file.sha256) for file in files)
        tokens = sorted((self._paths.name(path), digest) for path, digest in without_remarks(files))
        only_tokens = not any(map(comments_count, options.values()))
        closure = tokens if only_tokens else texts
        program = content_key({**self._toolchain, "name": name, "closure": closure})
        image_keys = {target: content_key({"program": program, "options": line}) for target, line in options.items()}
        fatbin = {**self._toolchain, "images": list(image_keys.values()), "fatbin": self._group.compression}
        return Program(
            source=source,
            name=name,
            shown=self._paths.real(name),
            options=options,
            image_keys=image_keys,
            key=content_key(fatbin),
            texts=content_key({"files": texts}),
            states={file.path: file.state for file in files},
            refusal=self._unseen or self._scanner.refusal(source),
        )
