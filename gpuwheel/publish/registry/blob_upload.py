"""One blob on its way into a repository: mounted from another one, or sent in parts and gone on with where it broke.

distribution-spec, "Pushing blobs": an upload has a place (`Location`), which changes with each answer, and a registry
says on request how much of it has come (`Range`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from gpuwheel._endings import because, cut
from gpuwheel._files import sha256_of
from gpuwheel.errors import ImageError, NetworkError
from gpuwheel.index.transport import InterruptedTransferError, NotOnServerError
from gpuwheel.publish.registry.exchanges import Request
from gpuwheel.publish.registry.registry_errors import joined_url
from gpuwheel.publish.registry.side_by_side import StoppedTransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel.model.reporter import Progress
    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.registry.exchanges import Answer, RegistryClient

__all__ = ["BlobUpload"]

_OK, _CREATED, _ACCEPTED, _REFUSED, _UNSATISFIABLE = 200, 201, 202, 400, 416
_TOO_LARGE = 413
_NO_PARTS = frozenset({400, 405, 411, 415, 501})
"""How registries answer a second part that know of whole blobs alone."""
_SMALLEST_PART = 1 << 20
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")
_BLOCK = 1 << 20
_BINARY = {"Content-Type": "application/octet-stream"}


class BlobUpload:
    """The upload of a file as a blob.

    Args:
        client: of the repository.
        blob: what is sent.
        path: of the file.
        progress: is told of bytes as they go, and of those that have to go again.
    """

    def __init__(self, client: RegistryClient, blob: Descriptor, path: Path, progress: Progress) -> None:
        self._client, self._blob, self._path, self._progress = client, blob, path, progress
        self._place: str | None = None
        self._offset = 0
        """So many bytes are there."""
        self._told = 0
        """So many were told to `progress`."""
        self._chunk = client.access.chunk
        self._is_sure = True
        self._was_refused = False

    def mount(self, source: str) -> bool:
        """Have the registry take the blob from another repository of its own; if it does not, `send` goes on."""
        return self._begin({"mount": self._blob.digest, "from": source})

    def send(self) -> None:
        """Send the blob, as often and from where it is necessary.

        Raises:
            ImageError: the file is not the blob any more.
            NetworkError: the registry does not take it.
        """
        self._client.retrying(self._attempt, lambda: self._offset)
        self._tell(self._blob.size)

    def _attempt(self) -> None:
        try:
            if self._place is None:
                self._begin({})
            elif not self._is_sure and self._look():
                return
            self._is_sure = False  # until all of this went well
            if self._blob.size > self._chunk or self._offset:
                while self._offset < self._blob.size:
                    self._send_part(min(self._chunk, self._blob.size - self._offset))
            self._finish()
        except NotOnServerError as error:
            self._restart()
            msg = f"{self._client.reference.registry} has forgotten an upload ({cut(error.message)})"
            raise InterruptedTransferError(msg, hint="try again") from error
        finally:
            self._tell(self._offset)

    def _begin(self, query: Mapping[str, str]) -> bool:
        client = self._client
        request = Request(
            "POST",
            client.url("blobs/uploads/", query),
            {"Content-Length": "0"},
            good=frozenset({_CREATED, _ACCEPTED}),
        )
        try:
            answer = client.ask_once(request) if not query else client.ask(request)
        except NotOnServerError as error:
            msg = f"{client.reference.name} cannot be pushed to ({cut(error.message)})"
            raise NetworkError(msg, hint="make the repository first, or correct its name") from error
        if answer.status == _CREATED:
            return True
        self._move(answer)
        least = answer.headers.get("OCI-Chunk-Min-Length", "")
        if least.isascii() and least.isdigit():
            self._chunk = max(self._chunk, int(least[:18]))
        self._is_sure = True
        return False

    def _restart(self) -> None:
        self._place, self._offset = None, 0

    def _move(self, answer: Answer) -> None:
        location = answer.headers.get("Location", "")
        if not location:
            msg = f"{self._client.reference.registry} does not say where an upload goes (expected a Location)"
            raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
        place = joined_url(answer.url, location, self._client.reference)
        if urlsplit(answer.url).scheme == "https" and urlsplit(place).scheme != "https":
            msg = (
                f"{self._client.reference.registry} wants an upload without encryption ({cut(place.partition('?')[0])})"
            )
            raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
        self._place = place

    def _look(self) -> bool:
        """Ask how much has come; whether all of it is where it belongs, and only the answer was lost."""
        client = self._client
        assert self._place is not None  # noqa: S101 (for mypy: it has begun)
        try:
            answer = client.ask_once(Request("GET", self._place, good=frozenset({200, 204})))
        except InterruptedTransferError:
            raise
        except NetworkError:  # it does not tell
            url = client.url(f"blobs/{self._blob.digest}")
            if client.ask_once(Request("HEAD", url, good=frozenset({200, 404}), follows=True)).status == _OK:
                self._offset = self._blob.size
                return True
            self._restart()
            self._begin({})
            return False
        try:
            self._take_range(answer, self._offset)
        except InterruptedTransferError:  # what had come is gone
            self._begin({})
            return False
        if answer.headers.get("Location"):
            self._move(answer)
        return False

    def _take_range(self, answer: Answer, otherwise: int) -> None:
        """Believe what a registry says it has."""
        match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
        # 0-0 is nothing, as of one that has just begun (distribution-spec); a first part is never of one byte.
        there = otherwise if match is None else int(match[1]) + (match[1] != "0")
        if not self._offset <= there <= self._blob.size:
            found, had = f"{there:,} bytes", f"{self._offset:,}"
            self._restart()
            msg = f"{self._client.reference.registry} lost its way in an upload (found {found}, expected {had} or more)"
            raise InterruptedTransferError(msg, hint="try again")
        self._offset = there

    def _send_part(self, size: int) -> None:
        start, client = self._offset, self._client
        assert self._place is not None  # noqa: S101 (for mypy: it has begun)
        headers = {**_BINARY, "Content-Range": f"{start}-{start + size - 1}"}
        good = frozenset({_ACCEPTED, 204, _UNSATISFIABLE, _TOO_LARGE}) | (_NO_PARTS if start else frozenset())
        answer = client.ask_once(Request("PATCH", self._place, headers, self._body(start, size), good, is_slow=True))
        if answer.status == _TOO_LARGE:
            self._shrink(size)
        if answer.status in _NO_PARTS:
            self._chunk = self._blob.size  # all of it in one, then
            self._restart()
            msg = f"{client.reference.registry} takes no parts of a blob"
            raise InterruptedTransferError(msg, hint="try again")
        self._take_range(answer, start if answer.status == _UNSATISFIABLE else start + size)
        if answer.headers.get("Location"):
            self._move(answer)
        if answer.status == _UNSATISFIABLE or self._offset <= start:
            msg = f"{client.reference.registry} has another part of {self._blob.digest} ({self._offset:,} bytes)"
            if self._offset <= start:
                self._restart()  # it would refuse the same part again
            raise InterruptedTransferError(msg, hint="try again")

    def _shrink(self, size: int) -> None:
        """What was sent is too large for whatever stands before the registry (nginx, client_max_body_size)."""
        registry = self._client.reference.registry
        if size <= _SMALLEST_PART:
            msg = f"{registry} takes no parts of {size:,} bytes (HTTP 413)"
            raise NetworkError(msg, hint="have it, or the proxy before it, take larger requests")
        self._chunk = max(_SMALLEST_PART, size // 4)
        self._restart()
        msg = f"{registry} takes smaller parts than {size:,} bytes"
        raise InterruptedTransferError(msg, hint="try again")

    def _finish(self) -> None:
        """Name the digest, with what is left of a blob that is sent in one."""
        assert self._place is not None  # noqa: S101 (for mypy: it has begun)
        client, blob = self._client, self._blob
        place = self._place + ("&" if urlsplit(self._place).query else "?") + urlencode({"digest": blob.digest})
        left = blob.size - self._offset
        headers = _BINARY if left else {**_BINARY, "Content-Length": "0"}
        body = self._body(self._offset, left) if left else None
        good = frozenset({_CREATED, 204, _REFUSED, _TOO_LARGE})
        answer = client.ask_once(Request("PUT", place, headers, body, good, is_slow=True))
        if answer.status == _TOO_LARGE:
            self._shrink(left)
        if answer.status == _REFUSED:
            self._explain(answer)
        stored = answer.headers.get("Docker-Content-Digest", blob.digest)
        if stored.startswith("sha256:") and stored != blob.digest:
            msg = f"{client.reference.name} has stored other content ({cut(stored)}, expected {blob.digest})"
            raise NetworkError(msg, hint="something between here and the registry changes it: try again from elsewhere")
        self._offset = blob.size

    def _explain(self, answer: Answer) -> None:
        """A registry refuses the content: either it is not what it was, or not what was sent."""
        blob = self._blob
        with self._path.open("rb") as file:
            found = f"sha256:{sha256_of(file)}"
        if found != blob.digest:
            msg = f"{self._path} is not the content that it was ({found}, expected {blob.digest})"
            raise ImageError(msg, hint="build or pull the image again")
        said = cut(answer.content.decode(errors="replace"))
        msg = f"{self._client.reference.name} does not take {blob.digest} (HTTP 400, {said})"
        hint = "something between here and the registry changes what is sent: try again from elsewhere"
        if self._was_refused:
            raise NetworkError(msg, hint=hint)
        self._was_refused = True
        self._restart()
        raise InterruptedTransferError(msg, hint=hint)

    def _body(self, start: int, size: int) -> Callable[[], _Span]:
        return lambda: _Span(self._path, start, size, self._sending)

    def _sending(self, place: int) -> None:
        if self._client.stop.is_set():
            raise StoppedTransferError
        self._tell(place)

    def _tell(self, place: int) -> None:
        self._progress.advance(place - self._told)
        self._told = place


class _Span:
    """A part of a file, as requests sends bodies; it reads no more than it said."""

    def __init__(self, path: Path, start: int, size: int, tell: Callable[[int], None]) -> None:
        self._path, self._size, self._tell = path, size, tell
        self._place, self._left = start, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield piece
            self._place += len(piece)
            self._tell(self._place)

    def _pieces(self) -> Iterator[bytes]:
        """The bytes; what goes wrong with our own file is no trouble of a network."""
        hint = "build or pull the image again"
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                while self._left:
                    piece = file.read(min(_BLOCK, self._left))
                    if not piece:
                        msg = f"{self._path} was cut while it was sent (expected {self._left:,} bytes more)"
                        raise ImageError(msg, hint=hint)
                    self._left -= len(piece)
                    yield piece
        except OSError as error:
            msg = f"{self._path} cannot be read any more ({because(error)})"
            raise ImageError(msg, hint=hint) from error
