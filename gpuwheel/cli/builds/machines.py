"""The options of `gpuwheel build` that say where it works: in containers, or shared among machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpuwheel.matrix.shards import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["machines"]

F = TypeVar("F", bound="Callable[..., Any]")


class _Part(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in newer releases of click
    """What `Shard.parse` reads; its error is already for people."""

    name = "part"

    def convert(self, value: str | Shard, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        del param, ctx
        return value if isinstance(value, Shard) else Shard.parse(value)


_FILE = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path)
_OPTIONS = (
    click.option(
        "--in",
        "place",
        metavar="PLATFORM|IMAGE",
        help="Build in containers of this platform (manylinux_2_28) or image, by cibuildwheel with docker or podman.",
    ),
    click.option(
        "--executor",
        default="local",
        show_default=True,
        metavar="WHERE",
        help="dask:tls://HOST:PORT hands wheels to the workers of that scheduler; dask starts a cluster here.",
    ),
    click.option("--dask-ca", type=_FILE, help="Certificate of the authority that signed those of the cluster (PEM)."),
    click.option("--dask-cert", type=_FILE, help="Certificate that shows the cluster who you are (PEM)."),
    click.option("--dask-key", type=_FILE, help="Its private key."),
    click.option("--shard", type=_Part(), metavar="I/N", help="Only part I of N, for N jobs that build all together."),
    click.option(
        "--costs",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        help="A report of an earlier build (--json), by which parts are made equally long; may be repeated.",
    ),
)


def machines(command: F) -> F:
    """Add them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
