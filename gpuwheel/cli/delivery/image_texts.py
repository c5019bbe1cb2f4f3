"""What `gpuwheel image` writes beside an image or in its place: a Containerfile, and how the image is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpuwheel.publish.image.texts.containerfile import containerfile, write_containerfile
from gpuwheel.publish.image.texts.run_lines import HOWS, run_lines, runnable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.publish.image.image_plan import ImagePlan

__all__ = ["run_texts", "tell_containerfile", "text_options"]

F = TypeVar("F", bound="Callable[..., Any]")


def text_options(command: F) -> F:
    """`--containerfile` and `--run-lines`."""
    folder = click.Path(file_okay=False, path_type=Path)
    text = "Write a Containerfile of the same image and all it copies there, and no image."
    command = click.option("--containerfile", type=folder, metavar="DIR", help=text)(command)
    text = f"Say how to run it: {', '.join(HOWS)}."
    return click.option("--run-lines", "run_lines", type=click.Choice(HOWS), metavar="HOW", help=text)(command)


def tell_containerfile(plans: Sequence[ImagePlan], folder: Path, *, dry_run: bool) -> None:
    """Write the Containerfile of one plan, or show it.

    Raises:
        click.UsageError: there are several plans.
        ImageError: a Containerfile cannot make this image.
        OSError: the folder cannot be written.
    """
    if len(plans) != 1:
        shown = ", ".join(str(plan.platform) for plan in plans)
        msg = f"--containerfile is for one platform (found {shown}, expected --platform once)"
        raise click.UsageError(msg)
    if dry_run:
        click.echo(containerfile(plans[0]), nl=False)
        return
    written = write_containerfile(plans[0], folder)
    click.echo(f"{written.path}, and {written.wheels} wheels beside it: podman build {folder}")


def run_texts(plans: Sequence[ImagePlan], reference: str, how: str | None) -> str:
    """How an image is run; "" where nobody asked.

    Raises:
        ImageError: it cannot be run so from where it is.
    """
    return "" if how is None else run_lines(runnable(plans[0], reference), how)
