# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24.2"]
# ///
"""Refresh `gpuwheel/data/glibc.toml`: which symbols each version of glibc brought, from the newest ziglang wheel.

The Zig project merges glibc's own `*.abilist` files of every release into one file, `abilists`
(https://github.com/ziglang/glibc-abi-tool, MIT), of which 250 KB are read out of a wheel of 100 MB by range requests.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from update_index import files_of, open_wheel
from update_table import Table, command_line, dump, finish, read

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMBER = "ziglang/lib/libc/glibc/abilists"
_TARGETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_LAST = 0x80  # the top bit marks the last entry of a list
_FUNCTIONS, _OBJECTS, _THREAD_LOCALS = range(3)  # the sections of the file, in this order


def main() -> int:
    """Take every symbol of the machines that gpuwheel knows."""
    asked = command_line(__doc__).parse_args()
    comment, _ = read("glibc.toml")
    newest = max((file for file in files_of("ziglang") if not file.version.is_prerelease), key=lambda f: f.version)
    with open_wheel(newest) as wheel:
        lists = AbiLists(wheel.read(_MEMBER))
    table: Table = {
        "source": f"{_MEMBER} of ziglang {newest.version} (MIT), made of glibc's *.abilist files",
        **{machine: lists.symbols(target) for machine, target in _TARGETS.items()},
    }
    return finish("glibc.toml", dump(comment, table), check=asked.check)


@dataclass(frozen=True)
class _Inclusion:
    """One symbol in one library: for which targets, and in which versions."""

    name: str
    section: int
    size: int
    library: str
    targets: int
    """A bit for each target."""
    versions: tuple[str, ...]


class AbiLists:
    """The file as glibc-abi-tool writes it (see `consolidate.zig` there)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._libraries = [self._text() for _ in range(self._byte())]
        self._versions = [self._version() for _ in range(self._byte())]
        self._targets = [self._text() for _ in range(self._byte())]
        self._inclusions = [inclusion for section in range(3) for inclusion in self._section(section)]
        if self._at != len(data):
            raise SystemExit(f"{_MEMBER} has another layout ({len(data) - self._at} bytes left)")  # noqa: EM102, TRY003

    def symbols(self, target: str) -> Table:
        """SONAME -> version -> words: `name` of a function, `name:size` of an object, `name:tls`."""
        bit = 1 << self._targets.index(target)
        words: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for inclusion in self._inclusions:
            if inclusion.targets & bit:
                mark = {_FUNCTIONS: "", _OBJECTS: f":{inclusion.size}", _THREAD_LOCALS: ":tls"}[inclusion.section]
                for version in inclusion.versions:
                    words[inclusion.library][version].append(inclusion.name + mark)
        return {
            library: {
                version: "\n".join(wrap(" ".join(sorted(names)), 120, break_on_hyphens=False)) + "\n"
                for version, names in sorted(versions.items(), key=lambda item: _numbers(item[0]))
            }
            for library, versions in sorted(words.items())
        }

    def _section(self, section: int) -> Iterator[_Inclusion]:
        count = int.from_bytes(self._bytes(2), "little")
        name = ""
        for _ in range(count):
            name = name or self._text()
            targets = self._leb128()
            size = self._leb128() if section != _FUNCTIONS else 0
            library = self._byte()
            versions = []
            while True:
                version = self._byte()
                versions.append(self._versions[version & ~_LAST])
                if version & _LAST:
                    break
            yield _Inclusion(name, section, size, self._libraries[library & ~_LAST], targets, tuple(versions))
            if library & _LAST:
                name = ""

    def _bytes(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _text(self) -> str:
        return self._bytes(self._data.index(0, self._at) - self._at + 1)[:-1].decode("ascii")

    def _version(self) -> str:
        """As in a symbol's version: "2.17", "2.2.5"."""
        major, minor, patch = self._bytes(3)
        return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"

    def _leb128(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    sys.exit(main())
