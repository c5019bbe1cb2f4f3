"""The programs behind a compiler, by content: who preprocesses, compiles, assembles and links, and what steers them.

A driver is asked once; what it said holds as long as it, and what it found, are as they were, and nothing is where it
would have looked before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._environment.compilers import is_compiler
from gpuwheel._run import run
from gpuwheel.compile.reuse.facts import FORMAT, Facts, Places
from gpuwheel.compile.reuse.store import ContentStore, Stored, content_key
from gpuwheel.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel._cache import Cache
    from gpuwheel.compile.reuse.index import FileIndex

__all__ = ["Driver", "build_tools", "toolkit_adds_options", "toolkit_tools"]

# GCC manual, "Environment Variables" and "Spec Files"; GCC internals, "Collect2", "LTO". Clang is its own compiler and
# assembler, and answers with the bare name.
_PROGRAMS = ("cc1plus", "cc1", "as", "collect2", "ld", "ld.bfd", "ld.gold", "ld.lld", "ld.mold", "lto1", "lto-wrapper")
_FILES = ("specs", "liblto_plugin.so", "crtbeginS.o")
_STEERING = ("-B", "-fuse-ld=", "--ld-path=", "--sysroot", "--gcc-toolchain", "--gcc-install-dir", "-specs", "--specs")
_STEERING_MODES = ("-m32", "-m64", "-mx32", "--target=", "-target", "-stdlib=", "-fno-use-linker-plugin", "-wrapper")
_ANYWHERE = Places({})
# Of GCC and of Clang.
_TEMPORARY = re.compile(r"/[^\s\"]*/(?:cc\w{6}|null-\w{6,})\.\w+")
# nvcc.profile of the toolkit; nvcc manual, "CUDA Compilation Trajectory".
_TOOLKIT_PROGRAMS = ("nvcc", "nvcc.profile", "cudafe++", "cicc", "ptxas", "fatbinary", "nvlink", "bin2c")
_PROFILE_OPTION = re.compile(r'(?:^|[\s"=])-(?!I|L|isystem\b)', re.MULTILINE)
_BUILD_PROGRAMS = {"cmake": ("cmake", "cmake3"), "ninja": ("ninja-build", "ninja", "samu")}
_LONGEST_SCRIPT = 4096
"""Bytes; those that installers write have some hundreds."""
_TOOLKIT_LIBRARIES = ("libcudadevrt.a", "libcudart_static.a")


@dataclass(frozen=True)
class Driver:
    """What a compiler driver says of itself."""

    tools: Mapping[str, list[str]]
    """Name -> path and sha256, and what it adds to commands; for keys."""
    library_dirs: tuple[str, ...]
    """Where it has the linker look."""
    names_link_inputs: bool
    """Whether the linker writes down what it read (`--dependency-file`: binutils 2.35, lld, mold)."""

    @property
    def adds_options(self) -> bool:
        """Whether it may add options that no command shows: a wrapper, Clang's configuration, a file of specs."""
        return not {"plan", "specs"}.isdisjoint(self.tools)

    @classmethod
    def of(
        cls, command: Sequence[str], words: Sequence[str], *, cache: Cache, index: FileIndex, environ: Mapping[str, str]
    ) -> Driver:
        """The driver that `command` starts, called with the options `words`."""
        steering = list(_steering(words))
        path = environ.get("PATH", os.defpath)
        plan: list[str] = []
        parts = {"driver": 2, "facts": FORMAT, "command": list(command), "steering": steering}
        parts["environment"] = _asked(environ)
        # Of GCC its programs and specs say it all; wrappers and Clang take words from files of anybody's (`_plan`).
        if not is_compiler(command[0]) or "clang" in Path(command[0]).resolve().name:
            parts["plan"] = plan = [_plan([*command, *steering], environ)]
        key = content_key(parts)
        store = ContentStore(cache, "libraries")
        stored = store.load(key)
        if stored is None or not Facts.of(stored.facts["facts"]).holds(_ANYWHERE, "", index):
            stored = _ask([*command, *steering], path, environ, index)
            with suppress(CacheError):  # one that may only be read: then it is asked each time
                store.save(key, stored)
        facts = stored.facts
        tools = facts["tools"] | ({"plan": plan} if plan else {})
        return cls(tools, tuple(facts["library_dirs"]), facts["names_link_inputs"])


def _steering(words: Sequence[str]) -> Iterator[str]:
    """The options by which a driver chooses programs."""
    words = [part for word in words for part in ([word[10:]] if word.startswith("-Xcompiler=") else [word])]
    for index, word in enumerate(words):
        if word.startswith((*_STEERING, *_STEERING_MODES)):
            yield word
            if word in {"-B", "--sysroot", "-target", "-specs", "-wrapper"} and index + 1 < len(words):
                yield words[index + 1]


def _asked(environ: Mapping[str, str]) -> dict[str, str]:
    """What a driver takes from the environment to find programs and folders."""
    names = ("PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH", "GCC_ROOT", "CCC_OVERRIDE_OPTIONS", "HOME")
    return {name: environ[name] for name in names if name in environ}


def _plan(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """The sha256 of what a driver would start to compile and link, with all the words that it adds by itself.

    A script or another wrapper (mpicxx, that of Spack) takes them from variables and files of its own, and Clang from
    its configuration files, wherever those are.
    """
    # -###: say what would be started, and start nothing (GCC manual, "Overall Options"; Clang has it too).
    words = [*command, "-###", "-shared", "-x", "c++", os.devnull, "-o", os.devnull]
    said = run(words, env={**environ, "LC_ALL": "C"}, cwd=Path("/"), check=False).output
    return hashlib.sha256(_TEMPORARY.sub("", said).encode()).hexdigest()


def _ask(command: Sequence[str], path: str, environ: Mapping[str, str], index: FileIndex) -> Stored:
    environ = {**environ, "LC_ALL": "C"}

    def said(*words: str) -> str:
        return run([*command, *words], env=environ, check=False).stdout.strip()

    found = [command[0], *_wrapped(command, path)]
    found += [found_path for one in (*command[1:],) if (found_path := shutil.which(one, path=path))]
    named = {name: said(f"-print-prog-name={name}") for name in _PROGRAMS}
    named |= {name: said(f"-print-file-name={name}") for name in _FILES}
    named = {name: shutil.which(where, path=path) or where for name, where in named.items()}
    folders = _search_dirs(said("-print-search-dirs"))
    tools: dict[str, list[str]] = {}
    for name, where in {**{f"driver {number}": one for number, one in enumerate(found)}, **named}.items():
        digest = index.digest(where) if os.path.isabs(where) else None  # noqa: PTH117
        if digest is not None:
            tools[name] = [where, digest]
    # What would be taken before, or besides: a specs file, another linker.
    searched = [*folders["programs"], *folders["install"], *filter(None, path.split(os.pathsep))]
    absent = {
        candidate
        for folder in searched
        for name in (*_PROGRAMS, *_FILES)
        if not os.path.lexists(candidate := os.path.join(folder, name))  # noqa: PTH118
    }
    read = dict(tools.values())
    # Asked by its help and not by its version: four linkers have four ways to count.
    helps = run([*command, "-Wl,--help"], env=environ, check=False).output
    return Stored(
        {
            "tools": tools,
            "library_dirs": folders["libraries"],
            "names_link_inputs": "--dependency-file" in helps,
            "facts": Facts(read, frozenset(_shortest(absent))).stored(),
        },
        b"",
    )


def _wrapped(command: Sequence[str], path: str) -> Iterator[str]:
    """What a link to a launcher, or to a driver of another version, leads to."""
    real = os.path.realpath(command[0])
    if real != command[0]:
        yield real
    # ccache and its like stand under the compiler's name before it on PATH.
    name = os.path.basename(command[0])  # noqa: PTH119
    for folder in filter(None, path.split(os.pathsep)):
        candidate = os.path.join(folder, name)  # noqa: PTH118
        # The first behind it is what it will start.
        if os.access(candidate, os.X_OK) and os.path.realpath(candidate) != real:
            yield candidate


def _search_dirs(text: str) -> dict[str, list[str]]:
    """The folders that `-print-search-dirs` names: "programs: =/a:/b"."""
    found: dict[str, list[str]] = {"install": [], "programs": [], "libraries": []}
    for line in text.splitlines():
        name, _, folders = line.partition(": ")
        if name in found:
            found[name] = list(dict.fromkeys(filter(None, folders.removeprefix("=").split(os.pathsep))))
    return found


def _shortest(paths: set[str]) -> Iterator[str]:
    """Each path that is not there, up to its first missing folder."""
    for path in paths:
        missing = path
        # One folder that is not there stands for all names in it: an entry has a few paths and not thousands.
        while (parent := os.path.dirname(missing)) not in {missing, ""} and not os.path.lexists(parent):  # noqa: PTH120
            missing = parent
        yield missing


def toolkit_tools(root: Path, index: FileIndex) -> dict[str, str]:
    """The programs of a CUDA toolkit, and what they read that no compiler names; relative path -> sha256."""
    places = [f"bin/{name}" for name in _TOOLKIT_PROGRAMS] + [f"nvvm/bin/{name}" for name in ("cicc", "nvvm.profile")]
    places += [f"{folder}/{name}" for folder in ("lib64", "lib") for name in _TOOLKIT_LIBRARIES]
    folders = ("bin/crt", "nvvm/libdevice", "nvvm/lib64")
    places += [f"{folder}/{path.name}" for folder in folders for path in sorted((root / folder).glob("*"))]
    digests = {place: index.digest(str(root / place)) for place in places}
    return {place: digest for place, digest in digests.items() if digest is not None}


def toolkit_adds_options(root: Path) -> bool:
    """Whether the nvcc.profile of a CUDA toolkit has options that name no folder."""
    profile = root / "bin" / "nvcc.profile"
    return (
        profile.is_file() and _PROFILE_OPTION.search(profile.read_text(encoding="utf-8", errors="replace")) is not None
    )


def build_tools(environ: Mapping[str, str], index: FileIndex) -> dict[str, list[str | None]]:
    """CMake and Ninja, wherever scikit-build-core may take them from (its `program_search`)."""
    path = environ.get("PATH", os.defpath)
    found: dict[str, list[str | None]] = {}
    for package, names in _BUILD_PROGRAMS.items():
        bundled = [index.digest(file) for file in _bundled(package)]
        programs = filter(None, (shutil.which(name, path=path) for name in names))
        found[package] = [*bundled, *(_own_script(file) or index.digest(file) for file in programs)]
    return found


def _own_script(file: str) -> str | None:
    """The sha256 of a script by which the Python that runs starts what a package brings, wherever that Python is.

    Environments for several Pythons have the same CMake, and scripts that name the Python of each.
    """
    folder = os.path.dirname(sys.executable)  # noqa: PTH120
    with suppress(OSError), open(file, "rb") as stream:  # noqa: PTH123
        text = stream.read(_LONGEST_SCRIPT + 1)
        named = re.compile(re.escape(os.fsencode(folder)) + rb"/python[\d.]*(?=[\s'\"])")
        if text.startswith(b"#!") and len(text) <= _LONGEST_SCRIPT and named.search(text) is not None:
            return hashlib.sha256(named.sub(b"python", text)).hexdigest()
    return None


def _bundled(package: str) -> Iterator[str]:
    """What a package of the package index brings, without importing it: its version, and the program."""
    # The packages cmake and ninja have programs inside, which scikit-build-core may take.
    spec = importlib.util.find_spec(package)
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        yield os.path.join(folder, "_version.py")  # noqa: PTH118
        yield os.path.join(folder, "data", "bin", package)  # noqa: PTH118
