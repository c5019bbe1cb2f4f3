# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2", "requests"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/releases.toml`: what each release of a distribution brings and requires.

Reads the METADATA and the directory of each wheel, by ranges. A release that is in the table is not read again: files
on an index never change. Which distributions there are is entered by hand (a line `name = ""` is filled).
"""

from __future__ import annotations

import re
import sys
import threading
import zipfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from email.parser import BytesParser
from typing import TYPE_CHECKING, TypeVar

import requests
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from update_index import IndexFile, files_of, sources_of
from update_table import as_table, as_text, command_line, dump, finish, read

from gpuwheel.index.ranges import SparseFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_FILE = "releases.toml"
_MACHINES = ("x86_64", "aarch64")
_PYTHONS = tuple(range(8, 16))
"""Minors of Python 3 that markers and tags are asked about."""
_LIBRARY = re.compile(r"(?:(?P<folder>.+)/)?(?P<name>lib(?![\w.+-]*\.cpython-)[\w+-][\w.+-]*\.so(?:\.\d+)*)")
_WHEEL_DATA = re.compile(r"[^/]+\.data/(?:pure|plat)lib/")
# Names that auditwheel made unique are nobody else's to need; stubs are to link with.
_PRIVATE = re.compile(r"(?:[^/]*\.libs|.*/stubs|[^/]+\.data)(?:/.*)?")
_THREADS = 12
_LOCAL = threading.local()
"""The connections of a thread, which are kept: there are thousands of small parts."""
T = TypeVar("T")


@dataclass(frozen=True)
class Content:
    """What a wheel brings and requires: releases with equal content are one row."""

    libraries: tuple[tuple[str, tuple[str, ...]], ...]
    """Folder in site-packages -> the files of libraries."""
    requires: tuple[str, ...]
    """What else of the table."""
    others: tuple[str, ...]
    """Names that nobody looked up."""

    def lines(self) -> Iterator[str]:
        """As the table has it."""
        yield from (f"  {folder}: {' '.join(names)}" for folder, names in self.libraries)
        yield from (f"  > {requirement}" for requirement in self.requires)
        if self.others:
            yield f"  ? {' '.join(self.others)}"


Rows = dict[tuple[str, str, str], tuple[str, ...]]
"""Version, machine, minors of Python -> lines of the content."""


def main() -> int:
    """Read what is new of each distribution."""
    asked = command_line(__doc__).parse_args()
    comment, table = read(_FILE)
    known = {name: as_text(text) for name, text in as_table(table["distributions"]).items()}
    bare = as_text(table["bare"]).split()
    missing: list[str] = []

    def told(name: str, ask: Callable[[], T], otherwise: T) -> T:
        # One page that cannot be read must not cost what was read of all others.
        try:
            return ask()
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            missing.append(f"{name}: {error}")
            return otherwise

    def rows(name: str) -> str:
        return told(name, lambda: _text(_rows(name, known[name], known, bare)), known[name])

    with ThreadPoolExecutor(_THREADS) as threads:
        table["distributions"] = dict(zip(known, threads.map(rows, known), strict=True))
        for lines in threads.map(lambda name: told(name, lambda: _strange(name, {*known, *bare}), list[str]()), bare):
            missing += lines
    if table["distributions"] != known:
        table["read"] = datetime.now(timezone.utc).date().isoformat()
    return finish(_FILE, dump(comment, table), check=asked.check, missing=missing)


def _rows(name: str, text: str, known: Iterable[str], bare: Iterable[str]) -> Rows:
    files = _files(name)
    rows = {
        key: lines for key, lines in _parsed(text).items() if key in files and not _looked_up(lines, {*known, *bare})
    }
    for key, file in files.items():
        if key not in rows:
            rows[key] = tuple(_content(file, key[1], set(known), set(bare)).lines())
    return rows | {key: tuple(Content((), (), (name,)).lines()) for key in _unread(name, files)}


def _unread(name: str, files: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Releases newer than any wheel that are sdists alone: pip takes them, and what they bring is seen once built."""
    newest = max((Version(version) for version, _, _ in files), default=Version("0"))
    for version, python in sources_of(name).items():
        minors = [minor for minor in _PYTHONS if not python or f"3.{minor}.9" in SpecifierSet(python)]
        if version > newest and minors:
            yield from ((str(version), machine, f"{minors[0]}-{minors[-1]}") for machine in _MACHINES)


def _looked_up(lines: Iterable[str], known: set[str]) -> bool:
    """Whether a row calls something unknown that the table has by now."""
    return any(name in known for line in lines if line.startswith("  ? ") for name in line.split()[1:])


def _files(name: str) -> dict[tuple[str, str, str], IndexFile]:
    """One wheel for each release and machine, and for which Pythons there are such."""
    found: dict[tuple[Version, str], list[IndexFile]] = defaultdict(list)
    for file in files_of(name):
        for machine in _MACHINES:
            if not file.version.is_prerelease and any(tag == "any" or tag.endswith(machine) for tag in file.platforms):
                found[file.version, machine].append(file)
    chosen = {}
    for version, machine in sorted(found):
        files = found[version, machine]
        minors = [minor for minor in _PYTHONS if any(_takes(file, minor) for file in files)]
        if minors:
            newest = max(files, key=lambda file: (file.build or (0, ""), "any" not in file.platforms, file.filename))
            chosen[str(version), machine, f"{minors[0]}-{minors[-1]}"] = newest
    return chosen


def _takes(file: IndexFile, minor: int) -> bool:
    """Whether a Python installs it."""
    if file.requires_python and f"3.{minor}.9" not in SpecifierSet(file.requires_python):
        return False
    words = file.filename.removesuffix(".whl").split("-")
    pythons, abis = words[-3].split("."), words[-2].split(".")
    if "abi3" in abis:
        return any(minor >= int(python[3:] or 0) for python in pythons if python.startswith("cp3"))
    if "none" in abis and any(re.fullmatch(r"(?:py|cp)3\d*", python) for python in pythons):
        return any(minor >= int(python[3:] or 0) for python in pythons if python[2] == "3")
    return f"cp3{minor}" in pythons and any(abi in {f"cp3{minor}", f"cp3{minor}m", "none"} for abi in abis)


def _content(file: IndexFile, machine: str, known: set[str], bare: set[str]) -> Content:
    with zipfile.ZipFile(SparseFile(lambda start, stop: _part(file, start, stop), file.size)) as wheel:
        names = wheel.namelist()
        metadata = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        requires = BytesParser().parsebytes(wheel.read(metadata)).get_all("Requires-Dist", [])
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        match = _LIBRARY.fullmatch(_WHEEL_DATA.sub("", name))
        if match and not _PRIVATE.fullmatch(match["folder"] or ""):
            folders[match["folder"] or "."].add(match["name"])
    kept, others = [], set()
    for text in requires:
        requirement = _narrowed(Requirement(text), machine)
        if requirement is None:
            continue
        name = canonicalize_name(requirement.name)
        if name in known:
            requirement.name = name
            kept.append(str(requirement))
        elif name not in bare and "extra" not in str(requirement.marker):
            others.add(name)
    libraries = tuple((folder, tuple(sorted(files))) for folder, files in sorted(folders.items()))
    return Content(libraries, tuple(dict.fromkeys(kept)), tuple(sorted(others)))


def _part(file: IndexFile, start: int, stop: int) -> bytes:
    if not hasattr(_LOCAL, "session"):
        _LOCAL.session = requests.Session()
    answer = _LOCAL.session.get(file.url, headers={"Range": f"bytes={start}-{stop - 1}"}, timeout=60)
    if answer.status_code != requests.codes.partial_content:
        msg = f"{file.url} takes no range requests (status {answer.status_code}, expected 206)"
        raise OSError(msg)
    return bytes(answer.content)


def _narrowed(requirement: Requirement, machine: str) -> Requirement | None:
    """As Linux on that machine sees it; `None`: not at all. What depends on Python or extras keeps its marker."""
    marker = requirement.marker
    if marker is None:
        return requirement
    system = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": machine}
    extras = ["", *re.findall(r"""extra == ["']([^"']+)["']""", str(marker))]
    told = {
        (extra, minor): marker.evaluate(
            {**system, "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9", "extra": extra}
        )
        for extra in extras
        for minor in _PYTHONS
    }
    if not any(told.values()):
        return None
    if all(told.values()):
        requirement.marker = None
    elif all(held == bool(extra) for (extra, _), held in told.items()):
        requirement.marker = Marker(" or ".join(f'extra == "{canonicalize_name(extra)}"' for extra in extras[1:]))
    return requirement


def _strange(name: str, known: set[str]) -> list[str]:
    """What a distribution brings or requires that is said to do neither."""
    files = _files(name)
    file = files[max(files, key=lambda key: (Version(key[0]), key[1] == "x86_64"))]
    content = _content(file, "x86_64", set(), known)
    if not content.libraries and not content.others:
        return []
    return [f"{name}, said to be bare, has {' '.join(line.strip() for line in content.lines())}"]


def _parsed(text: str) -> Rows:
    rows: Rows = {}
    keys: list[tuple[str, str, str]] = []
    for line in filter(None, text.splitlines()):
        if line.startswith(" "):
            rows.update({key: (*rows[key], line) for key in keys})
        else:
            versions, machines, minors = line.split(" @ ")
            keys = [(version, machine, minors) for version in versions.split() for machine in machines.split()]
            rows.update(dict.fromkeys(keys, ()))
    return rows


def _text(rows: Mapping[tuple[str, str, str], tuple[str, ...]]) -> str:
    """Releases of equal content as one row, in the order of the first of them."""
    machines: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (version, machine, minors), lines in rows.items():
        machines[version, minors, lines].append(machine)
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (version, minors, lines), found in machines.items():
        groups[" ".join(sorted(found, key=_MACHINES.index)), minors, lines].append(version)
    for versions in groups.values():
        versions.sort(key=Version)
    ordered = sorted(groups.items(), key=lambda item: (Version(item[1][0]), item[0][0] != "x86_64"))
    return "".join(
        "\n".join([f"{' '.join(versions)} @ {machine} @ {minors}", *lines]) + "\n"
        for (machine, minors, lines), versions in ordered
    )


if __name__ == "__main__":
    sys.exit(main())
