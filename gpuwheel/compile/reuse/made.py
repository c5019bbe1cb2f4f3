"""What Ninja made in a CMake folder, by its own records: objects, commands, and every file that was read."""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gpuwheel._run import run
from gpuwheel.compile.cmake.asking import without_launch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["READ_BY_LINKER", "Made", "Output"]

Output: TypeAlias = "tuple[str, str]"
"""The CMake target that makes an object, and its source."""
READ_BY_LINKER = ".read"
"""Of the file beside a library that names what the linker read; as in the CMake modules."""
_REGENERATES = re.compile(r"^build build\.ninja\b(?:[^|\n]|\$\n)*: RERUN_CMAKE \|((?:[^\n|]|\$\n)*)", re.MULTILINE)
_PATH = re.compile(r"(?:[^ $\n]|\$.)+")
_PRECOMPILED = "/cmake_pch."
_CACHED = re.compile(r"^(\w+):\w+=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Made:
    """A finished CMake folder."""

    build: Path
    objects: dict[Output, Path]
    read: dict[str, set[str]]
    """CMake target -> every file that compilers read for it."""
    commands: dict[str, list[list[str]]]
    """CMake target -> the words of each command that compiles for it."""
    link_commands: list[list[str]]
    link_read: set[str] | None
    """Every file that the linker read; `None` where it does not say."""
    scripts: set[str]
    """What CMake was told by, its own modules left out."""
    variables: dict[str, str]
    """What CMake found, and was given."""

    @classmethod
    def of(cls, build: Path, environ: Mapping[str, str]) -> Made | None:
        """`None` if another program than Ninja made the build; `environ`: what that saw."""
        cache = build / "CMakeCache.txt"
        if not (build / "build.ninja").is_file() or not cache.is_file():
            return None
        variables = dict(_CACHED.findall(cache.read_text(encoding="utf-8", errors="surrogateescape")))
        ninja = variables.get("CMAKE_MAKE_PROGRAM")
        if ninja is None:
            return None
        compiled = build / "compile_commands.json"  # where something is compiled
        listed = json.loads(compiled.read_text(encoding="utf-8")) if compiled.is_file() else []
        commands: dict[str, list[list[str]]] = {}
        for one in listed:
            commands.setdefault(_target(one.get("output", "")), []).append(shlex.split(one["command"]))
        read = _read(ninja, build, environ)
        _share_precompiled(read, commands)
        links = [
            link for file in sorted(build.glob(f"*{READ_BY_LINKER}")) for link in _link(ninja, build, file, environ)
        ]
        return cls(
            build=build,
            objects={(_target(it["output"]), it["file"]): build / it["output"] for it in listed if "output" in it},
            read=read,
            commands=commands,
            link_commands=links,
            link_read=_read_by_linker(build),
            scripts=_scripts(build, variables.get("CMAKE_ROOT", "")),
            variables=variables,
        )


def _read(ninja: str, build: Path, environ: Mapping[str, str]) -> dict[str, set[str]]:
    read: dict[str, set[str]] = {}
    target = ""
    # Ninja's log of dependencies, and not the depfiles, which it deletes once they are read.
    for line in run([ninja, "-C", build, "-t", "deps"], env=environ).stdout.splitlines():
        if not line.startswith(" "):
            target = _target(line)
        elif line.strip():
            read.setdefault(target, set()).add(os.path.join(build, line.strip()))  # noqa: PTH118
    return read


def _share_precompiled(read: dict[str, set[str]], commands: dict[str, list[list[str]]]) -> None:
    """Let what was read for a precompiled header count for each target that used it."""
    for target, files in read.items():
        owners = {owner for file in files if _PRECOMPILED in file and (owner := _target(file)) not in {target, ""}}
        for owner in owners:
            files.update(read.get(owner, ()))
            commands.setdefault(target, []).extend(
                words for words in commands.get(owner, ()) if any(_PRECOMPILED in word for word in words)
            )


def _target(output: str) -> str:
    """The CMake target that a file belongs to, or nothing."""
    match = re.search(r"(?:^|/)CMakeFiles/(\w+)\.dir/", output)
    return match[1] if match else ""


def _link(ninja: str, build: Path, read: Path, environ: Mapping[str, str]) -> list[list[str]]:
    """The commands that have the linker write the file `read`."""
    words: list[str | Path] = [ninja, "-C", build, "-t", "commands", read.name.removesuffix(READ_BY_LINKER)]
    said = run(words, env=environ, check=False)
    option = f"--dependency-file={read.name}"
    return [without_launch(shlex.split(line)) for line in said.stdout.splitlines() if option in line]


def _read_by_linker(build: Path) -> set[str] | None:
    """From files as Make reads them (`--dependency-file`): a name on each line, in which GNU ld escapes nothing."""
    files = sorted(build.glob(f"*{READ_BY_LINKER}"))
    if not files:
        return None
    read: set[str] = set()
    for file in files:
        rule = file.read_text(encoding="utf-8", errors="surrogateescape").partition("\n\n")[0]
        for line in rule.splitlines()[1:]:
            name = line.strip().removesuffix("\\").rstrip()
            path = os.path.join(build, name)  # noqa: PTH118
            read.add(path if os.path.lexists(path) else os.path.join(build, re.sub(r"\\(.)", r"\1", name)))  # noqa: PTH118
    return read


def _scripts(build: Path, cmake: str) -> set[str]:
    """The files that make CMake run again where they change."""
    text = (build / "build.ninja").read_text(encoding="utf-8", errors="surrogateescape")
    match = _REGENERATES.search(text)
    paths = (re.sub(r"\$(.)", r"\1", path) for path in _PATH.findall(match[1].replace("$\n", " ") if match else ""))
    # CMake's own modules go with its program, whose digest is in the key.
    own = (f"{cmake}{os.sep}",)
    return {path for path in (os.path.join(build, one) for one in paths) if not path.startswith(own)}  # noqa: PTH118
