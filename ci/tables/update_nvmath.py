# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/nvmath.toml` from the package index: what its releases require of NVIDIA's packages.

Reads the METADATA of each release by range requests, and follows it: which packages are opened is the table's own list,
of all others the versions are enough.
"""

from __future__ import annotations

import email
import re
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from update_index import IndexFile, files_of, open_wheel
from update_table import Table, as_table, command_line, dump, finish, read

_EXTRAS = ("cu12", "cu13")
_NVMATH = "nvmath-python"
_NVIDIA = re.compile(r"nvidia-.*|cuda-(core|bindings|toolkit)|cutensor-.*|nvmath-python")
_OLDEST = {_NVMATH: Version("0.7"), "cuda-bindings": Version("12.9"), "cuda-core": Version("0.3")}
"""Older releases lack what the oldest nvmath-python with both extras needs."""
_LINUX = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "python_version": "3.12",
    "python_full_version": "3.12.0",
}
_ALWAYS = "requires"

Wanted = dict[str, set[str]]


def main() -> int:
    """Follow nvmath-python's requirements over the index."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("nvmath.toml")
    opened = list(as_table(table["packages"]))
    packages: Table = {}
    wanted: Wanted = {_NVMATH: set(_EXTRAS)}
    # A package's extras may be asked for by one that is opened after it: its page and files are kept for a second look.
    facts = {name: _releases(name) for name in opened}
    while True:
        before = {name: set(extras) for name, extras in wanted.items()}
        packages = {name: _rows(facts[name], wanted, wanted.get(name, set())) for name in opened}
        if before == wanted:
            break
    leaves = {name: _final_versions(files_of(name)) for name in sorted(wanted.keys() - packages.keys())}
    # A name that is only reserved (one pre-release) stays out: nothing is known of it that could conflict.
    versions: Table = {name: " ".join(map(str, found)) for name, found in leaves.items() if found}
    text = dump(comment, {"source": table["source"], "packages": packages, "versions": versions})
    return finish("nvmath.toml", text, check=asked.check)


def _releases(name: str) -> dict[Version, list[Requirement]]:
    """Release -> its Requires-Dist on Linux x86_64 that name packages of NVIDIA's."""
    files = files_of(name)
    releases = {}
    for version in _final_versions(files):
        if version >= _OLDEST.get(name, Version("0")):
            newest_python = max((file for file in files if file.version == version), key=lambda file: file.filename)
            releases[version] = [line for line in _requires(newest_python) if _NVIDIA.fullmatch(line.name)]
    return releases


def _final_versions(files: list[IndexFile]) -> list[Version]:
    return sorted({file.version for file in files if not file.version.is_prerelease}, reverse=True)


def _requires(file: IndexFile) -> list[Requirement]:
    with open_wheel(file) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist", [])
    requirements = [Requirement(line) for line in lines]
    for requirement in requirements:
        requirement.name = canonicalize_name(requirement.name)
    return requirements


def _rows(releases: dict[Version, list[Requirement]], wanted: Wanted, extras: set[str]) -> Table:
    """The table's rows of one package; what they ask for is added to `wanted`."""
    rows: Table = {}
    for version, requirements in releases.items():
        by_extra = {
            extra: sorted({_without_marker(line, wanted) for line in requirements if _holds(line, extra)})
            for extra in ("", *sorted(extras))
        }
        rows[str(version)] = {extra or _ALWAYS: lines for extra, lines in by_extra.items() if lines or not extra}
    return rows


def _holds(requirement: Requirement, extra: str) -> bool:
    """Whether `extra` brings the requirement (for no extra: whether it always holds)."""
    if requirement.marker is None:
        return not extra
    always = requirement.marker.evaluate({**_LINUX, "extra": ""})
    return always if not extra else not always and requirement.marker.evaluate({**_LINUX, "extra": extra})


def _without_marker(requirement: Requirement, wanted: Wanted) -> str:
    wanted.setdefault(requirement.name, set()).update(requirement.extras)
    bare = Requirement(str(requirement))
    bare.marker = None
    return str(bare)


if __name__ == "__main__":
    sys.exit(main())
