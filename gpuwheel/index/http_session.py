"""A session of HTTP as the settings of an index say: proxies, certificates, credentials and repeated connections.

`requests` does the work: netrc, proxies and authentication behave as in pip, which carries it inside. It reads all of
them from `os.environ`, so it is asked inside of the environment that the settings were read from.
"""

from __future__ import annotations

import ssl
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gpuwheel._limits import RETRY_WAIT
from gpuwheel._process import environment
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from gpuwheel.index.settings import IndexSettings

__all__ = ["BACKOFF", "http_session"]

BACKOFF = 0.25
"""Seconds before something is tried again, doubled each time."""


def http_session(settings: IndexSettings) -> requests.Session:
    """A session that follows no redirects.

    Raises:
        ConfigError: the settings name a certificate bundle that does not exist.
    """
    session = _Session(settings.environ)
    policy = urllib3.Retry(
        total=settings.retries,
        status=0,  # answers are judged here, with what they ask to wait
        backoff_factor=BACKOFF,
        backoff_max=RETRY_WAIT.value,
        respect_retry_after_header=False,
        raise_on_status=False,
    )
    bundle = settings.ca_bundle
    if bundle is not None and not Path(bundle).exists():
        msg = f"the certificate bundle {bundle} does not exist (named by PIP_CERT, SSL_CERT_FILE or pip's cert)"
        raise ConfigError(msg, hint="point it at a PEM file, or unset it")
    system = None if bundle else _SystemCertificates(settings.environ, policy)
    session.mount("https://", system or HTTPAdapter(max_retries=policy))
    for host in settings.trusted_hosts:
        session.mount(f"https://{host}", HTTPAdapter(max_retries=policy))
    session.mount("http://", HTTPAdapter(max_retries=policy))
    return session


class _SystemCertificates(HTTPAdapter):
    """Accepts what the system accepts (OpenSSL's default paths, SSL_CERT_DIR), besides certifi's authorities."""

    def __init__(self, environ: Mapping[str, str] | None, max_retries: urllib3.Retry) -> None:
        self._environ = environ
        super().__init__(max_retries=max_retries)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Made when a host is asked by https: to read the system's authorities takes longer than to import this."""
        with environment(self._environ):
            return ssl.create_default_context()

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # handed on
        host, tls = super().build_connection_pool_key_attributes(*args, **kwargs)
        return host, {**tls, "ssl_context": self._context} if host["scheme"] == "https" else tls

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # handed on as they are
        return super().proxy_manager_for(*args, ssl_context=self._context, **kwargs)


class _Session(requests.Session):
    """Sees one environment, and follows no redirect; `allow_redirects=False` alone would still read a body of one."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        super().__init__()
        self._environ = environ

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Let a request say what .netrc says for its host."""
        with environment(self._environ):
            return super().prepare_request(request)

    def merge_environment_settings(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # handed on as they are
        """Proxies, by whether the host is reached through one."""
        with environment(self._environ):
            return super().merge_environment_settings(*args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""
        del resp
