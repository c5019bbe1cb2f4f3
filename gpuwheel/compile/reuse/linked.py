"""What was compiled and linked, in the cache: what did not change is not configured, compiled or linked again.

Two things are kept: linked libraries, and objects of their sources, which serve where others changed. A key holds all
that gpuwheel gives the compilers, by content (`cmake.keys`). What they read by themselves, wherever it lies, is noted
with its digest, and what they looked for and did not find with its name: both have to be as they were (`facts`).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel._cache.file_state import YOUNG, state_of
from gpuwheel.compile.reuse.epoch import EPOCH
from gpuwheel.compile.reuse.evidence import Evidence, NotKeptError, Setting
from gpuwheel.compile.reuse.facts import Facts
from gpuwheel.compile.reuse.made import Made, Output
from gpuwheel.compile.reuse.scopes import Scope, narrowest
from gpuwheel.compile.reuse.store import ContentStore, Stored, all_origins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.compile.reuse.index import FileIndex

__all__ = ["LibraryStore", "LinkedFile", "Output", "Recipe", "Unit", "pieces"]


@dataclass(frozen=True)
class Unit:
    """Objects that are kept together."""

    scopes: tuple[Scope, ...]
    """The keys that they may be under, one for each thing that cells of a project differ in and that they may read."""
    outputs: tuple[Output, ...]
    linkable: bool = True
    """Whether they can be linked by themselves, with their sources unknown to CMake."""
    placed: bool = False
    """Whether where the project lies is in their bytes."""

    @property
    def key(self) -> str:
        """What they are made from, all that they may read counted."""
        return self.scopes[-1].key

    @property
    def targets(self) -> set[str]:
        """The CMake targets that make them."""
        return {target for target, _ in self.outputs}


@dataclass(frozen=True)
class Recipe:
    """What a project is made from."""

    units: tuple[Unit, ...]
    linked: str
    """The key of its libraries."""
    setting: Setting
    index: FileIndex
    compilers: Mapping[str, str]
    """Variable of CMake -> the program it has to name: those that the keys hold."""
    names_link_inputs: bool
    """Whether the linker can write down what it reads."""
    refusal: str | None = None
    """Why nothing is found or kept, if so: something has a say that no key covers."""


@dataclass(frozen=True)
class LinkedFile:
    """A library as it goes into the wheel."""

    name: str
    """Member of the wheel, for example "fused_ops/_C.so"."""
    data: bytes
    executable: bool


class LibraryStore:
    """What one project became before, and becomes now."""

    def __init__(self, cache: Cache, recipe: Recipe) -> None:
        self._store = ContentStore(cache, "libraries", cache.tier)
        self._recipe = recipe
        self._found: dict[str, Stored] = {}
        self._before = dict(recipe.setting.before)
        self._clock = _clock()

    def linked(self) -> list[LinkedFile] | None:
        """The libraries, if the same ones were linked before."""
        key = self._recipe.linked
        stored = self._find([key], of_parts=True).get(key)
        self._recipe.index.save()
        if stored is None:
            return None
        contents = pieces(stored.content, [size for _, size, _ in stored.facts["files"]])
        files = zip(stored.facts["files"], contents, strict=True)
        return [LinkedFile(name, data, executable) for (name, _, executable), data in files]

    def objects(self, folder: Path) -> dict[Output, Path]:
        """The objects that were compiled before, written into `folder`."""
        # Relocatable device code has to be linked by CMake from sources that it knows.
        units = [unit for unit in self._recipe.units if unit.linkable]
        for number in range(max((len(unit.scopes) for unit in units), default=0)):
            keys = {
                unit.scopes[number].key: unit.key
                for unit in units
                if number < len(unit.scopes) and unit.key not in self._found
            }
            self._found |= {keys[key]: stored for key, stored in self._find([*keys]).items()}
        found: dict[Output, Path] = {}
        for unit in self._recipe.units:
            stored = self._found.get(unit.key)
            if stored is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for output, data in zip(unit.outputs, pieces(stored.content, stored.facts["sizes"]), strict=True):
                found[output] = folder / f"{len(found)}.o"
                found[output].write_bytes(data)
        return found

    def save(self, files: Sequence[LinkedFile], build: Path) -> list[str]:
        """Keep what was linked in the CMake folder `build`, and the objects that were compiled there.

        Returns:
            Why something is not kept, if so.

        Raises:
            CacheError: the cache cannot be written.
            AuditError: an object of a remote was to be verified, and is another one.
        """
        if self._recipe.refusal is not None:
            return []
        if _clock() < self._clock - YOUNG // 2:
            return ["the clock was set back while the build ran, so times of change say nothing"]
        made = Made.of(build, self._recipe.setting.environ)
        if made is None:
            return ["it was not made by Ninja, which notes what compilers read"]
        self._compare(made)
        self._recipe.index.forget()
        # What older entries were made from is known by now too.
        setting = replace(self._recipe.setting, before=self._before)
        evidence = Evidence(made, setting, self._recipe.index)
        try:
            self._check_compilers(made)
            reasons = list(self._save(files, made, evidence))
        except NotKeptError as error:
            reasons = [str(error)]
        self._store.flush()
        self._recipe.index.save()
        return reasons

    def _compare(self, made: Made) -> None:
        """Compare objects with those of a remote, where they were drawn for it; whether they are kept or not."""
        for unit in self._recipe.units:
            if unit.key not in self._found and all(output in made.objects for output in unit.outputs):
                content = _content(unit, made)
                for scope in unit.scopes:
                    self._store.compare(scope.key, content)

    def _save(self, files: Sequence[LinkedFile], made: Made, evidence: Evidence) -> Iterator[str]:
        facts: list[Facts] = []
        new = [unit for unit in self._recipe.units if unit.key not in self._found]
        evidence.look({target for unit in new for target in unit.targets})
        for unit in self._recipe.units:
            stored = self._found.get(unit.key)
            if stored is None:
                try:
                    stored = _compiled(unit, made, evidence, str(self._recipe.setting.root))
                except NotKeptError as error:
                    yield str(error)
                    continue
                self._store.save_soon(narrowest(unit.scopes, stored.facts["read"]).key, stored)
            facts.append(Facts.of(stored.facts))
        if len(facts) == len(self._recipe.units):
            linked = Facts.all_of([*facts, evidence.linked()])
            listed = [[file.name, len(file.data), file.executable] for file in files]
            content = b"".join(file.data for file in files)
            origins = all_origins(self._found.values())
            self._store.save_soon(self._recipe.linked, Stored({**linked.stored(), "files": listed}, content, origins))

    def _find(self, keys: Sequence[str], *, of_parts: bool = False) -> dict[str, Stored]:
        """Entries whose facts hold."""
        return {} if self._recipe.refusal is not None else self._store.find(keys, self._holds, of_parts=of_parts)

    def _holds(self, key: str, stored: Stored) -> bool:
        """Whether facts hold. What an old entry was made from is looked at now, before it may change."""
        del key
        facts, setting = Facts.of(stored.facts), self._recipe.setting
        places = setting.places
        if facts.holds(places, str(setting.root), self._recipe.index, setting.environ.get(EPOCH)):
            return True
        for path in (*map(places.real, facts.read), *filter(os.path.lexists, map(places.real, facts.absent))):
            self._before.setdefault(path, state_of(path))
        return False

    def _check_compilers(self, made: Made) -> None:
        """See that CMake took the compilers that the keys hold."""
        for variable, program in self._recipe.compilers.items():
            found = made.variables.get(variable, program)
            if found != program:
                msg = f"CMake took {found} for {variable} (expected {program})"
                raise NotKeptError(msg)


def _clock() -> int:
    """How far the clock by which files are dated is ahead of one that nobody sets, in ns."""
    return time.time_ns() - time.monotonic_ns()


def _compiled(unit: Unit, made: Made, evidence: Evidence, root: str) -> Stored:
    """The objects of a unit of the project in `root`.

    Raises:
        NotKeptError: it cannot be told what they were made from, or that changed.
    """
    for target, source in unit.outputs:
        if (target, source) not in made.objects or target not in made.read:
            msg = f"the compiler does not say what it read for {source}"
            raise NotKeptError(msg)
    facts = evidence.compiled(unit.targets)
    facts = replace(facts, root=root if unit.placed else facts.root)
    sizes = [made.objects[output].stat().st_size for output in unit.outputs]
    return Stored({**facts.stored(), "sizes": sizes}, _content(unit, made))


def _content(unit: Unit, made: Made) -> bytes:
    return b"".join(made.objects[output].read_bytes() for output in unit.outputs)


def pieces(content: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`content` cut into parts of these sizes."""
    parts, offset = [], 0
    for size in sizes:
        parts.append(content[offset : offset + size])
        offset += size
    return parts
