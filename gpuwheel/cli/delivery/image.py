"""`gpuwheel image`."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.cli.delivery.image_texts import run_texts, tell_containerfile, text_options
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.index.context import Context
from gpuwheel.publish.image.base_source import BaseSource, layout_reference, local_base, no_base
from gpuwheel.publish.image.compression import Compression
from gpuwheel.publish.image.image_build import ImageRequest, parse_platform, planned, written
from gpuwheel.publish.image.image_costs import image_warnings, layer_costs
from gpuwheel.publish.image.image_planner import ImageWishes
from gpuwheel.publish.image.image_writer import WrittenImage, name_images
from gpuwheel.publish.image.layout import Layout
from gpuwheel.ui import Terminal
from gpuwheel.wheel.archive import DEFAULT_EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.image.image_costs import LayerCost
    from gpuwheel.publish.image.image_plan import ImagePlan

__all__ = ["image_command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("image")
@click.argument("wheels", nargs=-1, type=_FILE)
@click.option("--base", metavar="BASE", help="oci:DIR[:TAG], or scratch for nothing below.")
@click.option("--python", metavar="3.X[=PATH]", help="Which Python of the base; by default the first on its PATH.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="By default those of the wheels.")
@click.option("--project", metavar="NAME", help="Whose wheel is alone on top; by default that which none requires.")
@click.option("-o", "--output", default="oci:image", show_default=True, metavar="oci:DIR[:TAG]", help="Where it goes.")
@click.option("--compression", default="deflate", show_default=True, metavar="HOW", help="Or gzip[:1-9], zstd[:1-19].")
@click.option("--layers", type=click.IntRange(3, 120), metavar="N", help="How many over the base at most.")
@click.option("--prefix", default="/opt/venv", show_default=True, metavar="PATH", help="The virtual environment.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set in containers.")
@click.option("--label", multiple=True, metavar="NAME=VALUE", help="Of the image's configuration.")
@click.option("--annotation", multiple=True, metavar="NAME=VALUE", help="Of the image's manifest.")
@click.option("--user", metavar="UID[:GID]", help="Who runs it; by default the base's user, and never root.")
@click.option("--workdir", metavar="PATH", help="Where it runs.")
@click.option("--entrypoint", metavar="WORDS", help="What runs: words as for a shell, or a JSON list.")
@click.option("--cmd", metavar="WORDS", help="Its arguments, unless some are given when it is run.")
@click.option("--cuda-base", is_flag=True, help="The base may bring a CUDA toolkit of its own.")
@click.option("--no-deps-check", is_flag=True, help="Do not look whether all that wheels require is there.")
@text_options
@click.option("--dry-run", is_flag=True, help="Say which layers there would be, and write nothing.")
@parameters.as_json
def image_command(wheels: tuple[Path, ...], *, dry_run: bool, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Make a container image of WHEELS, as installed, on a base with Python: no daemon, no root, no pip.

    A wheel of more than 8 MB has a layer of its own, which every image with this wheel shares; the project is alone on
    top. The same inputs give the same digest, on every machine.

    \b
    Examples:
      gpuwheel image --base oci:python:3.12-slim wheelhouse/*.whl
      gpuwheel image --base oci:python --entrypoint "python -m ops.serve" -o oci:image:1.4 wheelhouse/*.whl
      gpuwheel image --base oci:python --dry-run --json wheelhouse/*.whl
      gpuwheel image --base oci:python --run-lines podman wheelhouse/*.whl
      gpuwheel image --base oci:python --containerfile build wheelhouse/*.whl && podman build build
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    environ, terminal = dict(os.environ), Terminal()
    context = Context(Cache.from_environment(environ), environ, terminal)
    compression = Compression.parse(asked["compression"])
    base = _base(asked["base"])
    folder, tag = _output(asked["output"])
    platforms = tuple(map(parse_platform, asked["platforms"]))
    wishes = _wishes(asked, epoch_of(environ))
    plans = planned(ImageRequest(wheels, base, wishes, platforms, asked["python"], asked["cuda_base"]), context)
    if asked["containerfile"] is not None:
        tell_containerfile(plans, asked["containerfile"], dry_run=dry_run)
        return
    run = run_texts(plans, f"oci:{folder}:{tag}", asked["run_lines"])
    images: Sequence[WrittenImage | ImagePlan] = plans
    named = None
    if not dry_run:
        layout = Layout.create(folder)
        images = made = written(plans, base, layout, compression, context)
        named = name_images(layout, made, tag)
    rows = [layer_costs(image) for image in images]
    for warning in dict.fromkeys(text for layers in rows for text in image_warnings(layers)):
        terminal.warn(warning)
    if as_json:
        click.echo(json.dumps(_document(images, rows, named), indent=2))
    else:
        _tell(images, rows)
        click.echo("nothing was written" if named is None else f"oci:{folder}:{tag}\n{named.digest}")
        click.echo(run, nl=False)


def _base(text: str | None) -> BaseSource:
    if text is None:
        msg = "--base is missing (expected an image with Python: oci:DIR[:TAG]; or scratch)"
        raise click.UsageError(msg)
    if text == "scratch":
        return no_base()
    if text.startswith("oci:"):
        return local_base(text)
    msg = f"--base {text} is not a base (expected oci:DIR[:TAG] or scratch)"
    raise click.UsageError(msg)


def _output(text: str) -> tuple[Path, str]:
    if not text.startswith("oci:"):
        msg = f"--output {text} is no place for an image (expected oci:DIR[:TAG])"
        raise click.UsageError(msg)
    folder, tag = layout_reference(text)
    return folder, tag or "latest"


def _wishes(asked: dict[str, Any], epoch: int | None) -> ImageWishes:
    return ImageWishes(
        prefix=asked["prefix"],
        project=asked["project"],
        budget=asked["layers"] or 0,
        env=_pairs(asked["env"], "--env"),
        labels=_pairs(asked["label"], "--label"),
        annotations=_pairs(asked["annotation"], "--annotation"),
        user=asked["user"],
        workdir=asked["workdir"],
        entrypoint=_words(asked["entrypoint"], "--entrypoint"),
        cmd=_words(asked["cmd"], "--cmd"),
        check_requirements=not asked["no_deps_check"],
        created=DEFAULT_EPOCH if epoch is None else epoch,
    )


def _pairs(words: Iterable[str], option: str) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            msg = f"{option} {word} has no value (expected NAME=VALUE)"
            raise click.UsageError(msg)
        found[name] = value
    return found


def _words(text: str | None, option: str) -> tuple[str, ...] | None:
    if text is None:
        return None
    try:
        words = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except ValueError as error:
        msg = f"{option} {text} cannot be read ({error})"
        raise click.UsageError(msg) from error
    if not all(isinstance(word, str) for word in words):
        msg = f"{option} {text} is not a list of words"
        raise click.UsageError(msg)
    return tuple(words)


def _tell(images: Sequence[WrittenImage | ImagePlan], rows: Sequence[list[LayerCost]]) -> None:
    for image, layers in zip(images, rows, strict=True):
        plan = image.plan if isinstance(image, WrittenImage) else image
        click.echo(f"{plan.platform}, Python {plan.python}")
        for layer in layers:
            digest = "" if layer.digest is None else f"{layer.digest[7:19]}  "
            note = "  (made before)" if layer.reused and layer.title != "base" else ""
            click.echo(f"  {layer.size / 1e6:10.1f} MB  {digest}{layer.title}{note}")
        click.echo(f"  {sum(layer.size for layer in layers) / 1e6:10.1f} MB  in {len(layers)} layers")


def _document(
    images: Sequence[WrittenImage | ImagePlan], rows: Sequence[list[LayerCost]], named: Descriptor | None
) -> dict[str, Any]:
    """For machines, schema 1 (`data/image.schema.json`)."""
    found = []
    for image, layers in zip(images, rows, strict=True):
        plan = image.plan if isinstance(image, WrittenImage) else image
        found.append(
            {
                "platform": str(plan.platform),
                "python": str(plan.python),
                "digest": image.manifest.digest if isinstance(image, WrittenImage) else None,
                "base": None if plan.base is None else plan.base.digest,
                "layers": [
                    {
                        "title": layer.title,
                        "digest": layer.digest,
                        "size": layer.size,
                        "unpacked": layer.unpacked,
                        "wheels": list(layer.wheels),
                        "reused": layer.reused,
                    }
                    for layer in layers
                ],
            }
        )
    return {"schema": 1, "digest": None if named is None else named.digest, "images": found}
