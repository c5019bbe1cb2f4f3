"""HTTP as a package index needs it: retries, credentials, proxies, certificates, byte ranges, and errors by name.

`requests` does the work: netrc, proxies and authentication behave as in pip, which carries it inside.
"""

from __future__ import annotations

import re
import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gpuwheel.errors import ConfigError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from gpuwheel.toolchain.context import Traffic
    from gpuwheel.toolchain.index_settings import IndexSettings

__all__ = [
    "Body",
    "InterruptedTransferError",
    "NotOnServerError",
    "Page",
    "RangesUnsupportedError",
    "Transport",
    "local_path",
]

T = TypeVar("T")

_CHUNK = 1 << 18
_BACKOFF = 0.25  # seconds, doubled each time
_RETRIED = (429, 500, 502, 503, 504)
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
    """The connection ended before the body did; trying again may help."""


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


class _SystemCertificates(HTTPAdapter):
    """Accepts what the system accepts (OpenSSL's default paths, SSL_CERT_DIR), besides certifi's authorities."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # handed on as they are
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # handed on as they are
        return super().proxy_manager_for(*args, ssl_context=ssl.create_default_context(), **kwargs)


class Transport:
    """A session with one or more package indexes."""

    def __init__(self, settings: IndexSettings, traffic: Traffic) -> None:
        self._settings = settings
        self._traffic = traffic
        self._credentials = _credentials(settings)
        self._session = requests.Session()
        policy = urllib3.Retry(
            total=settings.retries,
            backoff_factor=_BACKOFF,
            status_forcelist=_RETRIED,
            allowed_methods={"GET"},
            raise_on_status=False,
        )
        bundle = settings.ca_bundle
        if bundle is not None and not Path(bundle).exists():
            msg = f"the certificate bundle {bundle} does not exist (named by PIP_CERT, SSL_CERT_FILE or pip's cert)"
            raise ConfigError(msg, hint="point it at a PEM file, or unset it")
        self._session.mount("https://", (HTTPAdapter if bundle else _SystemCertificates)(max_retries=policy))
        for host in settings.trusted_hosts:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has said so
            self._session.mount(f"https://{host}", HTTPAdapter(max_retries=policy))
        self._session.mount("http://", HTTPAdapter(max_retries=policy))

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
            with self._get(url, {"Accept": accept}) as response:
                content = b"".join(self._chunks(response))
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
                return b"".join(self._chunks(response))

        data = self.retrying(read)
        if len(data) != stop - start:
            msg = f"{url} gave a part of the wrong length ({len(data)} bytes, expected {stop - start})"
            raise RangesUnsupportedError(msg)
        return data

    def retrying(self, transfer: Callable[[], T]) -> T:
        """Call `transfer` until it is not interrupted, waiting longer each time.

        Raises:
            InterruptedTransferError: it was, each time.
        """
        for attempt in range(self._settings.retries):
            with suppress(InterruptedTransferError):
                return transfer()
            time.sleep(_BACKOFF * 2**attempt)
        return transfer()

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        parts = urlsplit(url)
        trusted = {parts.hostname, parts.netloc} & self._settings.trusted_hosts
        proxy = self._settings.proxy
        try:
            response = self._session.get(
                url,
                headers=headers,
                stream=True,
                timeout=self._settings.timeout,
                verify=False if trusted else self._settings.ca_bundle or True,
                proxies={"http": proxy, "https": proxy} if proxy else None,
                auth=self._credentials.get(parts.netloc),
            )
        except requests.RequestException as error:
            msg = f"{url} cannot be reached ({_reason(error)})"
            untrusted = isinstance(error, requests.exceptions.SSLError)
            raise NetworkError(msg, hint=_TRUST_HINT if untrusted else _REACH_HINT) from error
        self._traffic.requests += 1
        with response:
            _check_status(response, url)
            yield response

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(_CHUNK)
        except requests.RequestException as error:
            msg = f"{response.url} was cut short ({_reason(error)})"
            raise InterruptedTransferError(msg, hint="try again") from error
        finally:
            self._traffic.received += response.raw.tell()


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
    raise NetworkError(msg, hint="the index is in trouble: try again later, or set GPUWHEEL_INDEX_URL to another one")


def _check_partial(response: requests.Response, start: int, stop: int, size: int) -> None:
    if response.status_code != requests.codes.partial_content:
        msg = f"{response.url} does not serve parts (HTTP {response.status_code}, expected 206)"
        raise RangesUnsupportedError(msg)
    text = response.headers.get("Content-Range", "nothing")
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None or tuple(map(int, match.groups())) != (start, stop - 1, size):
        msg = f"{response.url} names a wrong part ({text}, expected bytes {start}-{stop - 1}/{size})"
        raise RangesUnsupportedError(msg)


def _reason(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of wrapped errors."""
    seen = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return str(seen) or type(seen).__name__
