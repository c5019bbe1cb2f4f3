# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/library_folders.toml`: in which folder of site-packages a distribution has its libraries."""

from __future__ import annotations

import sys

from update_index import files_of, open_wheel
from update_table import as_table, as_text, command_line, dump, finish, read


def main() -> int:
    """Read the directory of the newest wheel of each distribution of `providers.toml`."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("library_folders.toml")
    _, providers = read("providers.toml")
    sonames = {name: as_text(found).split() for name, found in as_table(providers["distributions"]).items()}
    folders = {name: _folder(name, found) for name, found in sorted(sonames.items())}
    table["folders"] = {name: folder for name, folder in folders.items() if folder}
    return finish("library_folders.toml", dump(comment, table), check=asked.check)


def _folder(name: str, sonames: list[str]) -> str | None:
    """The one folder with all of them; `None` where they lie in several."""
    files = [file for file in files_of(name) if not file.version.is_prerelease]
    newest = max(files, key=lambda file: (file.version, "x86_64" in file.filename))
    with open_wheel(newest) as wheel:
        found = {member.rpartition("/")[0] for member in wheel.namelist() if member.rpartition("/")[2] in sonames}
    return found.pop() if len(found) == 1 else None


if __name__ == "__main__":
    sys.exit(main())
