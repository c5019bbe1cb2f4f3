"""Certificates: refused unless trusted, and the refusal says how to trust."""

from __future__ import annotations

import functools
import http.server
import shutil
import ssl
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.errors import NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.settings import IndexSettings
from gpuwheel.index.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        del format, args


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses the certificate hangs up."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one file."""
    folder = tmp_path_factory.mktemp("certificate")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1"]
    run(["openssl", *words, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"])
    return folder / "cert.pem"


@pytest.fixture
def url(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A page behind that certificate."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "index.html").write_text("<a href=x>x</a>", encoding="utf-8")
    with _Server(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path))) as server:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def _page(url: str, settings: IndexSettings) -> bytes:
    with closing(Transport(settings, Traffic())) as transport:
        return transport.page(url, "text/html").content


def test_an_unknown_authority_is_refused_until_it_is_trusted(url: str, certificate: Path) -> None:
    settings = IndexSettings(indexes=(), retries=0)
    with pytest.raises(NetworkError, match="certificate verify failed") as caught:
        _page(url, settings)
    assert "PIP_CERT" in str(caught.value.hint)
    assert b"href" in _page(url, replace(settings, ca_bundle=str(certificate)))
    assert b"href" in _page(url, replace(settings, trusted_hosts=frozenset({"127.0.0.1"})))
