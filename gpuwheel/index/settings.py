"""Which package index to ask, and how to reach it: what the user has told uv and pip, unless told to us directly.

GPUWHEEL_INDEX_URL > uv (its documentation, "Configuration files" and "Environment variables") > pip (its
documentation, "Configuration") > https://pypi.org/simple. What a frontend was told on its own command line is not
visible to a build backend.
"""

from __future__ import annotations

import configparser
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gpuwheel._endings import because, cut, reading
from gpuwheel._process import environment
from gpuwheel._toml import read_toml
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["DEFAULT_INDEX", "ConstraintSetting", "IndexSettings", "constraint_settings", "read_index_settings"]

DEFAULT_INDEX = "https://pypi.org/simple"
_TIMEOUT = 30.0  # seconds without a byte
_RETRIES = 4
_MOST = 100_000
"""Of retries and seconds."""


@dataclass(frozen=True)
class IndexSettings:
    """Where to look for files, in this order: `find_links`, then `indexes`."""

    indexes: tuple[str, ...]
    """Simple repository URLs (PEP 503, PEP 691), credentials included if the user wrote them there."""
    find_links: tuple[str, ...] = ()
    """Folders, or URLs of pages with links."""
    ca_bundle: str | None = None
    """PEM file with the accepted certificate authorities; `None`: the system's and certifi's."""
    proxy: str | None = None
    """`None`: as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say."""
    trusted_hosts: frozenset[str] = frozenset()
    """`host` or `host:port` whose certificate is not checked."""
    timeout: float = _TIMEOUT
    retries: int = _RETRIES
    environ: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    """Where to look for proxies, .netrc and SSL_CERT_DIR; `None`: in that of the process."""


@dataclass(frozen=True)
class ConstraintSetting:
    """What one setting says of versions in build environments."""

    origin: str
    files: tuple[str, ...] = ()
    """Paths or URLs."""
    lines: tuple[str, ...] = ()
    """Constraints themselves."""


@dataclass(frozen=True)
class _Layer:
    """What one source says."""

    index: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False


def read_index_settings(environ: Mapping[str, str], *, root: Path = Path("/")) -> IndexSettings:
    """Read the environment and the configuration files of uv and pip.

    Args:
        environ: the environment variables.
        root: where the system's `etc` is.

    Raises:
        ConfigError: a configuration file of uv or pip cannot be parsed, or a number is not one.
    """
    pip = _pip_options(environ, root)
    own = environ.get("GPUWHEEL_INDEX_URL")
    # GPUWHEEL_INDEX_URL alone decides: who names one index wants no other to be asked.
    layers = [_Layer(index=own)] if own else [_uv_layer(environ, root), _pip_layer(pip)]
    index = next((layer.index for layer in layers if layer.index), DEFAULT_INDEX)
    extra = (url for layer in layers for url in layer.extra)
    no_index = any(layer.no_index for layer in layers)
    bundle = pip.get("cert") or next((environ[name] for name in _BUNDLES if environ.get(name)), None)
    return IndexSettings(
        indexes=() if no_index else _urls([index, *extra]),
        find_links=_urls(link for layer in layers for link in layer.find_links),
        ca_bundle=bundle,
        proxy=pip.get("proxy") or None,
        trusted_hosts=frozenset(_host(host) for host in pip.get("trusted-host", "").split()),
        timeout=_number(pip, "timeout", "default-timeout", default=_TIMEOUT),
        retries=int(_number(pip, "retries", default=_RETRIES)),
        environ=environ,
    )


_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_FALSE = {"", "0", "false", "no", "off"}


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in items if item))


def _urls(items: Iterable[str]) -> tuple[str, ...]:
    """Each URL once; refuses what cannot be taken apart."""
    urls = _unique(items)
    bad = next((url for url in urls if not _is_url(url)), None)
    if bad is not None:
        msg = f"a package index or find-links is not a URL (found {cut(repr(bad))})"
        raise ConfigError(msg, hint="correct GPUWHEEL_INDEX_URL, or pip's and uv's settings")
    return urls


def _is_url(text: object) -> bool:
    try:
        # `port` is where urlsplit looks at it, and raises.
        return isinstance(text, str) and urlsplit(text).port != 0
    except ValueError:
        return False


def _host(text: str) -> str:
    return urlsplit(text).netloc if "://" in text else text


def _number(options: Mapping[str, str], *names: str, default: float) -> float:
    for name in names:
        text = options.get(name)
        if text:
            try:
                number = float(text)
            except ValueError:
                number = -1.0
            if not 0 <= number <= _MOST:
                msg = f"pip's option {name} is not a number ({cut(repr(text))}, expected 0 to {_MOST})"
                raise ConfigError(msg, hint="see: pip config debug")
            return number
    return default


def _home(environ: Mapping[str, str]) -> Path:
    with environment(environ):
        try:
            return Path(environ.get("HOME") or Path.home())
        except RuntimeError:  # nobody knows this user: as in `Cache.from_environment`
            return Path("/")


def _user_config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")


def constraint_settings(environ: Mapping[str, str], root: Path = Path("/")) -> list[ConstraintSetting]:
    """Who constrains build environments: variables and configuration files of pip and uv.

    Raises:
        ConfigError: a configuration file cannot be read.
    """
    options = _pip_options(environ, root)
    table: dict[str, Any] = {}
    for path in _uv_files(environ, root):
        table.update(_read_toml(path))
    stated = table.get("build-constraint-dependencies", [])
    settings = [
        *(
            ConstraintSetting(_pip_origin(name, environ), tuple(options.get(name, "").split()))
            for name in ("constraint", "build-constraint")
        ),
        ConstraintSetting("UV_BUILD_CONSTRAINT", tuple(environ.get("UV_BUILD_CONSTRAINT", "").split())),
        ConstraintSetting("build-constraint-dependencies of uv.toml", lines=tuple(map(str, stated))),
    ]
    return [setting for setting in settings if setting.files or setting.lines]


# ---- pip


def _pip_origin(option: str, environ: Mapping[str, str]) -> str:
    variable = f"PIP_{option.upper().replace('-', '_')}"
    return variable if variable in environ else f"{option} in pip's configuration"


def _pip_files(environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Configuration files of pip, in rising precedence, as pip reads them."""
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return
    folders = environ.get("XDG_CONFIG_DIRS") or str(root / "etc/xdg")
    yield from (Path(folder) / "pip/pip.conf" for folder in reversed(folders.split(os.pathsep)) if folder)
    yield root / "etc/pip.conf"
    # pip reads no file of the user's where PIP_CONFIG_FILE names one that exists.
    if chosen is None or not Path(chosen).exists():
        yield _home(environ) / ".pip/pip.conf"
        yield _user_config(environ) / "pip/pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if chosen:
        yield Path(chosen)


def _pip_options(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """Option name without dashes in front -> text; lists are separated by white space."""
    options: dict[str, str] = {}
    parsers = [_read_ini(path) for path in _pip_files(environ, root)]
    # The section of the command beats the general one, whichever file it is in (pip, "Configuration").
    for section in ("global", "install"):
        for parser in parsers:
            if parser.has_section(section):
                options.update({_option_name(key): value for key, value in parser.items(section)})
    options.update(
        {_option_name(key.removeprefix("PIP_")): value for key, value in environ.items() if key.startswith("PIP_")}
    )
    return options


def _option_name(key: str) -> str:
    return key.lower().removeprefix("--").replace("_", "-")


def _read_ini(path: Path) -> configparser.RawConfigParser:
    # Raw, as in pip: a "%" in a password is no interpolation.
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, IsADirectoryError) as error:
        msg = f"pip's configuration file {path} cannot be read ({because(error)})"
        raise ConfigError(msg, hint="see: pip config debug") from error
    except PermissionError:
        pass  # pip, too, goes on without a file that it may not read
    return parser


def _pip_layer(options: Mapping[str, str]) -> _Layer:
    return _Layer(
        index=options.get("index-url") or options.get("pypi-url"),
        extra=tuple(options.get("extra-index-url", "").split()),
        find_links=tuple(options.get("find-links", "").split()),
        no_index=options.get("no-index", "").lower() not in _FALSE,
    )


# ---- uv


def _uv_layer(environ: Mapping[str, str], root: Path) -> _Layer:
    table: dict[str, Any] = {}
    for path in _uv_files(environ, root):
        table.update(_read_toml(path))
    # An explicit index serves only packages that a project assigns to it (uv, "Pinning a package to an index").
    entries = [entry for entry in table.get("index", []) if isinstance(entry, dict) and not entry.get("explicit")]
    default = next((str(entry["url"]) for entry in entries if entry.get("default")), table.get("index-url"))
    extra = [str(entry["url"]) for entry in entries if not entry.get("default")]
    return _Layer(
        index=_bare_url(environ.get("UV_DEFAULT_INDEX")) or environ.get("UV_INDEX_URL") or default,
        extra=(
            *(_bare_url(word) for word in environ.get("UV_INDEX", "").split()),
            *environ.get("UV_EXTRA_INDEX_URL", "").split(),
            *extra,
            *table.get("extra-index-url", []),
        ),
        find_links=(*environ.get("UV_FIND_LINKS", "").replace(",", " ").split(), *table.get("find-links", [])),
        no_index=environ.get("UV_NO_INDEX", "").lower() not in _FALSE or bool(table.get("no-index")),
    )


def _uv_files(environ: Mapping[str, str], root: Path) -> Iterator[Path]:
    """Configuration files of uv, in rising precedence."""
    if environ.get("UV_NO_CONFIG", "").lower() not in _FALSE:
        return
    chosen = environ.get("UV_CONFIG_FILE")
    if chosen:
        yield Path(chosen)
        return
    yield root / "etc/uv/uv.toml"
    yield _user_config(environ) / "uv/uv.toml"


def _bare_url(text: str | None) -> str:
    """`name=https://...` without the name."""
    name, equals, url = (text or "").partition("=")
    return url if equals and "/" not in name else text or ""


def _read_toml(path: Path) -> dict[str, Any]:
    hint = "set UV_NO_CONFIG=1 to pass over it, or mend it"
    with reading(f"uv's configuration file {path} cannot be read", "TOML", error=ConfigError, hint=hint):
        try:
            return read_toml(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return {}
