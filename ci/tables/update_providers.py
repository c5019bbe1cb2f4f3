# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/providers.toml`: which distribution on the package index brings which shared library.

The parts of the CUDA toolkit are those that the metapackage names; the others, and the driver, are entered by hand.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from email.parser import BytesParser

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from update_index import IndexFile, files_of, open_wheel
from update_table import Table, as_table, as_text, command_line, dump, finish, read

_TOOLKIT = "cuda-toolkit"
_LIBRARY = re.compile(r"(?:.*/)?lib(?:64)?/(lib[\w.+-]+\.so(?:\.\d+)*)")
_EXTRA = re.compile(r"""extra == ["']([^"']+)["']""")


def main() -> int:
    """Read the newest toolkit of each CUDA major, and what lies in the wheels of its parts."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("providers.toml")
    toolkits = {str(file.version.major): file for file in _ascending(_TOOLKIT)}
    table["toolkit"] = {major: _parts(file) for major, file in toolkits.items()}
    parts = {as_text(name) for row in as_table(table["toolkit"]).values() for name in as_table(row).values()}
    known = as_table(table["distributions"])
    names = sorted({name for words in parts for name in words.split()} | known.keys())
    libraries = {name: _libraries(name) for name in names}
    table["distributions"] = {name: " ".join(found) for name, found in libraries.items() if found}
    return finish("providers.toml", dump(comment, table), check=asked.check)


def _ascending(name: str) -> list[IndexFile]:
    files = [file for file in files_of(name) if not file.version.is_prerelease]
    return sorted(files, key=lambda file: (file.version, "x86_64" in file.filename))


def _parts(toolkit: IndexFile) -> Table:
    """Extra of the metapackage -> the distributions that it asks for."""
    with open_wheel(toolkit) as wheel:
        metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        requires = BytesParser().parsebytes(wheel.read(metadata)).get_all("Requires-Dist", [])
    parts: dict[str, set[str]] = defaultdict(set)
    for text in requires:
        requirement = Requirement(text)
        for extra in _EXTRA.findall(str(requirement.marker)):
            parts[extra].add(canonicalize_name(requirement.name))
    return {extra: " ".join(sorted(names)) for extra, names in sorted(parts.items()) if extra != "all"}


def _libraries(name: str) -> list[str]:
    """The files of shared libraries in the newest wheel for x86_64, which NVIDIA names by their SONAMEs."""
    newest = _ascending(name)[-1]
    with open_wheel(newest) as wheel:
        found = (_LIBRARY.fullmatch(member) for member in wheel.namelist())
        return sorted({match[1] for match in found if match})


if __name__ == "__main__":
    sys.exit(main())
