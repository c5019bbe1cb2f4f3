"""The tables with one release more than there is, to ask what it would change. Pure.

Nobody knows what a release will bring: each is taken to be as the newest row of today, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from gpuwheel.compatibility.rows import Tables

__all__ = ["NextRelease", "next_releases"]


@dataclass(frozen=True)
class NextRelease:
    """One minor more of torch, Python or CUDA."""

    key: str
    """The key of the configuration that names its like: "torch", "pythons" or "cuda"."""
    name: str
    """"torch 2.16"."""
    version: MinorVersion
    assumption: str
    """What is taken for granted about it."""
    tables: Tables
    """With it."""


def next_releases(tables: Tables) -> tuple[NextRelease, ...]:
    """The next minor of each axis."""
    return _torch(tables), _python(tables), _cuda(tables)


def _torch(tables: Tables) -> NextRelease:
    newest = tables.torch[max(tables.torch)]
    version = _after(newest.version)
    release = f"{version}.0"
    headers = {machine: replace(pin, version=release) for machine, pin in newest.headers.items()}
    row = replace(newest, version=version, release=release, headers=headers)
    return NextRelease(
        "torch",
        f"torch {version}",
        version,
        f"as torch {newest.version}: its ABIs by the same rules, CUDA {newest.cuda}, the same Pythons",
        replace(tables, torch={**tables.torch, version: row}, torch_sdk=replace(tables.torch_sdk, version=release)),
    )


def _python(tables: Tables) -> NextRelease:
    known = {MinorVersion.parse(text.rstrip("t")) for row in tables.torch.values() for text in row.pythons}
    version, newest = _after(max(known)), tables.torch[max(tables.torch)]
    row = replace(newest, pythons=(*newest.pythons, str(version)))
    return NextRelease(
        "pythons",
        f"Python {version}",
        version,
        f"torch {newest.version} has wheels for it, older ones have none, and the limited API stays",
        replace(tables, torch={**tables.torch, newest.version: row}),
    )


def _cuda(tables: Tables) -> NextRelease:
    newest = tables.cuda[max(tables.cuda)]
    version = _after(newest.version)
    return NextRelease(
        "cuda",
        f"CUDA {version}",
        version,
        f"as CUDA {newest.version}: the same architectures, brought by gpuwheel, and drivers >={newest.driver_floor}, "
        f"which run what older toolkits of CUDA {version.major} made",
        replace(tables, cuda={**tables.cuda, version: replace(newest, version=version, dropped=())}),
    )


def _after(version: MinorVersion) -> MinorVersion:
    return MinorVersion(version.major, version.minor + 1)
