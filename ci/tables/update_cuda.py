# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Refresh `gpuwheel/data/cuda.toml` from the toolkit wheels on the package index. Linux x86_64; needs no GPU.

Measured: targets and PTX ISA (by running the wheel's ptxas), host compilers (crt/host_config.h), whether nvcc is there.
Only rows with a newer nvcc wheel than the measured one are measured again, all of them with `--all` (200 MB). Drivers
come from NVIDIA's release notes, by hand. A toolkit that the table lacks is measured and named, not added.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import Version
from update_index import IndexFile, files_of, open_wheel
from update_table import Table, as_table, command_line, dump, finish, read

from gpuwheel._run import run
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MACHINE = "x86_64"
_TARGET = re.compile(r"'sm_(\d+[af]?)'")
_ISA = re.compile(r"current version is '([\d.]+)'")
_GCC = re.compile(r"#if __GNUC__ > (\d+)")
# The condition, not the message: the message of 12.2 and 12.3 is off by one.
_CLANG = re.compile(
    r"#if \(__clang_major__ >= (?P<above>\d+)\).*== (?P<major>\d+)\) &&\s+\(__clang_minor__ < (?P<minor>\d+)\)\)\s*"
    r"#error -- unsupported clang version"
)


class _Wheels(NamedTuple):
    """The newest wheels of one toolkit."""

    nvcc: IndexFile
    headers: IndexFile
    """Holds crt/host_config.h; the same file as `nvcc` before 13.0."""
    toolkit: Version
    """Of the metapackage."""


def main() -> int:
    """Measure what changed on the index."""
    parser = command_line(__doc__)
    parser.add_argument("--all", action="store_true", help="measure every toolkit again")
    asked = parser.parse_args()
    comment, table = read("cuda.toml")
    rows = {Version(name): as_table(row) for name, row in as_table(table["toolkits"]).items()}
    missing = []
    for minor, wheels in sorted(_newest_wheels().items()):
        if minor not in rows:
            missing.append(f"cuda {minor}: {_measure(wheels)}")
        elif asked.all or rows[minor]["measured"] != _requirement(wheels.nvcc):
            rows[minor] |= _measure(wheels)
        rows.get(minor, {})["toolkit"] = f"cuda-toolkit=={wheels.toolkit}"
    toolkits = {str(minor): row for minor, row in _with_drops(rows).items()}
    return finish("cuda.toml", dump(comment, {**table, "toolkits": toolkits}), check=asked.check, missing=missing)


def _newest_wheels() -> dict[Version, _Wheels]:
    """Toolkit `major.minor` -> its newest wheels."""
    nvcc = {**_newest(files_of("nvidia-cuda-nvcc-cu12")), **_newest(files_of("nvidia-cuda-nvcc"))}
    headers = {**nvcc, **_newest(files_of("nvidia-cuda-crt"))}
    toolkits = _newest(files_of("cuda-toolkit"))
    return {
        minor: _Wheels(file, headers[minor], toolkits[minor].version)
        for minor, file in nvcc.items()
        if minor in toolkits
    }


def _newest(files: Iterable[IndexFile]) -> dict[Version, IndexFile]:
    newest: dict[Version, IndexFile] = {}
    usable = (file for file in files if any(tag == "any" or tag.endswith(_MACHINE) for tag in file.platforms))
    for file in sorted(usable, key=lambda file: file.version):
        if not file.version.is_prerelease:
            newest[Version(f"{file.version.major}.{file.version.minor}")] = file
    return newest


def _measure(wheels: _Wheels) -> Table:
    """The values of a row that a wheel can tell."""
    print(f"measuring {wheels.nvcc.filename}", file=sys.stderr)
    with open_wheel(wheels.headers) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("crt/host_config.h"))
        host_config = wheel.read(name).decode()
    with open_wheel(wheels.nvcc) as wheel, tempfile.TemporaryDirectory() as folder:
        names = {name.rpartition("/")[2]: name for name in wheel.namelist() if "/bin/" in name}
        ptxas = Path(folder, "ptxas")
        ptxas.write_bytes(wheel.read(names["ptxas"]))
        ptxas.chmod(0o755)
        targets = sorted({Arch.parse(number) for number in _TARGET.findall(run([ptxas, "--help"]).stdout)})
        isa = _ptx_isa(ptxas)
    clang = _found(_CLANG, host_config)
    return {
        "measured": _requirement(wheels.nvcc),
        "has-nvcc": "nvcc" in names,
        **_targets(targets),
        "ptx-isa": isa,
        "gcc-max": int(_found(_GCC, host_config)[1]),
        "clang-min": f"{clang['major']}.{clang['minor']}",
        "clang-max": int(clang["above"]) - 1,
    }


def _ptx_isa(ptxas: Path) -> str:
    """The newest PTX ISA: what ptxas says when it is given one from the far future."""
    source = ptxas.with_name("future.ptx")
    source.write_text(".version 99.0\n.target sm_90\n.address_size 64\n", encoding="ascii")
    refused = run([ptxas, "-arch=sm_90", source, "-o", source.with_name("out")], check=False)
    return _found(_ISA, refused.output)[1]


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        msg = f"nothing in the wheel matches {pattern.pattern!r}: this script needs a new pattern"
        raise SystemExit(msg)
    return match


def _targets(targets: Iterable[Arch]) -> Table:
    """`archs`, `arch-specific` and `family-specific`, as words."""
    by_suffix: dict[str, list[str]] = {"": [], "a": [], "f": []}
    for target in targets:
        by_suffix[target.suffix].append(f"{target.major}.{target.minor}")
    keys = {"archs": "", "arch-specific": "a", "family-specific": "f"}
    return {key: " ".join(by_suffix[suffix]) for key, suffix in keys.items() if by_suffix[suffix]}


def _requirement(file: IndexFile) -> str:
    name = file.filename.partition("-")[0].replace("_", "-")
    return f"{name}=={file.version}"


def _with_drops(rows: Mapping[Version, Table]) -> dict[Version, Table]:
    """The rows, oldest first, each naming the targets that the one before it had and it has not."""
    told: dict[Version, Table] = {}
    before: list[str] = []
    for minor, row in sorted(rows.items()):
        archs = str(row["archs"]).split()
        dropped = " ".join(arch for arch in before if arch not in archs)
        told[minor] = {**row, "dropped": dropped} if dropped else row
        before = archs
    return told


if __name__ == "__main__":
    sys.exit(main())
