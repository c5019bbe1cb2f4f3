"""What each torch that wheels must load in says of its operators, read out of its wheel on the index by byte ranges."""

from __future__ import annotations

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version
from update_index import IndexFile, files_of, open_wheel

from gpuwheel._run import run

__all__ = ["Operator", "Signature", "operators_of"]

_READERS = 3
_READER = Path(__file__).with_name("aten_read.py")
_PYTHON = "3.12"
_MACHINE = "x86_64"
_YAML = "torchgen/packaged/ATen/native/"


@dataclass(frozen=True)
class Signature:
    """One C++ function that ATen's headers declare for an operator, in ATen's words."""

    name: str
    method: bool
    symint: bool
    returns: str
    parameters: tuple[tuple[str, str, str], ...]
    """Type, name and default ("" where there is none)."""


@dataclass(frozen=True)
class Operator:
    """One overload in `native_functions.yaml`, or one that torchgen makes of it."""

    name: str
    overload: str
    kind: str
    """"functional", "inplace", "out", "mutable" or "scratch"."""
    arguments: tuple[tuple[str, str, str | None, bool], ...]
    """Name, type, default and whether it is written, in the order of the schema."""
    returns: tuple[str, ...]
    bound: bool
    """Whether ATen generates its C++ functions; the others are written by hand there."""
    signatures: tuple[Signature, ...]

    @property
    def full_name(self) -> str:
        """As the dispatcher prints it: "add.Tensor"."""
        return f"{self.name}.{self.overload}" if self.overload else self.name

    def crosses_as(self) -> tuple[object, ...]:
        """What a caller by the C ABI depends on: order, types and defaults, and not how arguments are called."""
        return tuple(argument[1:] for argument in self.arguments), self.returns, self.kind


def operators_of(minors: list[str]) -> dict[str, list[Operator]]:
    """The operators of the newest release of each minor version of torch, in the order of its yaml.

    Raises:
        SystemExit: the index has no release of one of them.
    """
    files = [file for file in files_of("torch") if _PYTHON in file.pythons]
    wheels = [_newest(minor, [file for file in files if _for_machine(file)]) for minor in minors]
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(minors, pool.map(_read, wheels), strict=True))


def _for_machine(file: IndexFile) -> bool:
    return any(tag.endswith(_MACHINE) for tag in file.platforms)


def _newest(minor: str, files: list[IndexFile]) -> IndexFile:
    wanted = Version(minor).release
    of_minor = [file for file in files if file.version.release[:2] == wanted and not file.version.is_prerelease]
    if not of_minor:
        msg = f"torch {minor} is not on the index (no wheel for Python {_PYTHON} on {_MACHINE})"
        raise SystemExit(msg)
    return max(of_minor, key=lambda file: (file.version, file.build))


def _read(wheel: IndexFile) -> list[Operator]:
    with tempfile.TemporaryDirectory() as folder:
        with open_wheel(wheel) as archive:
            for name in archive.namelist():
                if name.startswith("torchgen/") and (name.endswith(".py") or name.startswith(_YAML)):
                    target = Path(folder, name)
                    if not name.endswith("/") and target.resolve().is_relative_to(Path(folder).resolve()):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(archive.read(name))
        rows = json.loads(run([sys.executable, _READER, folder]).stdout)
    return [_operator(row) for row in rows]


def _operator(row: dict[str, Any]) -> Operator:
    return Operator(
        name=row["name"],
        overload=row["overload"],
        kind=row["kind"],
        arguments=tuple((each["name"], each["type"], each["default"], each["written"]) for each in row["arguments"]),
        returns=tuple(row["returns"]),
        bound=row["bound"],
        signatures=tuple(
            Signature(**{**each, "parameters": tuple(map(tuple, each["parameters"]))}) for each in row["signatures"]
        ),
    )
