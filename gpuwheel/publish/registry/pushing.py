"""Push images out of a layout: layers first, manifests when all that they name is there, the tag last."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.errors import ImageError, NetworkError
from gpuwheel.index.transport import NotOnServerError
from gpuwheel.publish.image.descriptors import INDEXES, Descriptor, descriptors_of
from gpuwheel.publish.registry.blob_upload import BlobUpload
from gpuwheel.publish.registry.exchanges import RegistryClient, Request
from gpuwheel.publish.registry.image_reference import parse_reference
from gpuwheel.publish.registry.pulling import fetch_blob, pull_scope
from gpuwheel.publish.registry.referrers import note_referrer
from gpuwheel.publish.registry.side_by_side import at_once, shared_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.model.reporter import Progress
    from gpuwheel.publish.image.layout import Layout
    from gpuwheel.publish.registry.exchanges import RegistryAccess
    from gpuwheel.publish.registry.image_reference import ImageReference

__all__ = ["Pushed", "push"]

_DEEPEST = 3
"""Indexes inside of indexes."""
_NOT_OURS = frozenset({401, 403})


@dataclass(frozen=True)
class Pushed:
    """What a push did, in bytes of blobs and manifests."""

    reference: ImageReference
    """With the digest, by which the image can be pulled whatever happens to its tag."""
    sent: int
    skipped: int
    """Were there already."""
    mounted: int
    """Were taken from another repository of the same registry."""


def push(
    layout: Layout,
    descriptor: Descriptor,
    reference: ImageReference,
    access: RegistryAccess,
    *,
    mount_from: Sequence[str] = (),
    dry_run: bool = False,
) -> Pushed:
    """Push an image, or an index with its images, to a repository.

    Whoever is interrupted leaves the tag as it was; a later push sends what is not there yet.

    Args:
        layout: where it is.
        descriptor: of the manifest or index.
        reference: the repository and, but for a push by digest, the tag.
        access: to the registry.
        mount_from: repositories, `REGISTRY/REPOSITORY`, that may have layers of it: such as the base image's. On the
            same registry they are mounted; those that the layout lacks are fetched from anywhere.
        dry_run: send nothing, and say what would be sent.

    Raises:
        ImageError: the layout lacks a layer, or is damaged.
        NetworkError: the registry cannot be reached, or does not take it.
        ConfigError: credentials that docker or podman keep cannot be read, or a repository is none.
    """
    if reference.digest and reference.digest != descriptor.digest:
        msg = f"{reference} names another image ({descriptor.digest} is to be pushed)"
        raise ImageError(msg, hint="push it to a tag, or to its own digest")
    content = _Content(layout)
    content.walk(descriptor, 0)
    sources = [parse_reference(source) for source in mount_from]
    here = [one for one in sources if one.registry == reference.registry and one.repository != reference.repository]
    scopes = [f"repository:{reference.repository}:pull,push", *(pull_scope(one.repository) for one in here)]
    with RegistryClient(reference, access, list(dict.fromkeys(scopes))) as client:
        pushing = _Push(client, content, sources, dry_run=dry_run)
        pushing.blobs(here)
        pushing.manifests(descriptor)
        return Pushed(reference.at(descriptor.digest), **pushing.counts)


class _Content:
    """What an image consists of, each thing once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.blobs: dict[str, Descriptor] = {}
        self.manifests: list[Descriptor] = []
        """Whatever refers to others comes after them."""

    def walk(self, descriptor: Descriptor, depth: int) -> None:
        document = self.layout.read_json(descriptor)
        name = f"{self.layout.folder}: {descriptor.digest}"
        if descriptor.media_type in INDEXES:
            if depth >= _DEEPEST:
                msg = f"{name} is too deep in other indexes (expected at most {_DEEPEST})"
                raise ImageError(msg, hint="build or pull the image again")
            for child in descriptors_of(document, "manifests", name):
                self.walk(child, depth + 1)
        else:
            for blob in (*descriptors_of(document, "layers", name), Descriptor.from_json(document.get("config"))):
                self.blobs.setdefault(blob.digest, blob)
        if all(one.digest != descriptor.digest for one in self.manifests):
            self.manifests.append(descriptor)


class _Push:
    def __init__(
        self, client: RegistryClient, content: _Content, sources: Sequence[ImageReference], *, dry_run: bool
    ) -> None:
        self._client, self._content, self._sources, self._dry_run = client, content, sources, dry_run
        self._lock = threading.Lock()
        self._closed = set[str]()
        """Repositories that we may not read."""
        self.counts = {"sent": 0, "skipped": 0, "mounted": 0}

    def _count(self, kind: str, size: int) -> None:
        with self._lock:
            self.counts[kind] += size

    def blobs(self, mounts: Sequence[ImageReference]) -> None:
        """Have all layers and configurations in the repository."""
        client = self._client
        # The largest first: they would otherwise be what everybody waits for in the end.
        blobs = sorted(self._content.blobs.values(), key=lambda blob: (-blob.size, blob.digest))
        label, total = f"pushing {client.reference}", sum(blob.size for blob in blobs)
        with shared_progress(client.access.reporter, label, total) as progress:

            def task(blob: Descriptor) -> Callable[[], None]:
                return lambda: self._blob(blob, mounts, progress)

            at_once([task(blob) for blob in blobs], client.access.jobs, client.stop)

    def _blob(self, blob: Descriptor, mounts: Sequence[ImageReference], progress: Progress) -> None:
        client, layout = self._client, self._content.layout
        if self._is_there(client.reference.repository, blob):
            self._count("skipped", blob.size)
            progress.advance(blob.size)
            return
        upload = BlobUpload(client, blob, layout.blob_path(blob.digest), progress)
        source = next((one for one in mounts if self._may_mount(one) and self._is_there(one.repository, blob)), None)
        if source is not None and (self._dry_run or upload.mount(source.repository)):
            self._count("mounted", blob.size)
            progress.advance(blob.size)
            return
        if not layout.has(blob) and not self._dry_run:
            self._fetch(blob)
        if not self._dry_run:
            upload.send()
        self._count("sent", blob.size)

    def _may_mount(self, source: ImageReference) -> bool:
        return source.repository not in self._closed

    def _is_there(self, repository: str, blob: Descriptor) -> bool:
        client = self._client
        good = frozenset({200, 404})
        if repository != client.reference.repository:
            good |= _NOT_OURS
        url = client.url(f"blobs/{blob.digest}", repository=repository)
        answer = client.ask(Request("HEAD", url, good=good, follows=True))
        if answer.status in _NOT_OURS:
            self._closed.add(repository)
        size = answer.headers.get("Content-Length", str(blob.size))
        return answer.status == 200 and size == str(blob.size)  # noqa: PLR2004 (OK)

    def _fetch(self, blob: Descriptor) -> None:
        """A layer that was left where it is, and cannot be mounted from there."""
        client, layout = self._client, self._content.layout
        for source in self._sources:
            with RegistryClient(source, client.access, [pull_scope(source.repository)], client.stop) as other:
                label = f"pulling {blob.digest[7:19]} of {source}"
                with shared_progress(client.access.reporter, label, blob.size) as progress:
                    try:
                        fetch_blob(other, blob, layout, progress)
                    except NotOnServerError:
                        continue
            return
        msg = f"{layout.folder} lacks {blob.digest}, and so do {cut(', '.join(map(str, self._sources)) or 'others')}"
        raise ImageError(msg, hint="pull the base image again")

    def manifests(self, top: Descriptor) -> None:
        """Have all manifests in the repository, `top` last and by its tag."""
        for one in self._content.manifests:
            is_top = one.digest == top.digest
            tag = self._client.reference.tag
            self._manifest(one, (tag or self._client.reference.wanted) if is_top else one.digest)

    def _manifest(self, one: Descriptor, name: str) -> None:
        client, url = self._client, self._client.url(f"manifests/{name}")
        accept = {"Accept": one.media_type}
        document = self._content.layout.read_json(one)
        held = client.ask(Request("HEAD", url, accept, good=frozenset({200, 404})))
        is_there = held.status == 200 and held.headers.get("Docker-Content-Digest") == one.digest  # noqa: PLR2004 (OK)
        # What refers to another one is sent again: only the answer says whether the registry keeps who refers to it.
        if is_there and (self._dry_run or not document.get("subject")):
            self._count("skipped", one.size)
            return
        if self._dry_run:
            self._count("sent", one.size)
            return
        data = self._content.layout.read(one)
        request = Request(
            "PUT", url, {"Content-Type": one.media_type}, lambda: data, frozenset({200, 201, 202}), is_slow=True
        )
        answer = client.ask(request)
        stored = answer.headers.get("Docker-Content-Digest", "")
        if not stored.startswith("sha256:"):
            found = client.ask(Request("GET", url, accept, follows=True))
            stored = f"sha256:{hashlib.sha256(found.content).hexdigest()}"
        if stored != one.digest:
            msg = f"{client.reference.name} has stored other content ({cut(stored)}, expected {one.digest})"
            raise NetworkError(msg, hint="something between here and the registry changes it: try again from elsewhere")
        self._count("skipped" if is_there else "sent", one.size)
        self._count("sent", note_referrer(client, one, document, answer))
