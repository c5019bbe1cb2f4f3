# /// script
# requires-python = ">=3.11"
# dependencies = ["auditwheel"]
# ///
"""Refresh `gpuwheel/data/platforms.toml` from the policies of the installed auditwheel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path
from typing import TypedDict

from update_table import Table, command_line, dump, finish, read

_MACHINES = ("x86_64", "aarch64")


class _Policy(TypedDict):
    """What gpuwheel reads of a policy of auditwheel."""

    name: str
    aliases: list[str]
    lib_whitelist: list[str]
    symbol_versions: dict[str, dict[str, list[str]]]


def main() -> int:
    """Take every glibc policy of the machines that gpuwheel knows."""
    asked = command_line(__doc__).parse_args()
    comment, _ = read("platforms.toml")
    spec = importlib.util.find_spec("auditwheel.policy")
    if spec is None or spec.origin is None:
        raise SystemExit("auditwheel is not installed")  # noqa: EM101, TRY003 - the end of a script
    policies: list[_Policy] = json.loads(
        Path(spec.origin).with_name("manylinux-policy.json").read_text(encoding="utf-8")
    )
    table = _table([policy for policy in policies if policy["symbol_versions"]])
    return finish("platforms.toml", dump(comment, table), check=asked.check)


def _table(policies: list[_Policy]) -> Table:
    libraries: dict[str, str] = {}
    seen: set[str] = set()
    rows: dict[str, dict[str, str]] = {machine: {} for machine in _MACHINES}
    for policy in policies:
        name, whitelist, symbols = policy["name"], set(policy["lib_whitelist"]), policy["symbol_versions"]
        if whitelist - seen:
            libraries[name] = " ".join(sorted(whitelist - seen))
        if seen - whitelist:
            raise SystemExit(f"{name} allows fewer libraries than an older policy")  # noqa: EM102, TRY003
        seen = whitelist
        for machine in _MACHINES:
            if machine in symbols:
                rows[machine][name] = _versions(symbols[machine])
    return {
        "source": f"manylinux-policy.json of auditwheel {importlib.metadata.version('auditwheel')}",
        "aliases": {alias: policy["name"] for policy in policies for alias in policy["aliases"]},
        "libraries": libraries,
        "policies": rows,
    }


def _versions(symbols: dict[str, list[str]]) -> str:
    """The newest numbered version of each namespace, then the versions without a number."""
    newest: list[str] = []
    named: list[str] = []
    for namespace in sorted(symbols):
        numbered = [version for version in symbols[namespace] if version[0].isdigit()]
        named += [f"{namespace}_{version}" for version in symbols[namespace] if version not in numbered]
        if numbered:
            newest.append(f"{namespace}_{max(numbered, key=_numbers)}")
    return " ".join([*newest, *sorted(named)])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    sys.exit(main())
