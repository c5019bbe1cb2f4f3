"""From a finished build to what is noted beside its objects and libraries, or the reason why they are not kept.

A file counts as what it holds now if it is as it was before the build, or if nobody can have changed it since: then
compilers and linkers read the same. Names that were looked for and were not there count like files.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._cache.file_state import YOUNG, state_of
from gpuwheel._process import environment
from gpuwheel.compile.includes import joined_lines
from gpuwheel.compile.reuse.asked import Asked, probes
from gpuwheel.compile.reuse.comments import comments_count, judges_by_comments
from gpuwheel.compile.reuse.epoch import EPOCH, follows_epoch
from gpuwheel.compile.reuse.facts import Facts
from gpuwheel.compile.reuse.named_files import folders_in, named_paths, refusal, with_response_files
from gpuwheel.compile.reuse.search import SearchFolders, missing_part, ordinary_words
from gpuwheel.compile.reuse.tokens import FIXED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from gpuwheel._cache.file_state import State
    from gpuwheel.compile.reuse.asked import Probe
    from gpuwheel.compile.reuse.facts import Places
    from gpuwheel.compile.reuse.index import FileIndex
    from gpuwheel.compile.reuse.made import Made

__all__ = ["Evidence", "NotKeptError", "Setting"]


_DEBUG_LINES = b"debug_line"
"""In the name of a section with line tables, which may have sums of the sources: DWARF 5, 6.2.4.1."""
_NVCC_FLAGS = ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")
"""Variables with options of nvcc that no command shows (nvcc manual, "NVCC Environment Variables")."""


class NotKeptError(Exception):
    """What was made may be used, and not kept; the message says why."""


@dataclass(frozen=True)
class Setting:
    """What a build took place in, and what was known of it before."""

    root: Path
    """The project."""
    places: Places
    host: tuple[str, ...]
    """The command that starts the C++ compiler."""
    toolkit: Path | None
    """Of nvcc."""
    library_dirs: tuple[str, ...]
    """Where the driver has the linker look by itself."""
    environ: Mapping[str, str]
    adds_options: bool
    """Whether the compilers' drivers may add options that no command shows: wrappers, specs, Clang's configuration."""
    before: Mapping[str, State | None]
    """Files that are known to matter, such as those whose content went into the keys, as they were before the build."""
    start: int
    """When they were looked at, in ns since 1970."""
    sealed: str
    """The cache, ending in a separator: folders of it that a build uses are looked over before anything is kept."""


class Evidence:
    """What one finished build says of its objects and libraries."""

    def __init__(self, made: Made, setting: Setting, index: FileIndex) -> None:
        self._made = made
        self._setting = setting
        self._index = index
        self._folders = SearchFolders(setting.host, setting.toolkit, setting.environ)
        self._known: dict[str, bool] = {}
        self._texts: dict[str, bytes] = {}
        self._asked: dict[str, Asked] = {}
        self._probes: dict[str, list[Probe]] = {}
        self._unknown: dict[str, str] = {}
        self._included: set[str] | None = None
        self._reached: dict[str, Mapping[tuple[int, int], Sequence[str]]] = {}
        self._judged = False
        self._cwd = str(made.build)
        self._work = f"{made.build.parent}{os.sep}"  # all of it was made by the build, from what keys hold

    def look(self, targets: Collection[str]) -> None:
        """Read what was read for these targets, all at once: a macro of one file may be used in another."""
        for path in sorted({path for target in targets for path in self._made.read.get(target, ())}):
            if not self._is_own(path) and path not in self._texts:
                try:
                    self._texts[path] = joined_lines(Path(path).read_bytes())
                except OSError as error:
                    msg = f"{path} is gone ({error.strerror})"
                    raise NotKeptError(msg) from error
        self._judged = any(map(judges_by_comments, self._texts.values()))
        found, self._unknown = probes(self._texts)
        for probe in found:
            self._probes.setdefault(probe.file, []).append(probe)

    def compiled(self, targets: Collection[str]) -> Facts:
        """What the objects of some CMake targets were made from.

        Raises:
            NotKeptError: that cannot be told, or changed meanwhile.
        """
        read = {path for target in targets for path in self._made.read.get(target, ()) if not self._is_own(path)}
        sources = self._sources(read, targets)
        absent: set[str] = set()
        folders: dict[str, int] = {}
        for words in (words for target in targets for words in self._made.commands.get(target, ())):
            every = self._opened(words)
            for folder, rank in self._folders.of_headers(every, self._cwd).items():
                folders[folder] = min(rank, folders.get(folder, rank))
            self._options(every, read, absent)
        names, aliases = self._names(read, folders)
        read |= aliases
        for folder, rank in folders.items():
            for name, found in names.items():
                if rank <= found:
                    self._look_for(folder, name, read, absent)
        known = [path for path in read if path in self._texts]
        for path in known:
            self._follow(path, folders, names, read, absent)
            sources -= self._embedded_by(path, folders)
        clocks = {path: time for path in known if (time := self._ask(path).time) is not None}
        root = self._elsewhere(targets, folders)
        return replace(self._facts(read, absent, root, sources), epoch=self._epoch(clocks))

    def linked(self) -> Facts:
        """What the libraries were linked from, beside their objects.

        Raises:
            NotKeptError: as for `compiled`.
        """
        if self._made.link_read is None:
            msg = "the linker does not say what it reads (it has no --dependency-file, as binutils 2.35 and lld have)"
            raise NotKeptError(msg)
        with environment(self._setting.environ):
            temporary = tempfile.gettempdir()  # where compilers write objects for the linker, which are gone
        read = {
            path
            for path in self._made.link_read
            if not self._is_own(path) and (os.path.lexists(path) or os.path.dirname(path) != temporary)  # noqa: PTH120
        }
        absent: set[str] = set()
        folders = dict.fromkeys(self._setting.library_dirs)
        names = {os.path.basename(path) for path in read}  # noqa: PTH119
        for words in self._made.link_commands:
            every = self._opened(words)
            folders |= dict.fromkeys(folders_in(every, self._cwd))
            names |= {f"lib{name}.so" for name in _libraries(every)}
            self._options(every, read, absent)
        libraries = {name.partition(".so")[0].removesuffix(".a") for name in names if name.startswith("lib")}
        # Of two folders the first that has either counts.
        names |= {name + end for name in libraries for end in (".so", ".a")}
        # /lib is a link to /usr/lib: one folder is looked through once.
        for folder in {os.path.realpath(folder): folder.rstrip("/") for folder in folders}.values():
            for name in names:
                self._look_for(folder, name, read, absent)
        read |= self._made.scripts - {path for path in self._made.scripts if self._is_own(path)}
        return self._facts(read, absent)

    def _sources(self, read: Iterable[str], targets: Iterable[str]) -> set[str]:
        """Files of the project, read by compilers that make the same of them whatever their comments say."""
        if self._judged or self._setting.adds_options or any(map(self._may_tell_comments, targets)):
            return set()
        return {path for path in read if path.startswith(f"{self._setting.root}{os.sep}")}

    def _may_tell_comments(self, target: str) -> bool:
        """Whether what comments say may be in an object of a target, or may end its compilation."""
        commands = self._made.commands.get(target, ())
        flags = [word for name in _NVCC_FLAGS for word in ordinary_words(self._setting.environ.get(name, ""))]
        for words in commands:
            every = self._opened([*words, *flags])
            if comments_count(dropwhile(lambda word: not word.startswith("-"), every)):  # programs come first
                return True
        objects = (path for (owner, _), path in self._made.objects.items() if owner == target)
        return not commands or any(_DEBUG_LINES in path.read_bytes() for path in objects)

    def _opened(self, words: Sequence[str]) -> list[str]:
        """The words of a command, with those in the files that it names for them."""
        return list(with_response_files(words, [self._cwd, str(self._setting.root)]))

    def _embedded_by(self, path: str, folders: Iterable[str]) -> set[str]:
        """Files of which a source takes every byte."""
        asked = self._ask(path)
        names = [*asked.assembled, *(one.name for one in asked.embedded)]
        places = (os.path.dirname(path), self._cwd, str(self._setting.root), *folders) if names else ()  # noqa: PTH120
        paths = {os.path.join(folder, name) for folder in places for name in names}  # noqa: PTH118
        files = {file for one in paths if (file := _identity(one)) is not None}
        return paths | ({other for other in self._texts if _identity(other) in files} if files else set())

    def _elsewhere(self, targets: Collection[str], folders: Collection[str]) -> str | None:
        """The project's folder, if a file may have been found by a path from there to outside of it."""
        inside = tuple(f"{folder.rstrip('/')}/" for folder in (*folders, *self._setting.places.folders))
        for path in {path for target in targets for path in self._made.read.get(target, ())}:
            if not self._is_own(path) and not path.startswith(inside) and not os.path.realpath(path).startswith(inside):
                return str(self._setting.root)
        return None

    def _epoch(self, clocks: Mapping[str, str]) -> str | None:
        """SOURCE_DATE_EPOCH, if the time that some files ask for is that one; `clocks`: file -> macro."""
        if not clocks:
            return None
        # One that no epoch fixes decides, whatever others there are.
        path, macro = min(clocks.items(), key=lambda clock: clock[1] in FIXED)
        epoch = self._setting.environ.get(EPOCH)
        if epoch is None or macro not in FIXED or not follows_epoch(self._setting.host, self._setting.environ):
            msg = f"{path} has {macro}, which says nothing of what it depends on"
            raise NotKeptError(msg)
        return epoch

    def _is_own(self, path: str) -> bool:
        return path.startswith(self._work) and (".." not in path or os.path.realpath(path).startswith(self._work))

    def _options(self, words: list[str], read: set[str], absent: set[str]) -> None:
        """Add what options name."""
        reason = refusal(words)
        files, missing, unknown = named_paths(words, [self._cwd, str(self._setting.root)])
        if reason is None and unknown is not None:
            reason = f"{unknown} names a folder, and what is read there is not known"
        if reason is not None:
            raise NotKeptError(reason)
        read |= {path for path in files if not self._is_own(path)}
        absent |= {path for path in missing if not self._is_own(path)}

    def _names(self, read: Collection[str], folders: Mapping[str, int]) -> tuple[dict[str, int], set[str]]:
        """(how files are called in the folders that are searched -> the highest rank of one they were found in, the
        same files by the path that was searched).
        """
        spelled = {f"{folder.rstrip('/')}/": rank for folder, rank in folders.items()}
        sources = {word for commands in self._made.commands.values() for words in commands for word in words}
        names: dict[str, int] = {}
        aliases: set[str] = set()
        for path in read:
            below = {path[len(prefix) :]: rank for prefix, rank in spelled.items() if path.startswith(prefix)}
            if not below and path not in sources:
                for folder, name in self._behind(path, folders):
                    below[name] = max(folders[folder], below.get(name, 0))
                    aliases.add(f"{folder}/{name}")
            for name, rank in below.items():
                names[name] = max(rank, names.get(name, 0))
        return names, aliases

    def _behind(self, path: str, folders: Collection[str]) -> Iterator[tuple[str, str]]:
        """(folder, name) by which a file was found: compilers may say where links lead, of a folder or of the file."""
        file = _identity(path)
        for folder in folders:
            names = self._reached_from(folder).get(file, ()) if file is not None else ()
            yield from ((folder, name) for name in names)
            real = os.path.realpath(folder) + os.sep
            name = path.removeprefix(real)
            if name != path and name not in names and file is not None and _identity(f"{folder}/{name}") == file:
                yield folder, name

    def _reached_from(self, folder: str) -> Mapping[tuple[int, int], Sequence[str]]:
        """File -> the names, of all that some file includes, by which it is found in `folder`; looked for once."""
        if self._included is None:
            self._included = {name for text in self._texts for name in self._ask(text).included}
        if folder not in self._reached:
            found: dict[tuple[int, int], list[str]] = {}
            for name in self._included:
                is_there = missing_part(folder, name, self._known) is None
                if is_there and (file := _identity(f"{folder}/{name}")) is not None:
                    found.setdefault(file, []).append(name)
            self._reached[folder] = found
        return self._reached[folder]

    def _follow(
        self, path: str, folders: Collection[str], names: Collection[str], read: set[str], absent: set[str]
    ) -> None:
        """Add what a file looks for beside what it includes."""
        asked = self._ask(path)
        reason = asked.unseen or (path in self._unknown and f"__has_include({self._unknown[path]})")
        if reason:
            msg = f"{path} has {reason}, which says nothing of what it depends on"
            raise NotKeptError(msg)
        here = os.path.dirname(path)  # noqa: PTH120
        for name in (*asked.quoted, *(names if asked.computed else ())):
            self._look_for(here, name, read, absent)
        looked = [(probe.name, probe.quoted) for probe in self._probes.get(path, ())]
        looked += [(one.name, one.quoted) for one in asked.embedded]
        for name, quoted in looked:
            for folder in (here, *folders) if quoted else folders:
                self._look_for(folder, name, read, absent, counts=True)
        for name in asked.assembled:
            places = (self._cwd, str(self._setting.root), *folders)
            before = len(read)
            for folder in places:
                self._look_for(folder, name, read, absent, counts=True)
            if len(read) == before and not any(os.path.join(folder, name) in read for folder in places):  # noqa: PTH118
                msg = f"{path} has .incbin of {name}, which is not found"
                raise NotKeptError(msg)

    def _ask(self, path: str) -> Asked:
        if path not in self._asked:
            self._asked[path] = Asked.of(self._texts[path])
        return self._asked[path]

    def _look_for(self, folder: str, name: str, read: set[str], absent: set[str], *, counts: bool = False) -> None:
        """Note that `name` is not in `folder`; if it is, that it was before, and where it `counts`, what it holds."""
        if os.path.isabs(name) or ".." in name:  # noqa: PTH117
            path = os.path.join(folder, name)  # noqa: PTH118
            missing = None if os.path.lexists(path) else path
        else:
            path = f"{folder}/{name}"
            missing = missing_part(folder, name, self._known)
        if missing is not None:
            if not self._is_own(missing):
                absent.add(missing)
        elif path not in read and not self._is_own(path):
            self._was_there(folder, name)
            if counts and os.path.isfile(path):  # noqa: PTH113
                read.add(path)

    def _was_there(self, folder: str, name: str) -> None:
        """See that a file that was not read did not appear after the compiler had looked for it."""
        path = os.path.join(folder, name)  # noqa: PTH118
        if path.startswith(self._setting.sealed):
            return
        if path in self._setting.before and self._setting.before[path] == state_of(path):
            return
        parts = [path]
        if not os.path.isabs(name) and ".." not in name:  # noqa: PTH117  (else it leads out of the folder)
            while len(parent := os.path.dirname(parts[-1])) > len(folder):  # noqa: PTH120
                parts.append(parent)
        for part in parts:
            if os.lstat(part).st_ctime_ns >= self._setting.start - YOUNG:
                msg = f"{part} appeared while the build ran, or just before"
                raise NotKeptError(msg)

    def _facts(
        self,
        read: Iterable[str],
        absent: Iterable[str],
        root: str | None = None,
        sources: Collection[str] = frozenset(),
    ) -> Facts:
        """The facts of what was read and was not there; in files that are `sources`, comments do not count."""
        setting, named = self._setting, self._setting.places.named
        digests: dict[str, str] = {}
        emptied: dict[str, str] = {}
        for path in sorted(read):
            state = state_of(path)
            if path in setting.before:
                if state != setting.before[path]:
                    msg = f"{path} changed while the build ran"
                    raise NotKeptError(msg)
            # By the time of change (ctime), which no program sets: that of modification can be put back.
            elif state is not None and state[3] >= setting.start - YOUNG and not path.startswith(setting.sealed):
                msg = f"{path} changed while the build ran, or just before"
                raise NotKeptError(msg)
            digest = self._index.digest(path, comments=path not in sources)
            if digest is None:
                if os.path.exists(path):  # noqa: PTH110  (a device such as /dev/null, which a key names)
                    continue
                msg = f"{path} is gone"
                raise NotKeptError(msg)
            (emptied if path in sources else digests)[named(path)] = digest
        return Facts(digests, frozenset(map(named, absent)), root, sources=emptied)


def _libraries(words: Collection[str]) -> Iterator[str]:
    """What follows `-l`."""
    before = ""
    for word in words:
        if before == "-l":
            yield word
        elif word.startswith("-l"):
            yield word[2:].removeprefix(":").removeprefix("lib").partition(".so")[0].removesuffix(".a")
        before = word


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the file that a path leads to: the same for all names of one file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_dev, status.st_ino
