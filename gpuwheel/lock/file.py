"""`pylock.gpuwheel.toml`: everything that a build takes from outside the project, with digests.

The index packages are written as PEP 751 says, so that `pip install -r` and `uv pip sync` install them; what no
installer knows (headers cut out of a distribution, other toolchains, the C++ compiler) is in `[tool.gpuwheel]`, whose
form `data/lock.schema.json` gives.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut, reading
from gpuwheel._limits import CONFIG_FILE
from gpuwheel._toml import parse_toml
from gpuwheel.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from packaging.pylock import Package, PackageWheel, Pylock

__all__ = ["LOCK_FILE", "Lock", "LockedCompiler", "parse_lock", "read_lock", "render_lock"]

LOCK_FILE = "pylock.gpuwheel.toml"
"""Beside `pyproject.toml`; the name is one that PEP 751 allows."""

_SCHEMA = 1
_AGAIN = "write it anew: gpuwheel lock"


@dataclass(frozen=True)
class LockedCompiler:
    """The C++ compiler, as it names itself."""

    identity: str
    target: str

    def __str__(self) -> str:
        return f"{self.identity} for {self.target}"


@dataclass(frozen=True)
class Lock:
    """The file, read."""

    digest: str
    """sha256 of its bytes."""
    packages: Pylock
    """What an installer takes from an index."""
    version: str
    """Of gpuwheel."""
    headers: Mapping[str, str]
    """`name==version` of a distribution -> `model.pins.tree_digest` of the headers that are cut out of it."""
    digests: Mapping[str, str]
    """What else goes into a build, by its name -> sha256."""
    host: LockedCompiler | None
    """`None`: the build compiles no host code."""


def read_lock(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        LockError: there is none, or it is not one of gpuwheel's.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_FILE.value + 1)
    except FileNotFoundError:
        msg = f"{path} does not exist (expected the lock file that builds are held to)"
        raise LockError(msg, hint="write it: gpuwheel lock") from None
    return parse_lock(data, str(path))


def parse_lock(data: bytes, name: str) -> Lock:
    """The lock in `data`; `name` is for messages.

    Raises:
        LockError: it is not one of gpuwheel's.
    """
    # Loaded where there is a lock: few builds have one, and it takes a tenth of the time of one without changes.
    from packaging.pylock import (  # noqa: PLC0415
        Pylock,
        PylockUnsupportedVersionError,
        PylockValidationError,
    )

    with reading(f"{name} is not a lock file of gpuwheel", "one that it wrote", error=LockError, hint=_AGAIN):
        document = parse_toml(data)
        try:
            packages = Pylock.from_dict(document)
        except (PylockValidationError, PylockUnsupportedVersionError) as error:
            raise ValueError(cut(error)) from error
        table = document["tool"]["gpuwheel"]
        if table["schema"] != _SCHEMA:
            msg = f"{name} was written by another gpuwheel (schema {cut(table['schema'])}, expected {_SCHEMA})"
            raise LockError(msg, hint=_AGAIN)
        host = table.get("host-compiler")
        return Lock(
            digest=hashlib.sha256(data).hexdigest(),
            packages=packages,
            version=_word(table["version"]),
            headers=_words(table["headers"]),
            digests=_words(table["digests"]),
            host=None if host is None else LockedCompiler(_word(host["identity"]), _word(host["target"])),
        )


def _word(value: object) -> str:
    if not isinstance(value, str):
        msg = f"a string is {cut(repr(value))}"
        raise TypeError(msg)
    return value


def _words(table: Mapping[object, object]) -> dict[str, str]:
    return {_word(name): _word(value) for name, value in table.items()}


def render_lock(lock: Lock) -> str:
    """The text of a lock file; its digest does not depend on `lock.digest`."""
    pylock = lock.packages
    lines = [f"lock-version = {_text(str(pylock.lock_version))}"]
    if pylock.environments:
        lines.append(f"environments = [{', '.join(_text(str(marker)) for marker in pylock.environments)}]")
    if pylock.requires_python is not None:
        lines.append(f"requires-python = {_text(str(pylock.requires_python))}")
    lines.append(f"created-by = {_text(pylock.created_by)}")
    for package in pylock.packages:
        lines += _package(package)
    lines += ["", "[tool.gpuwheel]", f"schema = {_SCHEMA}", f"version = {_text(lock.version)}"]
    for key, digests in (("headers", lock.headers), ("digests", lock.digests)):
        lines += ["", f"[tool.gpuwheel.{key}]"]
        lines += [f"{_text(name)} = {_text(digest)}" for name, digest in sorted(digests.items())]
    if lock.host is not None:
        lines += ["", "[tool.gpuwheel.host-compiler]"]
        lines += [f"identity = {_text(lock.host.identity)}", f"target = {_text(lock.host.target)}"]
    return "\n".join([*lines, ""])


def _package(package: Package) -> Iterator[str]:
    yield from ("", "[[packages]]", f"name = {_text(package.name)}")
    stated = {"version": package.version, "marker": package.marker, "requires-python": package.requires_python}
    yield from (f"{key} = {_text(str(value))}" for key, value in stated.items() if value is not None)
    yield "wheels = ["
    # Sorted, a line each: a lock is read in reviews, as a diff.
    for wheel in sorted(package.wheels or (), key=lambda wheel: wheel.filename):
        yield f"    {{ {', '.join(_wheel(wheel))} }},"
    yield "]"


def _wheel(wheel: PackageWheel) -> Iterator[str]:
    yield f"name = {_text(wheel.filename)}"
    yield from (f"{key} = {_text(it)}" for key, it in (("url", wheel.url), ("path", wheel.path)) if it is not None)
    if wheel.size is not None:
        yield f"size = {wheel.size}"
    hashes = (f"{name} = {_text(value)}" for name, value in sorted(wheel.hashes.items()))
    yield f"hashes = {{ {', '.join(hashes)} }}"


def _text(value: Any) -> str:  # noqa: ANN401  # whatever has a text
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    # TOML forbids DEL in strings, and JSON does not escape it.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
