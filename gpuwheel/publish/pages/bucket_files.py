"""The wheels in a bucket with the interface of S3 (or of Google or Azure), by the package obstore.

They stay where they are. What is written here is what belongs beside them: copied to the same prefix, it is an index
there.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from gpuwheel._archives import is_safe_name
from gpuwheel._endings import cut
from gpuwheel._limits import DOWNLOAD, INDEX_LINKS
from gpuwheel._process import environment
from gpuwheel.errors import NetworkError
from gpuwheel.publish.pages.offered import Offered, is_release_file
from gpuwheel.publish.pages.page_writer import is_copy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from obstore.store import ClientConfig

    from gpuwheel.index.context import Context

__all__ = ["Bucket"]

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_PIECE = 1 << 20
_HINT = "check the address, AWS_ENDPOINT_URL, AWS_REGION and the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"


class Bucket:
    """What lies below a prefix."""

    def __init__(self, url: str, context: Context) -> None:
        """Take what the environment says of endpoint and credentials; nothing is asked yet.

        Raises:
            NetworkError: that cannot be read.
        """
        self._shown, self._context = cut(url), context
        endpoint = next((context.environ[name] for name in _ENDPOINTS if context.environ.get(name)), url)
        client: ClientConfig = {"connect_timeout": "10s", "timeout": "600s"}
        if urlsplit(endpoint).scheme == "http":
            client["allow_http"] = True  # S3 signs requests instead of sending a secret
        try:
            with environment(context.environ):
                self._store = from_url(url, client_options=client)
        except (BaseError, ValueError, OSError) as error:
            raise self._error(error, "cannot be used") from None

    def offered(self) -> Iterator[Offered]:
        """Documented by the Protocol."""
        found = []
        try:
            for chunk in obstore.list(self._store, chunk_size=1000):
                found += [one for one in chunk if is_release_file(one["path"].rpartition("/")[2])]
                if len(found) > INDEX_LINKS.value:
                    msg = f"{self._shown} holds too many files ({INDEX_LINKS.passed('more')})"
                    raise NetworkError(msg, hint="make an index of each part of it")
        except (BaseError, OSError) as error:
            raise self._error(error, "cannot be listed") from None
        for one in sorted(found, key=lambda one: one["path"]):
            path = one["path"]
            # What no page could name, and what an index that was copied there has put there itself.
            if not is_safe_name(path) or path.startswith("simple/") or is_copy(path) or "/." in f"/{path}":
                continue
            stamp = one["last_modified"].timestamp()
            identity = f"{one['size']} {one['e_tag']} {stamp}"
            yield Offered(path.rpartition("/")[2], identity, stamp, path)

    @contextmanager
    def local(self, offered: Offered) -> Iterator[Path]:
        """Documented by the Protocol."""
        reporter = self._context.reporter
        with self._context.cache.scratch() as folder:
            path = folder / offered.filename
            try:
                got = obstore.get(self._store, offered.within)
                size, received = got.meta["size"], 0
                with path.open("wb") as file, reporter.progress(f"reading {offered.filename}", size) as progress:
                    for piece in got.stream(min_chunk_size=_PIECE):
                        received += file.write(piece)
                        progress.advance(len(piece))
                        if received > min(size, DOWNLOAD.value):
                            break
            except (BaseError, FileNotFoundError) as error:
                raise self._error(error, f"does not give {cut(offered.within)}") from None
            if received != size:
                msg = f"{self._shown} does not give {cut(offered.within)} whole ({received:,} bytes, expected {size:,})"
                raise NetworkError(msg, hint="try again")
            yield path

    def metadata(self, offered: Offered) -> None:
        """Documented by the Protocol."""
        del offered

    def _error(self, error: Exception, what: str) -> NetworkError:
        # Errors of obstore quote requests and answers, credentials among them: none of their words is shown.
        return NetworkError(f"{self._shown} {what} ({type(error).__name__})", hint=_HINT)
