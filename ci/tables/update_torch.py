# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/torch.toml` from the package index: releases, what they were built for, and the SDK's digest.

Reads a few MB out of each wheel by range requests. Archs, C++ standard and ABI of a release need its library or a
person: they stay as they are, and a minor that the table lacks is named with what the index tells about it.
"""

from __future__ import annotations

import ast
import email
import sys

from packaging.version import Version
from update_headers import cut_headers
from update_index import IndexFile, files_of, open_wheel
from update_table import Table, as_table, command_line, dump, finish, read

_PYTHON = "3.12"
_MACHINE = "x86_64"
_SOURCES = {"3.11", "3.12", "3.13"}


def main() -> int:
    """Take rows and SDK from the index."""
    asked = command_line(__doc__).parse_args()
    comment, table = read("torch.toml")
    files = files_of("torch")
    rows = as_table(table["versions"])
    oldest = min(Version(minor) for minor in rows)
    missing = []
    for minor, release in sorted(_newest_releases(files).items()):
        if minor < oldest:
            continue
        facts = _facts(release, [file for file in files if file.version == release])
        if str(minor) in rows:
            rows[str(minor)] = {**as_table(rows[str(minor)]), **facts}
        else:
            missing.append(f"torch {minor}: {facts}")
    sdk = cut_headers("torch", as_table(table["sdk"]), files)
    headers = {
        machine: {minor: _classic_headers(machine, as_table(row), files) for minor, row in as_table(of_machine).items()}
        for machine, of_machine in as_table(table["headers"]).items()
    }
    text = dump(comment, {**table, "sdk": sdk, "headers": headers, "versions": rows})
    return finish("torch.toml", text, check=asked.check, missing=missing)


def _classic_headers(machine: str, row: Table, files: list[IndexFile]) -> Table:
    """Of wheels that say CUDA in their headers, and not free-threaded: a few of them are sources enough."""
    usable = [
        file
        for file in files
        if any(tag.endswith(machine) for tag in file.platforms) and not file.build and file.pythons & _SOURCES
    ]
    return cut_headers("torch", row, usable)


def _newest_releases(files: list[IndexFile]) -> dict[Version, Version]:
    newest: dict[Version, Version] = {}
    for version in sorted({file.version for file in files if not file.version.is_prerelease}):
        newest[Version(f"{version.major}.{version.minor}")] = version
    return newest


def _facts(release: Version, files: list[IndexFile]) -> Table:
    """What names and contents of a release's Linux x86_64 wheels say."""
    machine = [file for file in files if any(tag.endswith(_MACHINE) for tag in file.platforms)]
    sample = max((file for file in machine if _PYTHON in file.pythons), key=lambda file: file.build)
    with open_wheel(sample) as wheel:
        metadata = email.message_from_bytes(wheel.read(f"torch-{release}.dist-info/METADATA"))
        cuda = _assigned(wheel.read("torch/version.py").decode(), "cuda")
    requires = [_nvidia_requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    pythons = sorted({python for file in machine for python in file.pythons}, key=lambda text: Version(_sortable(text)))
    return {
        "release": str(release),
        "cuda": cuda,
        "pythons": " ".join(pythons),
        "requires-python": sample.requires_python,
        "platforms": " ".join(sorted(tag.removesuffix(f"_{_MACHINE}") for tag in sample.platforms)),
        "requires": sorted(line for line in requires if line),
    }


def _sortable(python: str) -> str:
    """Free-threaded after the same version with a lock: "3.14t" -> "3.14.1"."""
    return f"{python[:-1]}.1" if python.endswith("t") else python


def _assigned(source: str, name: str) -> str:
    """The string that a module assigns to `name`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return str(ast.literal_eval(node.value)) if node.value else ""
    msg = f"{name} is not assigned in torch/version.py"
    raise SystemExit(msg)


def _nvidia_requirement(line: str) -> str | None:
    """A requirement that holds on Linux only, without that condition; `None` for all others."""
    requirement, _, marker = line.partition(";")
    conditions = [part.strip() for part in marker.split(" and ")]
    kept = [part for part in conditions if part and not part.startswith("platform_")]
    if 'platform_system == "Linux"' not in conditions or "extra" in marker:
        return None
    bare = requirement.replace("(", "").replace(")", "").replace(" ", "")
    return f"{bare}; {' and '.join(kept)}" if kept else bare


if __name__ == "__main__":
    sys.exit(main())
