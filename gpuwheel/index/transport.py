"""HTTP as a package index needs it: retries, credentials, proxies, certificates, byte ranges, and errors by name."""

from __future__ import annotations

import re
import time
import warnings
import zlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

import requests
import urllib3

from gpuwheel._endings import cut, reading
from gpuwheel._limits import INDEX_PAGE, REDIRECTS, RETRY_WAIT, SLOWEST_TRANSFER, TRANSFER_GRACE
from gpuwheel.errors import NetworkError
from gpuwheel.index.http_session import BACKOFF, http_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpuwheel._limits import Limit
    from gpuwheel.index.context import Traffic
    from gpuwheel.index.settings import IndexSettings

__all__ = [
    "TRANSFER_FAILURES",
    "Body",
    "InterruptedTransferError",
    "NotOnServerError",
    "Page",
    "RangesUnsupportedError",
    "Transport",
    "arriving",
    "asked_to_wait",
    "local_path",
    "reason_of",
]

T = TypeVar("T")

_CHUNK = 1 << 18
_WORTH_A_LINE = 2.0  # seconds of waiting
_RETRIED = (429, 500, 502, 503, 504)
TRANSFER_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What reaching a server, and reading its answer, may raise."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_REACH_HINT = (
    "check the network, HTTPS_PROXY and the index (GPUWHEEL_INDEX_URL or pip's index-url); "
    "gpuwheel fetch, run where there is a network, fills the cache for builds without one"
)
_TRUST_HINT = "set PIP_CERT or SSL_CERT_FILE to a PEM file with the authority that signed the server's certificate"


class NotOnServerError(NetworkError):
    """The server has no such page or file (404, 410)."""


class RangesUnsupportedError(NetworkError):
    """The server does not answer byte ranges as RFC 9110 section 14 says."""


class InterruptedTransferError(NetworkError):
    """The connection ended before the body did, or the server is busy; trying again may help."""

    def __init__(self, message: str, *, hint: str | None = None, wait: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait
        """Seconds that the server asks for."""


@dataclass(frozen=True)
class Page:
    """A page of an index."""

    url: str
    """Where it was found, after redirects."""
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Body:
    """The bytes of a file from `start` on."""

    start: int
    """0 if the server sends the whole file although asked for a part."""
    chunks: Iterator[bytes]


def local_path(url: str) -> Path | None:
    """The file or folder of a `file:` URL; `None` for other schemes."""
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme == "file" else None


class Transport:
    """A session with one or more package indexes; `say` is told where it waits."""

    def __init__(self, settings: IndexSettings, traffic: Traffic, say: Callable[[str], None] | None = None) -> None:
        self._settings = settings
        self._say = say or (lambda _: None)
        self._traffic = traffic
        self._credentials = _credentials(settings)
        self._session = http_session(settings)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def page(self, url: str, accept: str) -> Page:
        """One page of an index.

        Raises:
            NotOnServerError: there is none.
            NetworkError: anything else went wrong.
        """

        def read() -> Page:
            # Pages are text, and shrink; wheels, below, are compressed already, and parts of them count bytes as they
            # lie.
            with self._get(url, {"Accept": accept, "Accept-Encoding": "gzip"}) as response:
                content = b"".join(self._bounded(response, INDEX_PAGE.value, INDEX_PAGE))
                return Page(response.url, response.headers.get("Content-Type", "text/html"), content)

        return self.retrying(read)

    @contextmanager
    def body(self, url: str, start: int = 0) -> Iterator[Body]:
        """The bytes of a file from `start` to its end.

        Raises:
            NotOnServerError: there is no such file.
            InterruptedTransferError: while reading chunks.
            NetworkError: anything else went wrong.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._get(url, headers) as response:
            first = start
            if response.status_code != requests.codes.partial_content:
                first = 0
            yield Body(first, self._chunks(response))

    def span(self, url: str, start: int, stop: int, size: int) -> bytes:
        """The bytes `start` to `stop` (exclusive) of a file of `size` bytes.

        Raises:
            RangesUnsupportedError: the server sends something else.
            NetworkError: anything else went wrong.
        """
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{stop - 1}"}

        def read() -> bytes:
            with self._get(url, headers) as response:
                _check_partial(response, start, stop, size)
                pieces, left = [], stop - start
                for piece in self._chunks(response):
                    pieces.append(piece)
                    left -= len(piece)
                    if left < 0:  # whoever sends more than was asked for may never end
                        break
                if left:
                    found = "more" if left < 0 else f"{stop - start - left} bytes"
                    msg = f"{cut(url)} gave a part of the wrong length ({found}, expected {stop - start})"
                    raise RangesUnsupportedError(msg)
                return b"".join(pieces)

        return self.retrying(read)

    def size(self, url: str) -> int:
        """How many bytes a file has, where the page that lists it does not say.

        Raises:
            RangesUnsupportedError: the server does not serve parts.
            NetworkError: anything else went wrong.
        """

        def read() -> int:
            with self._get(url, {"Accept-Encoding": "identity", "Range": "bytes=0-0"}) as response:
                match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if response.status_code != requests.codes.partial_content or match is None:
                    msg = f"{cut(url)} does not serve parts (HTTP {response.status_code}, expected 206)"
                    raise RangesUnsupportedError(msg)
                return int(match[3])

        return self.retrying(read)

    def retrying(self, transfer: Callable[[], T]) -> T:
        """Call `transfer` until it is not interrupted, waiting longer each time.

        Raises:
            InterruptedTransferError: it was, each time.
        """
        for attempt in range(self._settings.retries):
            try:
                return transfer()
            except InterruptedTransferError as error:  # noqa: PERF203  # a transfer takes longer than that
                # What the server asks for, if that is longer: else it is asked in vain.
                wait = max(error.wait, min(BACKOFF * 2.0 ** min(attempt, 10), RETRY_WAIT.value))
                if wait >= _WORTH_A_LINE:
                    self._say(f"{error.message}: trying again in {wait:.0f} s")
                time.sleep(wait)
        return transfer()

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """The answer to a request, where redirects lead; their bodies, which may be endless, are not read."""
        asked = url
        for _ in range(REDIRECTS.value + 1):
            try:
                response = self._request(url, headers)
                further = _redirect(response, url)
            except (*TRANSFER_FAILURES, ValueError) as error:
                msg = f"{cut(url)} cannot be reached ({reason_of(error)})"
                untrusted = isinstance(error, requests.exceptions.SSLError)
                raise NetworkError(msg, hint=_TRUST_HINT if untrusted else _REACH_HINT) from error
            self._traffic.requests += 1
            if further is None:
                break
            url = further
        else:
            msg = f"{cut(asked)} leads to nothing but redirects ({REDIRECTS.passed('more')})"
            raise NetworkError(msg, hint=_REACH_HINT)
        with response:
            _check_status(response, url)
            yield response

    def _request(self, url: str, headers: dict[str, str]) -> requests.Response:
        parts = urlsplit(url)
        trusted = {parts.hostname, parts.netloc} & self._settings.trusted_hosts
        proxy = self._settings.proxy
        with warnings.catch_warnings() if trusted else nullcontext():
            if trusted:  # the user has said so
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
            return self._session.get(
                url,
                headers=headers,
                stream=True,
                timeout=self._settings.timeout,
                verify=False if trusted else self._settings.ca_bundle or True,
                proxies={"http": proxy, "https": proxy} if proxy else None,
                # By host: a redirect to another one (a storage service) must not be given the index's password.
                auth=self._credentials.get(parts.netloc),
            )

    def _bounded(self, response: requests.Response, most: int, limit: Limit) -> Iterator[bytes]:
        """The body, unpacked, as long as it does not pass a bound."""
        for piece in _unpacked(self._chunks(response), response.headers.get("Content-Encoding", ""), response.url):
            most -= len(piece)
            if most < 0:
                msg = f"{cut(response.url)} does not end ({limit.passed('more')})"
                raise NetworkError(msg, hint="check GPUWHEEL_INDEX_URL or pip's index-url")
            yield piece

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it arrives, and what of it came counted."""
        try:
            yield from arriving(
                response,
                cut(response.url),
                reason=reason_of,
                hint="try again later, or set GPUWHEEL_INDEX_URL to a nearer index",
            )
        finally:
            self._traffic.received += response.raw.tell()


def _redirect(response: requests.Response, url: str) -> str | None:
    """Where an answer leads, if it does; then its body is left alone."""
    if not response.is_redirect:
        return None
    response.close()
    return urljoin(url, response.headers["Location"])


def _unpacked(pieces: Iterator[bytes], encoding: str, url: str) -> Iterator[bytes]:
    """A body without its Content-Encoding (RFC 9110 section 8.4), in pieces that have a bound."""
    if encoding.strip().lower() in {"", "identity"}:
        yield from pieces
        return
    with reading(f"{cut(url)} cannot be unpacked", "gzip or no Content-Encoding", error=NetworkError, hint="try again"):
        if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
            msg = f"Content-Encoding {cut(encoding)}"
            raise ValueError(msg)
        engine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: by its header, gzip's or zlib's
        for piece in pieces:
            data = piece
            while data:
                yield engine.decompress(data, _CHUNK)
                data = engine.unconsumed_tail
        yield engine.flush()


def _credentials(settings: IndexSettings) -> dict[str, tuple[str, str]]:
    """`user:password@` of the index URLs, for every request to the same host."""
    found = {}
    for url in (*settings.indexes, *settings.find_links):
        parts = urlsplit(url)
        if parts.username is not None:
            host = parts.netloc.rpartition("@")[2]
            found[host] = (unquote(parts.username), unquote(parts.password or ""))
    return found


def _check_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status < requests.codes.bad_request:
        return
    found = f"HTTP {status} {response.reason or ''}".rstrip()
    if status in {requests.codes.not_found, requests.codes.gone}:
        msg = f"{url} does not exist ({found})"
        raise NotOnServerError(msg)
    if status in {requests.codes.unauthorized, requests.codes.forbidden, requests.codes.proxy_authentication_required}:
        msg = f"{url} is refused ({found})"
        raise NetworkError(msg, hint="put credentials for this host into ~/.netrc or into the index URL")
    msg = f"{url} cannot be read ({found})"
    hint = "the index is in trouble: try again later, or set GPUWHEEL_INDEX_URL to another one"
    if status not in _RETRIED:
        raise NetworkError(msg, hint=hint)
    wait = asked_to_wait(response.headers.get("Retry-After", ""))
    if wait > RETRY_WAIT.value:
        msg = (
            f"{url} cannot be read ({found}) and asks to come back later ({RETRY_WAIT.passed(f'{wait:,.0f} seconds')})"
        )
        raise NetworkError(msg, hint=hint)
    raise InterruptedTransferError(msg, hint=hint, wait=wait)


def asked_to_wait(text: str) -> float:
    """Seconds of a Retry-After header (RFC 9110 section 10.2.3): a number, or a date."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _check_partial(response: requests.Response, start: int, stop: int, size: int) -> None:
    if response.status_code != requests.codes.partial_content:
        msg = f"{response.url} does not serve parts (HTTP {response.status_code}, expected 206)"
        raise RangesUnsupportedError(msg)
    text = cut(response.headers.get("Content-Range", "nothing"))
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None or tuple(map(int, match.groups())) != (start, stop - 1, size):
        msg = f"{response.url} names a wrong part ({text}, expected bytes {start}-{stop - 1}/{size})"
        raise RangesUnsupportedError(msg)


def arriving(
    response: requests.Response, name: str, *, reason: Callable[[BaseException], str], hint: str
) -> Iterator[bytes]:
    """The body of an answer as it arrives, and not slower than the limit allows.

    Args:
        response: whose body was not read yet.
        name: to be called so in messages.
        reason: words for what went wrong.
        hint: what to do where it comes too slowly.

    Raises:
        InterruptedTransferError: it ends too early.
        NetworkError: it comes too slowly.
    """
    start, received = time.monotonic(), 0
    try:
        # read1() gives what is there: read(n) would wait for all n bytes of an answer that drips.
        while piece := response.raw.read1(_CHUNK, decode_content=False):
            received += len(piece)
            seconds = time.monotonic() - start
            if seconds > TRANSFER_GRACE.value and received < seconds * SLOWEST_TRANSFER.value:
                found = f"{received / seconds:.0f} bytes a second in {seconds:.0f} s"
                msg = f"{name} comes too slowly ({SLOWEST_TRANSFER.passed(found)})"
                raise NetworkError(msg, hint=hint)
            yield piece
    except TRANSFER_FAILURES as error:
        msg = f"{name} was cut short ({reason(error)})"
        raise InterruptedTransferError(msg, hint="try again") from error


def reason_of(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of wrapped errors."""
    seen = error
    # requests wraps urllib3, which wraps socket: the innermost says "connection refused".
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return cut(seen) or type(seen).__name__
