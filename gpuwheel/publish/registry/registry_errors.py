"""What a registry's refusals mean, in words for people; secrets and signatures are in none of them."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from gpuwheel._endings import cut
from gpuwheel._limits import RETRY_WAIT
from gpuwheel.errors import NetworkError
from gpuwheel.index.transport import InterruptedTransferError, NotOnServerError, asked_to_wait, reason_of
from gpuwheel.publish.registry.image_reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.publish.registry.credential_files import Credentials
    from gpuwheel.publish.registry.image_reference import ImageReference

__all__ = ["joined_url", "json_object", "refusal", "shown_reason", "shown_url", "unauthorized"]

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_SPACE = "no space left"
_FORBIDDEN, _NOT_FOUND, _GONE, _FULL = 403, 404, 410, 507


def shown_url(url: str) -> str:
    """A URL for a message, without its query: a storage service has a signature there."""
    return cut(url.partition("?")[0])


def shown_reason(error: BaseException) -> str:
    """What went wrong, for a message: words that quote an address are left out, for the same reason."""
    text = reason_of(error)
    return type(error).__name__ if "?" in text or "://" in text else text


def joined_url(url: str, location: str, reference: ImageReference) -> str:
    """Where an answer leads.

    Raises:
        NetworkError: it is no address of HTTP.
    """
    try:
        found = urljoin(url, location)
        parts = urlsplit(found)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable, found = False, location
    if not usable:
        msg = f"{reference.registry} leads to what is no address ({shown_url(found)})"
        raise NetworkError(msg, hint="the registry is set up wrongly: tell who runs it")
    return found


def json_object(data: bytes) -> dict[str, object] | None:
    """A JSON object from outside, if it is one."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def unauthorized(reference: ImageReference, known: Credentials | None) -> NetworkError:
    """Nothing more can be sent that a 401 would ask for."""
    registry = reference.registry
    login = "docker login" if registry == DOCKER_HUB else f"docker login {registry}"
    if known is None:
        msg = f"{registry} wants credentials for {reference.repository} (found none that docker or podman keep)"
    else:
        msg = f"{registry} refuses the credentials of {known.origin} for {reference.repository} (HTTP 401)"
    return NetworkError(msg, hint=f"log in, with a user or token that may do this: {login}")


def refusal(
    reference: ImageReference, url: str, status: int, headers: Mapping[str, str], content: bytes
) -> NetworkError:
    """The error for a status that is no answer."""
    registry, place = reference.registry, shown_url(url)
    found = f"HTTP {status}{_reason(content)}"
    if status in {_NOT_FOUND, _GONE}:
        return NotOnServerError(f"{place} does not exist ({found})", hint="correct the name, or choose another image")
    if status == _FORBIDDEN:
        msg = f"{registry} does not allow this for {reference.repository} ({found})"
        return NetworkError(msg, hint="log in as somebody who may, or choose another repository")
    if status == _FULL or _NO_SPACE in found:
        msg = f"{registry} has no space left ({found})"
        return NetworkError(msg, hint="free some space there, or ask who runs it")
    msg = f"{place} is refused ({found})"
    hint = f"{registry} is in trouble, or does not take this: try again later"
    if status not in _RETRIED:
        return NetworkError(msg, hint=hint)
    wait = asked_to_wait(headers.get("Retry-After", ""))
    if wait > RETRY_WAIT.value:
        msg = f"{place} asks to come back later ({found}, {RETRY_WAIT.passed(f'{wait:,.0f} seconds')})"
        return NetworkError(msg, hint=hint)
    return InterruptedTransferError(msg, hint=hint, wait=wait)


def _reason(content: bytes) -> str:
    """What a registry says of an error (distribution-spec, "Error Codes"), for a message."""
    errors = (json_object(content) or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    words = [str(first[key]) for key in ("code", "message") if first.get(key)]
    detail = str(first.get("detail"))
    if _NO_SPACE in detail or f"'Err': {errno.ENOSPC}" in detail:  # as docker-registry wraps it
        words.append(_NO_SPACE)
    return f", {cut(': '.join(words))}" if words else ""
