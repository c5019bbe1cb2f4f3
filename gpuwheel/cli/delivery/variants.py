"""`gpuwheel variants`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.publish.variants.properties import NULL
from gpuwheel.publish.variants.variant_wheels import (
    VariantRequest,
    chosen_by_ptx,
    plan_variants,
    write_indexes,
    write_variant,
)
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.publish.variants.variant_wheels import PlannedVariant

__all__ = ["variants_command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("variants")
@click.argument("wheels", nargs=-1, required=True, type=_FILE)
@click.option(
    "-w",
    "--wheel-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default="wheelhouse",
    show_default=True,
    help="Where the results go.",
)
@click.option("--sm-arch", is_flag=True, help="Choose by GPU, too; see above.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@parameters.as_json
def variants_command(wheels: tuple[Path, ...], *, wheel_dir: Path, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Make variants (PEP 825, PEP 850; drafts) of finished WHEELS, among which uv chooses by the driver.

    Each gets a label behind its name, the properties that its bytes ask for, and a file NAME-VERSION-variants.json that
    the index must list. A wheel that asks for no CUDA becomes the null variant, for machines that fit no other. uv
    takes variants with --preview-features wheel-variants; pip, and uv without that, take a plain wheel beside them.

    With --sm-arch the GPU decides as well. Then a GPU of a later generation gets none of the variants, although the
    driver would compile their PTX for it.

    \b
    Examples:
      gpuwheel variants dist/*.whl
      gpuwheel variants dist/ops-1.0+cu12.9-*.whl dist/ops-1.0+cu13.0-*.whl dist/ops-1.0-*.whl -w variants
      gpuwheel variants --dry-run --json dist/*.whl
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    provider = load_publishing().variants
    environ = dict(os.environ)
    request = VariantRequest(wheels, wheel_dir, asked["sm_arch"], epoch_of(environ))
    planned = plan_variants(request, provider, load_tables())
    terminal = Terminal()
    indexes: tuple[Path, ...] = ()
    if not asked["dry_run"]:
        for one in planned:
            terminal.step(f"writing {one.filename}")
            write_variant(one, request, provider)
        indexes = write_indexes(wheel_dir)
    if as_json:
        click.echo(json.dumps(_document(planned, request, indexes, dry_run=asked["dry_run"]), indent=2))
    else:
        for one in planned:
            click.echo(f"{one.filename}: {_asks_for(one)}")
        for path in indexes:
            click.echo(f"{path}: the index must list it")
    if ptx := chosen_by_ptx(planned):
        terminal.warn(f"GPUs of later generations get none of these, although there is PTX ({', '.join(ptx)})")
    if not any(one.variant.label == NULL for one in planned):
        terminal.info("no null variant: where none fits, uv takes the plain wheel of the index, if it has one")


def _asks_for(one: PlannedVariant) -> str:
    asked = "; ".join(f"{name} {' or '.join(values)}" for name, values in one.variant.properties.items())
    return asked or "for every machine"


def _document(
    planned: Sequence[PlannedVariant], request: VariantRequest, indexes: Sequence[Path], *, dry_run: bool
) -> dict[str, Any]:
    """What was made, for machines, schema 1 (`data/variants.schema.json`)."""
    return {
        "schema": 1,
        "wheels": [
            {
                "file": one.source.name,
                "label": one.variant.label,
                "properties": {name: list(values) for name, values in one.variant.properties.items()},
                "written": None if dry_run else str(request.out / one.filename),
            }
            for one in planned
        ],
        "indexes": [str(path) for path in indexes],
    }
