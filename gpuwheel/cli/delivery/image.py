"""`gpuwheel image`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel._files import atomic_file
from gpuwheel.cli import parameters
from gpuwheel.cli.delivery.image_options import Outputs, base_of, outputs, wishes
from gpuwheel.cli.delivery.image_texts import run_texts, tell_containerfile, text_options
from gpuwheel.cli.delivery.image_told import (
    image_document,
    sharing_document,
    tell_images,
    tell_pushed,
    tell_sharing,
)
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.index.context import Context
from gpuwheel.publish.image.compression import Compression
from gpuwheel.publish.image.docker_archive import write_docker_archive
from gpuwheel.publish.image.image_build import ImageRequest, parse_platform, planned, written
from gpuwheel.publish.image.image_costs import image_warnings, layer_costs
from gpuwheel.publish.image.image_writer import name_images
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.image.sharing import sharing
from gpuwheel.publish.registry import RegistryAccess, parse_hosts, push
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.publish.image.base_source import BaseSource
    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.image_plan import ImagePlan
    from gpuwheel.publish.image.image_writer import WrittenImage
    from gpuwheel.publish.registry import Pushed

__all__ = ["image_command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("image")
@click.argument("wheels", nargs=-1, type=_FILE)
@click.option("--lock", "locks", type=_FILE, multiple=True, help="pylock.toml, or requirements with --hash.")
@click.option("--base", metavar="BASE", help="NAME@sha256:..., oci:DIR[:TAG], or scratch for nothing below.")
@click.option("--python", metavar="3.X[=PATH]", help="Which Python of the base; by default the first on its PATH.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="By default those of the wheels.")
@click.option("--project", metavar="NAME", help="Whose wheel is alone on top; by default that which none requires.")
@click.option("-o", "--output", multiple=True, metavar="PLACE", help="oci:DIR[:TAG] or docker-archive:FILE[:NAME:TAG].")
@click.option("--push", "push_to", metavar="NAME[:TAG]", help="Send it to a registry.")
@click.option("--insecure-registry", multiple=True, metavar="HOST[:PORT]", help="Do not check its certificate.")
@click.option("--compression", default="deflate", show_default=True, metavar="HOW", help="Or gzip[:1-9], zstd[:1-19].")
@click.option("--layers", type=click.IntRange(4, 120), metavar="N", help="How many over the base at most.")
@click.option("--prefix", default="/opt/venv", show_default=True, metavar="PATH", help="The virtual environment.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set in containers.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="Of the image's configuration.")
@click.option("--annotation", multiple=True, metavar="NAME=VALUE", help="Of the image's manifest.")
@click.option("--user", metavar="UID[:GID]", help="Who runs it; by default the base's user, and never root.")
@click.option("--workdir", metavar="PATH", help="Where it runs.")
@click.option("--entrypoint", metavar="WORDS", help="What runs: words as for a shell, or a JSON list.")
@click.option("--cmd", metavar="WORDS", help="Its arguments, unless some are given when it is run.")
@click.option("--compile-bytecode", is_flag=True, help="Add .pyc files, by this Python if it is the image's.")
@click.option("--cuda-base", is_flag=True, help="The base may bring a CUDA toolkit of its own.")
@click.option("--no-deps-check", is_flag=True, help="Do not look whether all that wheels require is there.")
@text_options
@click.option("--sbom", type=click.Path(dir_okay=False, path_type=Path), help="Write the bill of materials here too.")
@click.option("--compare", nargs=2, metavar="IMAGE IMAGE", help="Say what two images share, and make none.")
@click.option("--dry-run", is_flag=True, help="Say which layers there would be, and write nothing.")
@parameters.as_json
def image_command(wheels: tuple[Path, ...], *, dry_run: bool, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Make a container image of WHEELS, as installed, on a base with Python: no daemon, no root, no pip.

    A wheel of more than 8 MB has a layer of its own, which every image with this wheel shares; the project is alone on
    top. The same inputs give the same digest, on every machine. Without -o and --push it goes to oci:image, a folder
    that podman, skopeo and containerd read. Credentials are those of docker and podman.

    \b
    Examples:
      gpuwheel image --base docker.io/library/python:3.12-slim@sha256:... wheelhouse/*.whl
      gpuwheel image --base oci:python --entrypoint "python -m ops.serve" --push ghcr.io/owner/ops:1.4 wheelhouse/*.whl
      gpuwheel image --base oci:python --lock pylock.toml dist/*.whl
      gpuwheel image --base oci:python -o docker-archive:ops.tar:ops:1.4 wheelhouse/*.whl
      gpuwheel image --base oci:python --dry-run --json wheelhouse/*.whl
      gpuwheel image --base oci:python --run-lines podman wheelhouse/*.whl
      gpuwheel image --base oci:python --containerfile build wheelhouse/*.whl && podman build build
      gpuwheel image --compare oci:image:1.3 oci:image:1.4
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    environ, terminal = dict(os.environ), Terminal()
    context = Context(Cache.from_environment(environ), environ, terminal)
    access = RegistryAccess(environ, terminal, parse_hosts(asked["insecure_registry"]))
    if asked["compare"]:
        _compare(asked["compare"], context, access, as_json=as_json)
        return
    compression = Compression.parse(asked["compression"])
    to = outputs(asked["output"], asked["push_to"])
    platforms = tuple(map(parse_platform, asked["platforms"]))
    wanted = wishes(asked, epoch_of(environ))
    with to.layout(context.cache, dry_run=dry_run) as place:
        base = base_of(asked["base"], place, access)
        request = ImageRequest(wheels, base, wanted, platforms, asked["python"], asked["cuda_base"], asked["locks"])
        plans = planned(request, context)
        if asked["containerfile"] is not None:
            tell_containerfile(plans, asked["containerfile"], dry_run=dry_run)
            return
        if asked["sbom"] and len(plans) > 1:
            msg = "--sbom writes the bill of one image (found several platforms)"
            raise click.UsageError(msg)
        run = run_texts(plans, to.reference, asked["run_lines"])
        outcome = _Outcome(plans)
        if not dry_run:
            outcome = _write(_Work(plans, to, place(), base, context, access), compression, asked["sbom"])
    _tell(outcome, to, terminal, as_json=as_json)
    if not as_json:
        click.echo(run, nl=False)


@dataclass(frozen=True)
class _Work:
    plans: Sequence[ImagePlan]
    to: Outputs
    layout: Layout
    base: BaseSource
    context: Context
    access: RegistryAccess


@dataclass(frozen=True)
class _Outcome:
    images: Sequence[WrittenImage | ImagePlan]
    named: Descriptor | None = None
    pushed: Pushed | None = None


def _write(work: _Work, compression: Compression, bill: Path | None) -> _Outcome:
    to, layout = work.to, work.layout
    whole = to.folder is not None or to.archive is not None
    made = written(work.plans, work.base, layout, compression, work.context, whole=whole)
    named = name_images(layout, made, to.tag)
    if bill is not None:
        with atomic_file(bill) as file:
            file.write(made[0].bill_of_materials)
    return _Outcome(made, named, _send(to, layout, named, made, work.access))


def _tell(outcome: _Outcome, to: Outputs, terminal: Terminal, *, as_json: bool) -> None:
    images, named, pushed = outcome.images, outcome.named, outcome.pushed
    rows = [layer_costs(image) for image in images]
    for warning in dict.fromkeys(text for layers in rows for text in image_warnings(layers)):
        terminal.warn(warning)
    if as_json:
        click.echo(json.dumps(image_document(images, rows, named, pushed), indent=2))
        return
    tell_images(images, rows)
    if pushed is not None:
        tell_pushed(pushed)
    for written_to in (to.folder and f"oci:{to.folder}:{to.tag}", to.archive) if named is not None else ():
        if written_to:
            click.echo(f"{written_to}")
    click.echo("nothing was written" if named is None else named.digest)


def _send(
    to: Outputs,
    layout: Layout,
    named: Descriptor,
    images: Sequence[WrittenImage],
    access: RegistryAccess,
) -> Pushed | None:
    """Write the archive and push, where that was asked for."""
    if to.archive is not None:
        top = images[0].plan.annotations
        title, version = (top.get(f"org.opencontainers.image.{key}") for key in ("title", "version"))
        usual = f"{title}:{str(version).replace('+', '-').replace('!', '-')}" if title else None
        write_docker_archive(layout, named, to.archive, to.name or usual)
    if to.push is None:
        return None
    sources = {one.source for image in images for one in (image.plan.base.layers if image.plan.base else ())}
    pushed = push(layout, named, to.push, access, mount_from=sorted(filter(None, sources)))
    for image in images:
        push(layout, image.bill, to.push.at(image.bill.digest), access)
    return pushed


def _compare(names: tuple[str, str], context: Context, access: RegistryAccess, *, as_json: bool) -> None:
    with context.cache.scratch() as scratch:
        place = partial(Layout.create, scratch / "layout")
        rows = sharing(*(base_of(name, place, access) for name in names))
    if as_json:
        click.echo(json.dumps(sharing_document(rows, names), indent=2))
    else:
        tell_sharing(rows, names)
