"""What holds a remote: a bucket with the interface of S3, a folder, or a server of HTTP; by the package obstore.

obstore is object_store of the Arrow project (Rust), which takes credentials from the variables that each kind of store
has. Its errors quote requests and answers, so none of their words is shown.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from gpuwheel import _limits
from gpuwheel._process import environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Mapping

    from obstore.store import ClientConfig, RetryConfig

__all__ = ["AT_ONCE", "LARGE", "Bucket", "BucketError", "RefusedError", "patience", "read_stated"]

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CONNECT = "3s"
_ANSWER = "600s"
"""Of one request; how long all of them may take is the business of `remote_tier`."""


AT_ONCE = 16
"""Transfers."""

LARGE = 16_000_000
"""Bytes."""

_PIECE = 256_000
"""Bytes."""


class BucketError(Exception):
    """The remote does not do what it is asked; the message is why, without anything of what it said."""


class RefusedError(BucketError):
    """It knows who asks, or does not, and refuses."""


def patience(size: int) -> float:
    """Seconds that reading `size` bytes may take, where as many as there may be share a line of the least rate."""
    return _limits.REMOTE_WAIT.value + AT_ONCE * size / _limits.REMOTE_RATE.value


async def read_stated(stream: AsyncIterable[Any], size: int, moved: Callable[[int], None]) -> bytes:
    """What `stream` gives, which is not believed to end where it was said to: chunks over HTTP may go on for ever.

    Args:
        stream: of pieces.
        size: that was stated, in bytes.
        moved: hears how many bytes came, piece by piece.

    Raises:
        BucketError: more comes.
    """
    data = bytearray()
    async for piece in stream:
        data += piece
        if len(data) > size:
            msg = "sends more than it says"
            raise BucketError(msg)
        moved(len(piece))
    return bytes(data)


class Bucket:
    """A place for bytes under names."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """Take what `environ` says of endpoint and credentials; nothing is asked yet.

        Raises:
            BucketError: that cannot be read.
        """
        endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), url)
        client: ClientConfig = {"connect_timeout": _CONNECT, "timeout": _ANSWER}
        if urlsplit(endpoint).scheme == "http":
            # Who wrote http:// meant it; entries are signed, and S3 signs requests instead of sending a secret.
            client["allow_http"] = True
        retries: RetryConfig = {"max_retries": 1, "retry_timeout": timedelta(seconds=3)}
        try:
            with environment(environ):
                self._store = from_url(url, client_options=client, retry_config=retries)
        except (BaseError, ValueError, OSError) as error:
            msg = f"cannot be used ({type(error).__name__})"
            raise BucketError(msg) from None

    async def read(self, path: str, alone: asyncio.Lock, moved: Callable[[int], None]) -> bytes | None:
        """What is under `path`; `None`: nothing.

        Args:
            path: of the entry.
            alone: is held while something large is read, so that memory holds one such at a time.
            moved: hears how many bytes came, piece by piece.

        Raises:
            BucketError: it cannot be read, or is larger than what is taken.
        """
        try:
            found = await obstore.get_async(self._store, path)
            size = found.meta["size"]
            if size > _limits.REMOTE_ENTRY.value:
                msg = f"has an entry that is too large ({_limits.REMOTE_ENTRY.passed(f'{size:,} bytes')})"
                raise BucketError(msg)
            async with alone if size > LARGE else nullcontext():
                read = read_stated(found.stream(min_chunk_size=_PIECE), size, moved)
                return await asyncio.wait_for(read, patience(size))
        except FileNotFoundError:
            return None
        except asyncio.TimeoutError:
            msg = "takes too long"
            raise BucketError(msg) from None
        except (BaseError, OSError) as error:
            raise _named(error) from None

    async def write(self, path: str, data: bytes) -> None:
        """Put `data` under `path`, whole or not at all.

        Raises:
            BucketError: it cannot be written.
        """
        try:
            await obstore.put_async(self._store, path, data)
        except FileNotFoundError:
            msg = "has no such bucket or folder"
            raise BucketError(msg) from None
        except (BaseError, OSError) as error:
            raise _named(error) from None

    async def beginning(self, path: str, size: int) -> bytes | None:
        """The first `size` bytes of what is under `path`, or fewer.

        Raises:
            BucketError: it cannot be read.
        """
        try:
            return bytes(await obstore.get_range_async(self._store, path, start=0, length=size))
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _named(error) from None

    async def names(self, prefix: str, most: int) -> list[tuple[str, int]]:
        """(path, size in bytes) of what is below `prefix`: `most` of them, in the order of the store.

        Raises:
            BucketError: it cannot be listed.
        """
        found: list[tuple[str, int]] = []
        try:
            async for chunk in obstore.list(self._store, prefix, chunk_size=min(most, 1000)):
                found += [(one["path"], one["size"]) for one in chunk]
                if len(found) >= most:
                    break
        except FileNotFoundError:
            msg = "has no such bucket or folder"
            raise BucketError(msg) from None
        except (BaseError, OSError) as error:
            raise _named(error) from None
        return found[:most]


def _named(error: Exception) -> BucketError:
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
        return RefusedError("refuses access")
    if isinstance(error, OSError) and error.strerror:
        return BucketError(f"does not work ({error.strerror})")
    return BucketError("does not answer, or not as a store does")
