"""Requests to one registry: with what it wants to see, retried, led to where it stores things, and judged.

The protocol is that of https://github.com/opencontainers/distribution-spec, `spec.md`. HTTP itself, with proxies and
certificates, is as for package indexes (`gpuwheel.index`).
"""

from __future__ import annotations

import threading
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

import requests

from gpuwheel._limits import OCI_DOCUMENT, REDIRECTS, RETRY_WAIT
from gpuwheel.errors import NetworkError
from gpuwheel.index.http_session import BACKOFF, http_session
from gpuwheel.index.settings import read_index_settings
from gpuwheel.index.transport import (
    TRANSFER_FAILURES,
    InterruptedTransferError,
    arriving,
)
from gpuwheel.publish.registry.challenges import Authorizer
from gpuwheel.publish.registry.credential_files import credentials_for
from gpuwheel.publish.registry.image_reference import is_loopback
from gpuwheel.publish.registry.registry_errors import (
    joined_url,
    json_object,
    refusal,
    shown_reason,
    shown_url,
    unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.registry.challenges import Grant
    from gpuwheel.publish.registry.image_reference import ImageReference

__all__ = ["Answer", "RegistryAccess", "RegistryClient", "Request"]

T = TypeVar("T")

_CHUNK = 1 << 18
_RENEWALS = 3
"""How often one request may be answered by 401: to be asked who it is, a token that expired, and two at once."""
_SLOW_ANSWER = 300.0
"""Seconds a registry may take to put a finished blob where it belongs."""
_WORTH = 1 << 20
"""Bytes: a transfer that came this much further has not failed again."""
_TRUST_HINT = (
    "set SSL_CERT_FILE to a PEM file with the authority that signed its certificate, or name it with "
    "--insecure-registry"
)
_REACH_HINT = "check the network, HTTPS_PROXY and the name of the registry"


@dataclass(frozen=True)
class RegistryAccess:
    """How registries are reached, whatever is done with them."""

    environ: Mapping[str, str] = field(repr=False)
    """Where credentials, proxies and certificates are named."""
    reporter: Reporter
    insecure: frozenset[str] = frozenset()
    """`HOST[:PORT]` whose certificate is not checked, and which may have none."""
    chunk: int = 64 << 20
    """Bytes of a blob that one request sends at most: what is lost when a connection breaks."""
    jobs: int = 4
    """Blobs that travel at once."""


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Any] | None = None
    """Makes the body, anew for each time that it is sent."""
    good: frozenset[int] = frozenset({200})
    """Statuses that are an answer; others are errors."""
    follows: bool = False
    """Goes where a redirect leads."""
    is_slow: bool = False
    """The answer may take minutes."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str
    """Who answered, for a `Location` that is relative to it."""


class RegistryClient:
    """One repository of a registry. Threads share it; `stop` ends their waiting."""

    def __init__(
        self,
        reference: ImageReference,
        access: RegistryAccess,
        scopes: Sequence[str],
        stop: threading.Event | None = None,
    ) -> None:
        """Ask for nothing yet; the first of `scopes` is needed, others are welcome."""
        self.reference, self.access, self.stop = reference, access, stop or threading.Event()
        insecure = access.insecure & {reference.registry, reference.server}
        self._is_insecure = bool(insecure)
        # Retries are counted here, by what came further, and pip's trusted hosts are none of ours.
        settings = read_index_settings(access.environ)
        self._settings, self._retries = replace(settings, trusted_hosts=insecure, retries=0), settings.retries
        self._session = http_session(self._settings)
        # A registry that keeps sessions in cookies takes the next request for one of a browser (Harbor).
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._lock, self._base = threading.Lock(), ""
        self.authorizer = Authorizer(
            reference.registry,
            lambda: credentials_for(reference, access.environ, access.reporter.warn),
            self._ask_realm,
            scopes,
        )
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        if self._is_insecure:
            self._closing.enter_context(warnings.catch_warnings())  # the user has said so
            warnings.filterwarnings("ignore", message="Unverified HTTPS request")
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()
        self._session.close()

    # ---- what is asked

    def url(self, path: str, query: Mapping[str, str] | None = None, *, repository: str | None = None) -> str:
        """The URL of something in this repository, or in another of the same registry."""
        words = f"?{urlencode(query)}" if query else ""
        return f"{self._found_base()}/v2/{repository or self.reference.repository}/{path}{words}"

    def ask(self, request: Request) -> Answer:
        """The answer to a request, however often it has to be sent.

        Raises:
            NotOnServerError: there is no such thing (404, 410).
            NetworkError: it is refused, or the registry cannot be reached.
        """
        return self.retrying(lambda: self.ask_once(request))

    def ask_once(self, request: Request) -> Answer:
        """As `ask`; `InterruptedTransferError` where another try may help."""
        with self.opened(request) as response:
            content = b"" if request.method == "HEAD" else self._document(response)
            return Answer(response.status_code, response.headers, content, response.url)

    @contextmanager
    def opened(self, request: Request) -> Iterator[requests.Response]:
        """The answer to a request, whose body is not read yet.

        Raises:
            InterruptedTransferError: another try may help.
            NetworkError: as for `ask`.
        """
        response = self._exchange(request)
        try:
            if response.status_code not in request.good:
                raise self._refusal(response)
            yield response
        finally:
            response.close()

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it arrives, and not slower than the limit allows.

        Raises:
            InterruptedTransferError: it ends too early.
            NetworkError: it comes too slowly.
        """
        name, hint = shown_url(response.url), "try again later: what came is kept"
        return arriving(response, name, reason=shown_reason, hint=hint)

    def retrying(self, transfer: Callable[[], T], moved: Callable[[], int] = lambda: 0) -> T:
        """Call `transfer` until it is not interrupted, waiting longer each time.

        Args:
            transfer: may raise `InterruptedTransferError`.
            moved: bytes that are through: where there are more, counting begins again.

        Raises:
            InterruptedTransferError: it was, each time, or somebody else has failed meanwhile.
        """
        attempt, furthest = 0, moved()
        while True:
            try:
                return transfer()
            except InterruptedTransferError as error:  # noqa: PERF203 (a transfer takes longer than that)
                if moved() >= furthest + _WORTH:
                    attempt, furthest = 0, moved()
                if attempt >= self._retries or self.stop.is_set():
                    raise
                wait = max(error.wait, min(BACKOFF * 2.0 ** min(attempt, 10), RETRY_WAIT.value))
                attempt += 1
                if self.stop.wait(wait):
                    raise

    # ---- how

    def _found_base(self) -> str:
        """`https://HOST`; http for this machine and for a registry that is said to be insecure, if it has no https."""
        with self._lock:
            if not self._base:
                host = self.reference.server
                scheme = "https"
                if is_loopback(host):
                    # Go's servers answer so where TLS is expected.
                    scheme = "https" if self._probe(f"http://{host}/v2/") == requests.codes.bad_request else "http"
                elif self._is_insecure and self._probe(f"https://{host}/v2/") is None:
                    scheme = "http"
                self._base = f"{scheme}://{host}"
            return self._base

    def _probe(self, url: str) -> int | None:
        try:
            response = self._sent(Request("GET", url), url, None)
        except NetworkError:
            return None
        response.close()
        return response.status_code

    def _exchange(self, request: Request) -> requests.Response:
        url, renewals = request.url, 0
        for _ in range(REDIRECTS.value + _RENEWALS + 1):
            # A redirect to another host (a storage service) must not be given what is for the registry.
            is_ours = _origin(url) == _origin(self._found_base())
            grant = self.authorizer.grant() if is_ours else None
            response = self._sent(request, url, grant)
            if response.status_code == requests.codes.unauthorized and grant is not None:
                challenge = response.headers.get("WWW-Authenticate", "")
                problem = self._refusal(response)  # reads it, so that the connection can be used again
                response.close()
                renewals += 1
                if renewals > _RENEWALS or not self.authorizer.refused(grant, challenge, is_https=url[:5] == "https"):
                    if requests.codes.unauthorized in request.good:
                        return response
                    raise self._unauthorized() if challenge else problem
                continue
            if not (request.follows and response.is_redirect):
                return response
            response.close()
            url = self._further(url, response.headers["Location"])
        msg = f"{shown_url(request.url)} leads to nothing but redirects ({REDIRECTS.passed('more')})"
        raise NetworkError(msg, hint=_REACH_HINT)

    def _further(self, url: str, location: str) -> str:
        further = joined_url(url, location, self.reference)
        if urlsplit(further).scheme != "https" and urlsplit(url).scheme == "https" and not self._is_insecure:
            msg = f"{shown_url(url)} leads to a place without encryption ({shown_url(further)}, expected https)"
            raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
        return further

    def _sent(self, request: Request, url: str, grant: Grant | None) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **request.headers}
        if grant is not None and grant.header:
            headers["Authorization"] = grant.header
        patience = _SLOW_ANSWER if request.is_slow else self._settings.timeout
        proxy = self._settings.proxy
        trusted = (
            self._is_insecure and _origin(url)[1:] == _origin(f"{urlsplit(url).scheme}://{self.reference.server}")[1:]
        )
        proxies: dict[str, Any] = {"http": proxy, "https": proxy} if proxy else {}
        if is_loopback(urlsplit(url).netloc):
            proxies = {"http": None, "https": None}  # `None`: whatever the environment says
        try:
            return self._session.request(
                request.method,
                url,
                headers=headers,
                data=request.body() if request.body else None,
                stream=True,
                allow_redirects=False,
                timeout=(self._settings.timeout, patience),
                verify=False if trusted else self._settings.ca_bundle or True,
                proxies=proxies,
                auth=_as_it_is,
            )
        except requests.exceptions.SSLError as error:
            msg = f"{shown_url(url)} cannot be trusted ({shown_reason(error)})"
            raise NetworkError(msg, hint=_TRUST_HINT) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, ValueError) as error:
            msg = f"{shown_url(url)} cannot be reached ({shown_reason(error)})"
            raise NetworkError(msg, hint=_REACH_HINT) from error
        except TRANSFER_FAILURES as error:
            msg = f"{shown_url(url)} cannot be reached ({shown_reason(error)})"
            raise InterruptedTransferError(msg, hint=_REACH_HINT) from error

    def _ask_realm(
        self, url: str, *, query: Sequence[tuple[str, str]], form: Mapping[str, str] | None, authorization: str | None
    ) -> Mapping[str, object]:
        headers = {"Authorization": authorization} if authorization else {}
        if query:
            url += ("&" if urlsplit(url).query else "?") + urlencode(query)
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            text = urlencode(form)
            request = Request("POST", url, headers, lambda: text)
        else:
            request = Request("GET", url, headers)

        def fetch() -> Mapping[str, object]:
            # Its errors are those of credentials: who sends them on to somewhere else is not obeyed.
            with self._sent(request, url, None) as response:
                if response.status_code in {400, 401, 403}:
                    raise self._unauthorized()
                if response.status_code != requests.codes.ok:
                    raise self._refusal(response)
                answer = json_object(self._document(response))
                if answer is None:
                    msg = f"{shown_url(url)} gives no token for {self.reference.registry} (expected a JSON object)"
                    raise NetworkError(msg, hint=_REACH_HINT)
                return answer

        return self.retrying(fetch)

    def _document(self, response: requests.Response) -> bytes:
        pieces, left = [], OCI_DOCUMENT.value
        for piece in self.chunks(response):
            left -= len(piece)
            if left < 0:
                msg = f"{shown_url(response.url)} does not end ({OCI_DOCUMENT.passed('more')})"
                raise NetworkError(msg, hint="check the name of the registry: this is none")
            pieces.append(piece)
        return b"".join(pieces)

    def _refusal(self, response: requests.Response) -> NetworkError:
        try:
            content = self._document(response)
        except NetworkError:
            content = b""
        return refusal(self.reference, response.url, response.status_code, response.headers, content)

    def _unauthorized(self) -> NetworkError:
        return unauthorized(self.reference, self.authorizer.credentials)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In place of what .netrc says: that is for package indexes."""
    return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
