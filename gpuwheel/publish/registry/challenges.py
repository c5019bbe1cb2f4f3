"""How a registry is convinced: Basic authentication, and tokens from where it says that tokens are made.

https://distribution.github.io/distribution/spec/auth/token/ and `.../oauth/`. Credentials go to two places: to the
registry that they are for, and to the realm that this registry names itself; never over http where the registry is
reached by https, and never where a redirect leads.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from gpuwheel._endings import cut
from gpuwheel.errors import NetworkError
from gpuwheel.index.transport import InterruptedTransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gpuwheel.publish.registry.credential_files import Credentials

__all__ = ["Authorizer", "Grant", "TokenServer", "parse_challenges"]

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]*)(?=\s|$|,)")
_PARAMETER = re.compile(r"\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*))")
_CLIENT = "gpuwheel"
_DEFAULT_LIFE = 60.0
"""Seconds of a token that does not say (the token specification, `expires_in`)."""


def parse_challenges(text: str) -> list[tuple[str, dict[str, str]]]:
    """(scheme in lower case, parameters) of each challenge in a WWW-Authenticate (RFC 9110, 11.6.1)."""
    found: list[tuple[str, dict[str, str]]] = []
    place = 0
    while place < len(text):
        parameter = _PARAMETER.match(text, place)
        if parameter and found:
            name, quoted, plain = parameter.groups()
            found[-1][1][name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            place = parameter.end()
            continue
        scheme = _SCHEME.match(text, place)
        if scheme is None:
            break
        found.append((scheme[1].lower(), {}))
        place = scheme.end()
    return found


class TokenServer(Protocol):
    """What asks a realm."""

    def __call__(
        self, url: str, *, query: Sequence[tuple[str, str]], form: Mapping[str, str] | None, authorization: str | None
    ) -> Mapping[str, object]:
        """The answer of a realm: by GET with `query`, or by POST of a form.

        Raises:
            NetworkError: it refuses, or cannot be reached.
        """


@dataclass(frozen=True)
class Grant:
    """What one request was sent with."""

    number: int
    header: str | None = field(default=None, repr=False)


def _is_address(realm: str) -> bool:
    try:
        parts = urlsplit(realm)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username and parts.port != 0
    except ValueError:
        return False


class Authorizer:
    """Gives requests to one registry what it wants to see; threads share it.

    Args:
        registry: for messages.
        credentials: is asked once, when the registry first wants some.
        ask: asks a realm.
        scopes: what tokens are to allow. `essential` ones first: where a realm refuses all of them together, the
            others are given up.
        essential: how many.
    """

    def __init__(
        self,
        registry: str,
        credentials: Callable[[], Credentials | None],
        ask: TokenServer,
        scopes: Sequence[str],
        essential: int = 1,
    ) -> None:
        self._registry, self._find, self._ask = registry, credentials, ask
        self._scopes, self._essential = tuple(scopes), essential
        self._given_up = set[str]()
        self._lock = threading.Lock()
        self._grant = Grant(0)
        self._bearer: dict[str, str] | None = None
        self._stale = float("inf")
        self._asked = False
        self._known: Credentials | None = None

    @property
    def credentials(self) -> Credentials | None:
        """What was found, if the registry has asked for some."""
        return self._known

    @property
    def scopes(self) -> tuple[str, ...]:
        """What tokens allow, as far as the realm was willing."""
        return self._scopes

    def grant(self) -> Grant:
        """What a request is to be sent with: a new token, where the last one is about to expire."""
        with self._lock:
            if self._bearer is not None and time.monotonic() > self._stale:
                self._renew(self._bearer)
            return self._grant

    def refused(self, grant: Grant, challenge: str, *, is_https: bool) -> bool:
        """Answer a 401 to a request that was sent with `grant`; whether there is something new to send.

        Raises:
            NetworkError: the realm refuses, cannot be reached, or must not be given what it wants.
        """
        with self._lock:
            if self._grant.number != grant.number:
                return True  # another thread was faster
            if not self._asked:
                self._known, self._asked = self._find(), True
            for scheme, parameters in parse_challenges(challenge):
                if scheme == "bearer" and self._answer_bearer(parameters, is_https=is_https):
                    return True
                if scheme == "basic" and self._known and self._known.username and grant.header != self._known.basic:
                    self._grant = Grant(grant.number + 1, self._known.basic)
                    return True
            return False

    def _answer_bearer(self, parameters: dict[str, str], *, is_https: bool) -> bool:
        if self._known and self._known.registry_token:
            value = f"Bearer {self._known.registry_token}"
            if self._grant.header == value:
                return False
            self._grant = Grant(self._grant.number + 1, value)
            return True
        realm = parameters.get("realm", "")
        if not _is_address(realm):
            msg = f"{self._registry} names no place that makes tokens ({cut(repr(realm))}, expected a URL)"
            raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
        if is_https and not realm.lower().startswith("https:"):
            msg = f"{self._registry} wants its credentials sent in the clear (to {cut(realm)}, expected https)"
            raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
        stated = parameters.get("scope", "").split()
        further = (one for one in stated if one not in self._given_up and not self._covers(one))
        self._scopes = (*self._scopes, *further)
        self._renew(parameters)
        return True

    def _covers(self, scope: str) -> bool:
        kind, _, actions = scope.rpartition(":")
        mine = [one.rpartition(":") for one in self._scopes]
        return set(actions.split(",")) <= {word for name, _, words in mine if name == kind for word in words.split(",")}

    def _renew(self, parameters: dict[str, str]) -> None:
        """Fetch a token for all scopes; where that is refused, for the essential ones."""
        try:
            answer = self._fetch(parameters, self._scopes)
        except InterruptedTransferError:
            raise
        except NetworkError:
            if len(self._scopes) <= self._essential:
                raise
            self._given_up |= set(self._scopes[self._essential :])
            self._scopes = self._scopes[: self._essential]
            answer = self._fetch(parameters, self._scopes)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            msg = f"{cut(parameters['realm'])} gives no token for {self._registry}"
            raise NetworkError(msg, hint="try again later, or log in again: docker login " + self._registry)
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, (int, float)) and life > 0 else _DEFAULT_LIFE
        self._bearer = parameters
        # Ahead of its end: requests take time. One that lives for seconds is used for most of them.
        self._stale = time.monotonic() + seconds - min(10.0, seconds / 4)
        self._grant = Grant(self._grant.number + 1, f"Bearer {token}")

    def _fetch(self, parameters: dict[str, str], scopes: Sequence[str]) -> Mapping[str, object]:
        service, known = parameters.get("service", ""), self._known
        if known is not None and known.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(scopes),
                "refresh_token": known.identity_token,
            }
            return self._ask(parameters["realm"], query=(), form=form, authorization=None)
        query = [("service", service)] if service else []
        query += [("scope", scope) for scope in scopes]
        if known is not None and known.username:
            query.append(("account", known.username))
            return self._ask(parameters["realm"], query=query, form=None, authorization=known.basic)
        return self._ask(parameters["realm"], query=query, form=None, authorization=None)
