"""What stands behind the options of `gpuwheel image`: bases, places, words."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.publish.image.base_source import layout_reference, local_base, no_base, registry_base
from gpuwheel.publish.image.image_planner import ImageWishes
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import parse_reference
from gpuwheel.wheel.archive import DEFAULT_EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.base_source import BaseSource
    from gpuwheel.publish.registry import ImageReference, RegistryAccess

__all__ = ["Outputs", "base_of", "outputs", "wishes"]

_ARCHIVE = "docker-archive:"
_USUAL = "oci:image"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # distribution-spec, "Pulling manifests"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Outputs:
    """Where an image goes; without a folder, through a layout in the cache."""

    folder: Path | None
    tag: str
    archive: Path | None = None
    name: str | None = None
    """That it has where the archive is loaded."""
    push: ImageReference | None = None

    @property
    def reference(self) -> str:
        """How others find it."""
        archived = self.name or f"docker-archive:{self.archive}"
        return str(self.push) if self.push else archived if self.folder is None else f"oci:{self.folder}:{self.tag}"

    @contextmanager
    def layout(self, cache: Cache, *, dry_run: bool) -> Iterator[Callable[[], Layout]]:
        """The layout to write into, made when it is asked for; a dry run leaves the one that was named alone."""
        if self.folder is not None and not dry_run:
            yield partial(Layout.create, self.folder)
            return
        # By what it is for, so that the next call finds its blobs, and nobody else waits.
        with cache.workspace(f"image {self.folder} {self.archive} {self.push and self.push.name}") as folder:
            yield partial(Layout.create, folder / "layout")


def outputs(places: tuple[str, ...], push: str | None) -> Outputs:
    """From `--output` and `--push`.

    Raises:
        click.UsageError: a place is none.
        ConfigError: what is to be pushed has no name that registries take.
    """
    folder, tag, archive, name = None, "latest", None, None
    for text in places or (() if push else (_USUAL,)):
        if text.startswith(_ARCHIVE):
            file, colon, name_text = text.removeprefix(_ARCHIVE).partition(":")
            archive, name = Path(file), name_text if colon else None
        elif text.startswith("oci:"):
            folder, stated = layout_reference(text)
            tag = stated or tag
        else:
            msg = f"--output {text} is no place for an image (expected oci:DIR[:TAG] or docker-archive:FILE[:NAME:TAG])"
            raise click.UsageError(msg)
    if _TAG.fullmatch(tag) is None:
        msg = f"--output oci:{folder}:{tag} has a tag that no tool takes (expected letters, digits, '_', '.' and '-')"
        raise click.UsageError(msg)
    if name is not None:
        parse_reference(name)
    reference = None if push is None else parse_reference(push)
    return Outputs(folder, tag, archive, name, reference)


def base_of(text: str | None, layout: Callable[[], Layout], access: RegistryAccess) -> BaseSource:
    """From `--base`; what a registry has of it comes into the layout.

    Raises:
        click.UsageError: it is missing.
        ImageError: there is no such image in a layout.
        NetworkError: there is no such image in the registry.
    """
    if text is None:
        msg = "--base is missing (expected an image with Python: NAME@sha256:..., oci:DIR[:TAG]; or scratch)"
        raise click.UsageError(msg)
    if text == "scratch":
        return no_base()
    return local_base(text) if text.startswith("oci:") else registry_base(text, layout(), access)


def wishes(asked: dict[str, Any], epoch: int | None) -> ImageWishes:
    """From the options that say how the image is made and run.

    Raises:
        click.UsageError: one cannot be read.
    """
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
        compile_bytecode=asked["compile_bytecode"],
        check_requirements=not asked["no_deps_check"],
        created=DEFAULT_EPOCH if epoch is None else epoch,
    )


def _pairs(words: Iterable[str], option: str) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or (option == "--env" and _NAME.fullmatch(name) is None) or not name.isprintable() or not name:
            msg = f"{option} {word} does not say what has which value (expected NAME=VALUE)"
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
