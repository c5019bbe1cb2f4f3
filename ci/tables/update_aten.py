# /// script
# requires-python = ">=3.11"
# dependencies = ["gpuwheel", "packaging>=24.2", "pyyaml", "typing_extensions"]
#
# [tool.uv.sources]
# gpuwheel = { path = "../..", editable = true }
# ///
"""Write the ATen functions of `gpuwheel/include/compat`: those that mean the same in every torch of the table.

Reads `native_functions.yaml`, and torchgen which understands it, out of the wheels of each minor version from the
floor of torch's stable ABI on (a few hundred kB of each, by range requests). An operator that a torch lacks, or has
with another schema, or whose values cannot cross the C ABI, is not offered: `refused.txt` lists it with the reason.
"""

from __future__ import annotations

import sys

from aten_choice import choose
from aten_functions import written
from aten_sources import operators_of
from packaging.version import Version
from update_table import DATA, as_table, as_text, command_line, read

from gpuwheel._files import atomic_file

_FOLDER = DATA.parent / "include" / "compat" / "gpuwheel_compat" / "generated"
_FLOOR = Version("2.10")


def main() -> int:
    """Write what differs, or say that it would."""
    asked = command_line(__doc__).parse_args()
    minors = sorted(
        (minor for minor in as_table(read("torch.toml")[1]["versions"]) if Version(minor) >= _FLOOR), key=Version
    )
    offered, refused = choose(operators_of(minors))
    direct = _direct()
    unknown = direct.keys() - {each.full_name for each in offered}
    if unknown:
        msg = f"aten.toml names operators that are not offered: {', '.join(sorted(unknown))}"
        raise SystemExit(msg)
    stale = False
    for name, text in written(offered, refused, direct, minors).items():
        path = _FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            print(f"{name}: up to date")
        elif asked.check:
            print(f"{name}: stale (run this script without --check)")
            stale = True
        else:
            with atomic_file(path) as file:
                file.write(text.encode())
            print(f"{name}: written")
    print(f"{len(offered)} operators offered, {len(refused)} refused")
    return int(stale)


def _direct() -> dict[str, str]:
    """Full name of an operator -> the call of ours, as gpuwheel/data/aten.toml says."""
    _, table = read("aten.toml")
    calls = {name: f"{as_text(function)}({{}})" for name, function in as_table(table["direct"]).items()}
    for name, function in as_table(table["named"]).items():
        calls[name] = f'{as_text(function)}("aten::{name.partition(".")[0]}", {{}})'
    return calls


if __name__ == "__main__":
    sys.exit(main())
