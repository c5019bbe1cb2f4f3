# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh the files and digests in `gpuwheel/data/pins.toml` from the package index.

Versions are a person's choice: change one in the table, then run this. Newer patch releases are named.
"""

from __future__ import annotations

import sys
from pathlib import PurePosixPath

from packaging.version import Version
from update_headers import cut_headers
from update_index import IndexFile, files_of, open_wheel
from update_table import Table, as_table, as_text, command_line, dump, finish, read


def main() -> int:
    """Take every pinned version's Linux wheels from the index, and the headers out of those that are cut."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("pins.toml")
    newer: list[str] = []
    for section, refresh in (
        ("toolkits", _refresh),
        ("headers", _refresh_headers),
        ("nvcc", _refresh_nvcc),
        ("cutile", _refresh),
        ("libraries", _refresh_headers),
    ):
        table[section] = {
            toolkit: {name: refresh(name, as_table(pin), newer) for name, pin in as_table(pins).items()}
            for toolkit, pins in as_table(table[section]).items()
        }
    return finish("pins.toml", dump(comment, table), check=asked.check, missing=newer)


def _refresh(name: str, pin: Table, newer: list[str]) -> Table:
    return {"version": pin["version"], "files": [file.row() for file in _files(name, pin, newer)]}


def _refresh_nvcc(name: str, pin: Table, newer: list[str]) -> Table:
    files = _files(name, pin, newer)
    rows = [file.row() for file in files]
    if rows != pin.get("files"):
        _compare_machines(files)
    return {**pin, "files": rows}


def _compare_machines(files: list[IndexFile]) -> None:
    """A build for another machine takes that machine's libraries and all else from its own: they must not differ."""
    contents = []
    for file in files:
        with open_wheel(file) as wheel:
            members = (member for member in wheel.infolist() if ".dist-info/" not in member.filename)
            contents.append({(member.filename, member.file_size, member.CRC) for member in members})
    first, *others = contents
    differing = {path for path, _, _ in first.union(*others) - first.intersection(*others)}
    strange = sorted(path for path in differing if PurePosixPath(path).parent.name not in {"bin", "lib"})
    if strange:
        msg = f"{strange[0]} is not the same file in {' and '.join(file.filename for file in files)}"
        raise SystemExit(msg)


def _refresh_headers(name: str, pin: Table, newer: list[str]) -> Table:
    return cut_headers(name, pin, _files(name, pin, newer))


def _files(name: str, pin: Table, newer: list[str]) -> list[IndexFile]:
    """The wheels of the pinned version; a newer one is added to `newer`."""
    version = as_text(pin["version"])
    on_index = files_of(name)
    files = [file for file in on_index if file.version == Version(version)]
    if not files:
        msg = f"{name} {version} is not on the index (newest: {max(file.version for file in on_index)})"
        raise SystemExit(msg)
    newer += _newer(name, files[0], on_index)
    return files


def _newer(name: str, pinned: IndexFile, on_index: list[IndexFile]) -> list[str]:
    """The newest release of the same major.minor that supports the same Pythons, if it is not the pinned one."""
    newest = max(
        file.version
        for file in on_index
        if file.version.release[:2] == pinned.version.release[:2]
        and file.requires_python == pinned.requires_python
        and not file.version.is_prerelease
    )
    return [f"{name} {newest} (pinned: {pinned.version})"] if newest > pinned.version else []


if __name__ == "__main__":
    sys.exit(main())
