"""Credentials of registries from where docker and podman keep them.

The formats are those of docker's `config.json` (docker/cli, `docs/reference/commandline/login`) and of
containers-auth.json(5): `auths`, `credHelpers`, `credsStore`, and programs `docker-credential-NAME`
(https://github.com/docker/docker-credential-helpers). A secret is in no message, no representation and no log.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import because, cut, reading
from gpuwheel._limits import CONFIG_FILE
from gpuwheel._run import run
from gpuwheel.errors import ConfigError
from gpuwheel.publish.registry.image_reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpuwheel.publish.registry.image_reference import ImageReference

__all__ = ["Credentials", "credentials_for"]

_HUB_KEY = "https://index.docker.io/v1/"
"""Under which `docker login` without a host keeps what Docker Hub wants."""
_HUB_KEYS = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOKEN_USER = "<token>"  # noqa: S105 (the word by which helpers mark an identity token)
_PATIENCE = 60.0
"""Seconds: a helper may ask its user something."""


@dataclass(frozen=True)
class Credentials:
    """What one place says for one registry."""

    origin: str
    """The file or the program that said it, for messages."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """Is exchanged for tokens, in place of a password (OAuth 2.0, a refresh token)."""
    registry_token: str = field(default="", repr=False)
    """Is sent as it is (a bearer token)."""

    @property
    def basic(self) -> str:
        """The value of `Authorization` for Basic authentication (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def credentials_for(
    reference: ImageReference, environ: Mapping[str, str], warn: Callable[[str], None]
) -> Credentials | None:
    """What the first place that knows this registry says; `None` where none does.

    Args:
        reference: whose registry and repository are asked for; the entry of a namespace beats that of its host.
        environ: the variables that name the places, and what helpers run in.
        warn: is told of a helper that does not work; other places are asked then.

    Raises:
        ConfigError: a file cannot be parsed.
    """
    for path in _places(environ):
        document = _read(path)
        if document is None:
            continue
        found = _from_helpers(document, path, reference, environ, warn) or _from_auths(document, path, reference)
        if found is not None:
            return found
    return None


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    """Files, those that a variable names first."""
    home = Path(environ.get("HOME") or "/")
    if chosen := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(chosen)
    if chosen := environ.get("DOCKER_CONFIG"):
        yield Path(chosen, "config.json")
    runtime = environ.get("XDG_RUNTIME_DIR")
    yield Path(runtime, "containers") / "auth.json" if runtime else Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"
    if not environ.get("DOCKER_CONFIG"):
        yield home / ".docker" / "config.json"


def _read(path: Path) -> dict[str, Any] | None:
    hint = "correct it, or log in again: docker login and podman login write it"
    with reading(f"the credentials of registries in {path} cannot be read", "JSON", error=ConfigError, hint=hint):
        try:
            with path.open("rb") as file:
                data = file.read(CONFIG_FILE.value + 1)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None  # as docker and podman do: another user's file is none
        if len(data) > CONFIG_FILE.value:
            raise ValueError(CONFIG_FILE.passed("more"))
        document = json.loads(data or b"{}")
        for key in ("auths", "credHelpers"):
            if not isinstance(document.setdefault(key, {}) or {}, dict):
                msg = f"{key} is no table"
                raise TypeError(msg)
        return dict(document)


def _keys(reference: ImageReference) -> Iterator[str]:
    """Under which a registry may stand in a table, the most exact first (containers-auth.json(5))."""
    parts = reference.name.split("/")
    yield from ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    if reference.registry == DOCKER_HUB:
        yield from (_HUB_KEY, *sorted(_HUB_KEYS))


def _host(key: str) -> str:
    """`https://host/v1/`, as old versions of docker wrote, is the host."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key


# ---- tables


def _from_auths(document: Mapping[str, Any], path: Path, reference: ImageReference) -> Credentials | None:
    table = {str(key): entry for key, entry in (document["auths"] or {}).items() if entry}
    by_host = {_host(key): entry for key, entry in table.items() if "://" in key}
    for key in _keys(reference):
        entry = table.get(key) or by_host.get(key)
        if entry:
            return _from_entry(entry, path, key)
    return None


def _from_entry(entry: Any, path: Path, key: str) -> Credentials | None:  # noqa: ANN401 (from a file)
    hint = f"log in again: docker login {key}"
    subject = f"the entry of {cut(key)} in {path} cannot be read"
    try:
        user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            password = password.rstrip("\0")
        identity, token = str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    except (ValueError, TypeError, AttributeError):
        # Not chained: the reason would quote the secret.
        msg = f"{subject} (expected a table with auth: USER:PASSWORD in base64)"
        raise ConfigError(msg, hint=hint) from None
    if not (user or identity or token):
        return None  # a helper has them, or nobody
    return Credentials(str(path), user, password, identity, token)


# ---- programs


def _from_helpers(
    document: Mapping[str, Any],
    path: Path,
    reference: ImageReference,
    environ: Mapping[str, str],
    warn: Callable[[str], None],
) -> Credentials | None:
    helpers = document["credHelpers"] or {}
    names = [helpers.get(key) for key in _keys(reference) if "/" not in key or key == _HUB_KEY]
    name = next(filter(None, names), None) or document.get("credsStore")
    if not name:
        return None
    program = f"docker-credential-{name}"
    if not isinstance(name, str) or not _PROGRAM.fullmatch(name):
        msg = f"{path} names a credential helper that is no name of a program ({cut(repr(name))})"
        raise ConfigError(msg, hint="correct credHelpers and credsStore")
    server = _HUB_KEY if reference.registry == DOCKER_HUB else reference.registry
    try:
        done = run([program, "get"], stdin=server, env=environ, check=False, timeout=_PATIENCE)
    except (OSError, TimeoutError) as error:
        warn(f"the credential helper {program}, which {path} names, does not work ({because(error)}): passed over")
        return None
    if done.returncode != 0:
        # What it printed may hold anything. Most often, it has no entry.
        if "not found" not in done.stdout:
            warn(f"the credential helper {program}, which {path} names, failed (exit status {done.returncode})")
        return None
    user, secret = _answer(done.stdout)
    if not secret:
        warn(f"the credential helper {program}, which {path} names, printed no credentials: passed over")
        return None
    if user == _TOKEN_USER:
        return Credentials(program, identity_token=secret)
    return Credentials(program, user, secret)


def _answer(text: str) -> tuple[str, str]:
    """User and secret of what a helper printed; empty where it is something else."""
    try:
        answer = json.loads(text)
        return str(answer["Username"]), str(answer["Secret"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return "", ""
