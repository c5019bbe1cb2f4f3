"""Which remote this machine uses, whom it trusts, and what it writes: said by variables, and by a file of the user.

Never by a project: what is built here must not decide whose compiled code is taken. A variable counts more than the
same key of the file, `gpuwheel/remote.toml` in XDG_CONFIG_HOME, else in `~/.config` (XDG Base Directory Specification).

"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gpuwheel._endings import cut, reading
from gpuwheel._toml import read_toml
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NO_REMOTE",
    "RemoteSettings",
    "config_path",
    "is_remote_set",
    "read_remote",
    "read_secret",
    "remote_requirements",
    "signing_secret",
]

NO_REMOTE = "off"
_SCHEMES = ("s3", "file", "https", "http")
_LEVEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PUBLIC = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")
_SECRET = re.compile(r"gpuwheel-secret-ed25519:[A-Za-z0-9+/]{43}=")
_KEYS = {"url", "trust", "write", "key-file", "verify"}
_KEY_SIZE = 1000
_TRUST = "GPUWHEEL_REMOTE_TRUST='main=ed25519:...', as gpuwheel cache key shows it"


@dataclass(frozen=True)
class RemoteSettings:
    """What holds for every build on this machine."""

    url: str
    trust: Mapping[str, frozenset[str]]
    """Level that is read, in this order -> public keys of those who may sign for it."""
    write: str | None = None
    """The level that is written."""
    secret: str | None = field(default=None, repr=False)
    """The private key that entries are signed with."""
    verify: float = 0.0
    """The share of what is found that is made here all the same, and compared."""

    @property
    def shown(self) -> str:
        """The URL without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def writes(self) -> bool:
        """Whether anything is shared."""
        return self.write is not None and self.secret is not None


def is_remote_set(environ: Mapping[str, str]) -> bool:
    """Whether there is anything to read; asked by every build, so nothing is."""
    return bool(environ.get("GPUWHEEL_REMOTE")) or config_path(environ).is_file()


def remote_requirements(environ: Mapping[str, str]) -> list[str]:
    """What a build environment needs for the remote of this machine: the extra `remote`, as the metadata has it."""
    if not is_remote_set(environ) or environ.get("GPUWHEEL_REMOTE") == NO_REMOTE:
        return []
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415 (few builds have a remote)

    from packaging.requirements import Requirement  # noqa: PLC0415

    try:
        listed = [Requirement(text) for text in requires("gpuwheel") or ()]
    except PackageNotFoundError:  # from a folder on the search path
        return []
    extra = [one for one in listed if one.marker is not None and one.marker.evaluate({"extra": "remote"})]
    return [f"{one.name}{one.specifier}" for one in extra if not one.marker.evaluate({"extra": ""})]  # type: ignore[union-attr]


def config_path(environ: Mapping[str, str]) -> Path:
    """The file of the user."""
    folder, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    # The specification wants relative ones ignored; here it also keeps a project's own folder out.
    own = Path(home if home.startswith("/") else "/", ".config")
    return Path(folder if folder.startswith("/") else own, "gpuwheel", "remote.toml")


def read_remote(environ: Mapping[str, str]) -> RemoteSettings | None:
    """The remote of this machine; `None` if it has none.

    Raises:
        ConfigError: what is said of it cannot be understood; no message shows a private key.
    """
    url = environ.get("GPUWHEEL_REMOTE", "")
    if url == NO_REMOTE:
        return None
    path = config_path(environ)
    table = _table(path) if path.is_file() else {}
    url = url or _text(table, "url", path)
    if not url:
        return None
    trust = environ.get("GPUWHEEL_REMOTE_TRUST", "")
    write = environ.get("GPUWHEEL_REMOTE_WRITE", "") or _text(table, "write", path)
    settings = RemoteSettings(
        url=_checked_url(url),
        trust=_variable_trust(trust) if trust else _table_trust(table.get("trust", {}), path),
        write=_level(write, "the level that is written") if write else None,
        secret=_secret(environ, _text(table, "key-file", path), path) if write else None,
        verify=_share(environ.get("GPUWHEEL_REMOTE_VERIFY", "") or table.get("verify", 0)),
    )
    if not settings.trust and write == "":
        msg = f"the remote {settings.shown} is of no use: nobody is trusted, and nothing is written"
        raise ConfigError(msg, hint=f"{_TRUST}; or GPUWHEEL_REMOTE={NO_REMOTE}")
    return settings


def _table(path: Path) -> dict[str, Any]:
    if path.stat().st_mode & stat.S_IWOTH:
        msg = f"{path} may be written by anybody, and says whose compiled code is taken"
        raise ConfigError(msg, hint=f"chmod o-w {path}")
    with reading(f"{path} cannot be read", "TOML", error=ConfigError, hint="mend it, or set GPUWHEEL_REMOTE=off"):
        table = read_toml(path)
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        msg = f"{path} has an unknown key (found {cut(unknown[0])}, expected {', '.join(sorted(_KEYS))})"
        raise ConfigError(msg, hint="see docs/how-to/share-compiled-work.md")
    return table


def _text(table: Mapping[str, Any], key: str, path: Path) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        msg = f"{path}: {key} is not a string (found {type(value).__name__})"
        raise ConfigError(msg, hint=f'{key} = "..."')
    return value


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _SCHEMES and (bool(parts.netloc) or parts.scheme == "file") and not parts.query
    except ValueError:
        known = False
    if not known:
        # Only its kind: what follows may hold a password.
        found = cut(url.partition(":")[0])
        msg = f"the remote is of no kind that is known (found {found!r}, expected s3://bucket/prefix, file:// or https://)"
        raise ConfigError(msg, hint=f"correct GPUWHEEL_REMOTE, or set it to {NO_REMOTE}")
    return url


def _level(text: str, what: str) -> str:
    if _LEVEL.fullmatch(text) is None:
        msg = f"{what} has no usable name (found {cut(repr(text))}, expected for example main, release, pr-12)"
        raise ConfigError(msg, hint="small letters, digits, dots, dashes and underscores; at most 64")
    return text


def _public(text: object, where: str) -> str:
    if not isinstance(text, str) or _PUBLIC.fullmatch(text) is None:
        # A private key that was pasted here by mistake must not be shown.
        found = "a private key" if isinstance(text, str) and "secret" in text else cut(repr(text))
        msg = f"{where} is not a public key (found {found}, expected ed25519: and 44 characters)"
        raise ConfigError(msg, hint=_TRUST)
    return text


def _variable_trust(text: str) -> dict[str, frozenset[str]]:
    """`LEVEL=KEY,KEY LEVEL=KEY`."""
    found: dict[str, frozenset[str]] = {}
    for part in text.split():
        level, _, keys = part.partition("=")
        _level(level, "a level of GPUWHEEL_REMOTE_TRUST")
        found[level] = found.get(level, frozenset()) | {
            _public(key, f"what GPUWHEEL_REMOTE_TRUST has for {level}") for key in keys.split(",")
        }
    return found


def _table_trust(table: object, path: Path) -> dict[str, frozenset[str]]:
    if not isinstance(table, dict) or not all(isinstance(keys, list) for keys in table.values()):
        msg = f"{path}: trust is not a table of lists (found {cut(repr(table))})"
        raise ConfigError(msg, hint='[trust] with main = ["ed25519:..."]')
    return {
        _level(level, f"{path}: a level of trust"): frozenset(
            _public(key, f"{path}: what is trusted for {level}") for key in keys
        )
        for level, keys in table.items()
    }


def _secret(environ: Mapping[str, str], named: str, path: Path) -> str | None:
    """The private key; `None` where none is set, as for a fork, whose jobs see no secrets."""
    text = environ.get("GPUWHEEL_REMOTE_KEY", "")
    if text:
        return _checked_secret(text, "GPUWHEEL_REMOTE_KEY")
    file = environ.get("GPUWHEEL_REMOTE_KEY_FILE", "") or (str(path.parent / named) if named else "")
    return read_secret(Path(file).expanduser()) if file else None


def signing_secret(environ: Mapping[str, str]) -> str:
    """The private key of this machine.

    Raises:
        ConfigError: it has none.
    """
    path = config_path(environ)
    table = _table(path) if path.is_file() else {}
    secret = _secret(environ, _text(table, "key-file", path), path)
    if secret is None:
        msg = "this machine has no key to sign with (found neither FILE nor GPUWHEEL_REMOTE_KEY, expected one)"
        raise ConfigError(msg, hint="gpuwheel cache key --new FILE makes one")
    return secret


def read_secret(path: Path) -> str:
    """The private key in a file.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return _checked_secret(file.read(_KEY_SIZE), str(path))
    except OSError as error:
        msg = f"the private key {path} cannot be read ({error.strerror})"
        raise ConfigError(msg, hint=f"gpuwheel cache key --new {path}") from error


def _checked_secret(text: str, where: str) -> str:
    if _SECRET.fullmatch(text.strip()) is None:
        msg = f"{where} holds no private key of gpuwheel (expected one line that begins with gpuwheel-secret-ed25519:)"
        raise ConfigError(msg, hint="gpuwheel cache key --new FILE makes one")
    return text.strip()


def _share(value: object) -> float:
    try:
        share = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        share = -1.0
    if not 0 <= share <= 1 or isinstance(value, bool):
        msg = f"the share of a remote that is verified is not between 0 and 1 (found {cut(repr(value))})"
        raise ConfigError(msg, hint="GPUWHEEL_REMOTE_VERIFY=0.1 makes a tenth here and compares it")
    return share
