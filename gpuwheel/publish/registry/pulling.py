"""Pull images into a layout: what came is kept, checked by digest, and named by nobody before it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import requests

from gpuwheel._endings import cut, reading
from gpuwheel._limits import DOWNLOAD
from gpuwheel.errors import ImageError, NetworkError
from gpuwheel.index.transport import InterruptedTransferError, NotOnServerError
from gpuwheel.publish.image.descriptors import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    ImagePlatform,
    descriptors_of,
    parse_document,
)
from gpuwheel.publish.registry.exchanges import RegistryClient, Request
from gpuwheel.publish.registry.side_by_side import StoppedTransferError, at_once, shared_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpuwheel.model.reporter import Progress
    from gpuwheel.publish.image.layout import Layout
    from gpuwheel.publish.registry.exchanges import RegistryAccess
    from gpuwheel.publish.registry.image_reference import ImageReference

__all__ = ["fetch_blob", "pull", "pull_scope"]

_ACCEPT = {"Accept": ", ".join(sorted(MANIFESTS | INDEXES))}
_NO_PLATFORM = "unknown"
"""What attestations beside images say they run on."""
_SAME_VARIANTS = {("arm64", "v8"): ""}
"""How an architecture is written without its variant."""


def pull_scope(repository: str) -> str:
    """What a token has to allow for pulling."""
    return f"repository:{repository}:pull"


def pull(
    reference: ImageReference,
    layout: Layout,
    access: RegistryAccess,
    *,
    platform: ImagePlatform | None = None,
    layers: bool = True,
) -> Descriptor:
    """Have an image in a layout, and return what points to it; the layout does not name it.

    What a call that was killed has left is gone on with.

    Args:
        reference: of the image.
        layout: where it goes.
        access: to the registry.
        platform: of the one image of an index that is wanted; `None`: all that is there.
        layers: without them, manifests and configurations alone: `Descriptor.source` says where layers are.

    Raises:
        NotOnServerError: the registry has no such image.
        NetworkError: it cannot be had, or is not what its digest says.
        ImageError: its manifests are damaged.
        OSError: the layout cannot be written.
    """
    with RegistryClient(reference, access, [pull_scope(reference.repository)]) as client:
        return _Pull(client, layout).image(platform, layers=layers)


class _Pull:
    def __init__(self, client: RegistryClient, layout: Layout) -> None:
        self._client, self._layout = client, layout
        self._documents: list[tuple[Descriptor, bytes]] = []
        self._blobs: dict[str, Descriptor] = {}

    def image(self, platform: ImagePlatform | None, *, layers: bool) -> Descriptor:
        reference = self._client.reference
        top, document = self._manifest(None)
        if top.media_type in INDEXES and platform is not None:
            self._documents.clear()  # of the index, one image is all that comes
            children = descriptors_of(document, "manifests", str(reference))
            top, document = self._manifest(_of_platform(children, platform, reference))
        self._collect(top, document, with_layers=layers)
        self._fetch(list(self._blobs.values()))
        if top.media_type in MANIFESTS:
            top = self._with_platform(top, document, platform)
        # What refers to blobs comes after them: whoever finds a manifest finds all of it.
        for descriptor, data in reversed(self._documents):
            self._layout.put(data, descriptor.media_type)
        return replace(top, source=reference.name)

    def _manifest(self, known: Descriptor | None) -> tuple[Descriptor, dict[str, object]]:
        """A manifest or an index, checked against the digest by which it was asked for."""
        reference, client = self._client.reference, self._client
        wanted = known.digest if known else reference.wanted
        try:
            answer = client.ask(Request("GET", client.url(f"manifests/{wanted}"), _ACCEPT, follows=True))
        except NotOnServerError as error:
            msg = (
                f"{reference if known is None else reference.at(wanted)} is not in its registry ({cut(error.message)})"
            )
            hint = "correct the name, tag or digest, or choose another image: this one was never there, or was removed"
            raise NotOnServerError(msg, hint=hint) from error
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        stated = known.digest if known else reference.digest or answer.headers.get("Docker-Content-Digest", "")
        if stated.startswith("sha256:") and stated != digest:
            msg = f"{reference} is not what its registry says ({digest}, expected {cut(stated)})"
            raise NetworkError(msg, hint="something between here and the registry changes it: try again from elsewhere")
        document = parse_document(answer.content, f"the manifest of {reference}")
        media_type = str(document.get("mediaType") or answer.headers.get("Content-Type", "").partition(";")[0].strip())
        if media_type not in MANIFESTS | INDEXES:
            msg = (
                f"{reference} is no image that can be read ({cut(media_type or 'no media type')}, expected that of OCI)"
            )
            raise NetworkError(msg, hint="push it again with a newer docker or podman, or choose another image")
        descriptor = (
            replace(known, size=len(answer.content)) if known else Descriptor(media_type, digest, len(answer.content))
        )
        self._documents.append((descriptor, answer.content))
        return descriptor, document

    def _collect(self, descriptor: Descriptor, document: dict[str, object], *, with_layers: bool) -> None:
        """Note what an image or an index refers to."""
        name = str(self._client.reference)
        if descriptor.media_type in INDEXES:
            for child in descriptors_of(document, "manifests", name):
                if child.media_type in INDEXES:
                    msg = f"{name} is an index of indexes (expected images)"
                    raise NetworkError(msg, hint="name one of them by its digest")
                self._collect(*self._manifest(child), with_layers=with_layers)
            return
        blobs = [Descriptor.from_json(document.get("config"))]
        if with_layers:
            blobs += descriptors_of(document, "layers", name)
        for blob in blobs:
            if blob.size > DOWNLOAD.value:
                msg = f"{name} has a layer that is too large ({DOWNLOAD.passed(f'{blob.size:,} bytes')})"
                raise NetworkError(msg, hint="choose another image")
            self._blobs.setdefault(blob.digest, blob)

    def _fetch(self, blobs: list[Descriptor]) -> None:
        missing = [blob for blob in blobs if not self._layout.has(blob)]
        if not missing:
            return
        client = self._client
        total = sum(blob.size for blob in missing)
        with shared_progress(client.access.reporter, f"pulling {client.reference}", total) as progress:

            def task(blob: Descriptor) -> Callable[[], None]:
                return lambda: fetch_blob(client, blob, self._layout, progress)

            at_once([task(blob) for blob in missing], client.access.jobs, client.stop)

    def _with_platform(
        self, descriptor: Descriptor, document: dict[str, object], wanted: ImagePlatform | None
    ) -> Descriptor:
        """What an image runs on, from its configuration."""
        reference, config = self._client.reference, Descriptor.from_json(document.get("config"))
        found = self._layout.read_json(config)
        with reading(f"the configuration of {reference} is damaged", "the OCI image specification", error=NetworkError):
            if not found.get("os") or not found.get("architecture"):
                return descriptor  # an artifact, or a configuration of another kind
            has = ImagePlatform(str(found["os"]), str(found["architecture"]), str(found.get("variant") or ""))
        if wanted is not None and not _fits(has, wanted):
            raise _no_platform(reference, [has], wanted)
        return replace(descriptor, platform=has)


def _of_platform(found: tuple[Descriptor, ...], wanted: ImagePlatform, reference: ImageReference) -> Descriptor:
    for one in found:
        if one.platform is not None and _fits(one.platform, wanted):
            return one
    raise _no_platform(reference, [one.platform for one in found if one.platform], wanted)


def _fits(has: ImagePlatform, wanted: ImagePlatform) -> bool:
    """Whether an image for one platform is what was asked for; without a variant, any will do."""
    same = (has.os, has.architecture) == (wanted.os, wanted.architecture)
    variants = [_SAME_VARIANTS.get((one.architecture, one.variant), one.variant) for one in (has, wanted)]
    return same and (not wanted.variant or variants[0] == variants[1])


def _no_platform(reference: ImageReference, found: list[ImagePlatform], wanted: ImagePlatform) -> NetworkError:
    there = sorted({str(one) for one in found if one.os != _NO_PLATFORM})
    msg = f"{reference} is not for {wanted} (found {cut(', '.join(there) or 'no platform')})"
    return NetworkError(msg, hint="choose another base image, or one of these platforms")


def fetch_blob(client: RegistryClient, blob: Descriptor, layout: Layout, progress: Progress) -> None:
    """Have a blob in a layout: what is there of it is gone on with, and the whole is checked.

    Raises:
        NotOnServerError: the registry has none.
        NetworkError: it cannot be had, or is another one.
        OSError: the layout cannot be written.
    """
    try:
        with _part(layout, blob) as file:
            if not layout.has(blob):
                _complete(client, blob, file, progress)
                _take(client, blob, layout)
    except OSError as error:
        error.filename = error.filename or str(layout.folder)  # a full disk names no file
        raise


def _complete(client: RegistryClient, blob: Descriptor, file: BinaryIO, progress: Progress) -> None:
    if file.tell() > blob.size:
        _empty(file)
    progress.advance(file.tell())

    def transfer() -> None:
        if file.tell() < blob.size:
            _receive(client, blob, file, progress)

    try:
        client.retrying(transfer, file.tell)
    except NotOnServerError as error:
        msg = f"{client.reference.name} lacks {blob.digest}, which its manifest names ({cut(error.message)})"
        raise NotOnServerError(msg, hint="the image was removed, or is damaged there: choose another one") from error
    file.flush()


def _take(client: RegistryClient, blob: Descriptor, layout: Layout) -> None:
    try:
        layout.adopt(layout.part_path(blob.digest), blob)
    except ImageError as error:
        msg = f"{client.reference.name} gave other content than it was asked for: {error.message}"
        hint = "try again: if it stays so, the image is damaged there, or changed on its way"
        raise NetworkError(msg, hint=hint) from error


@contextmanager
def _part(layout: Layout, blob: Descriptor) -> Iterator[BinaryIO]:
    """The unfinished file, at its end; one process at a time has it."""
    path = layout.part_path(blob.digest)
    while True:
        with path.open("a+b") as file:
            with suppress(OSError):  # a file system without locks: the digest is checked
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is(path, file):
                continue  # whoever had it has moved it to where it belongs, meanwhile
            yield file
            if layout.has(blob) and _is(path, file):
                path.unlink()  # it was there already
            return


def _is(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _receive(client: RegistryClient, blob: Descriptor, file: BinaryIO, progress: Progress) -> None:
    done = file.tell()
    headers = {"Range": f"bytes={done}-"} if done else {}
    request = Request("GET", client.url(f"blobs/{blob.digest}"), headers, good=frozenset({200, 206, 416}), follows=True)
    with client.opened(request) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            progress.advance(-done)
            _empty(file)
            msg = f"{client.reference.name} has no rest of {blob.digest} behind {done:,} bytes (HTTP 416)"
            raise InterruptedTransferError(msg, hint="try again")
        if done and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            # It sends all of it, although asked for the rest (RFC 9110, 14.2).
            progress.advance(-done)
            _empty(file)
        for piece in client.chunks(response):
            if client.stop.is_set():
                raise StoppedTransferError
            if file.tell() + len(piece) > blob.size:
                msg = f"{client.reference.name} gives more than {blob.digest} has (expected {blob.size:,} bytes)"
                raise NetworkError(msg, hint="the image is damaged there, or changed on its way")
            file.write(piece)
            progress.advance(len(piece))
    if file.tell() < blob.size:
        msg = f"{client.reference.name} ended {blob.digest} too early ({file.tell():,} of {blob.size:,} bytes)"
        raise InterruptedTransferError(msg, hint="try again: what came is kept")


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()
