# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "..", editable = true }
# ///
"""Refresh the files and digests in `gpuwheel/data/pins.toml` from the package index.

Versions are a person's choice: change one in the table, then run this. Newer patch releases are named.
"""

from __future__ import annotations

import sys

from packaging.version import Version
from update_headers import cut_headers
from update_index import IndexFile, files_of
from update_table import Table, as_table, as_text, command_line, dump, finish, read


def main() -> int:
    """Take every pinned version's Linux wheels from the index, and the headers out of those that are cut."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("pins.toml")
    newer: list[str] = []
    for section, refresh in (
        ("toolkits", _refresh),
        ("headers", _refresh_headers),
        ("nvcc", _refresh),
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
