"""Answers of a server that means no good: an error of ours for each, after bounded bytes and time."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import resource
import threading
import time
import zlib
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hostile import RawMember, deflated, raw_zip

from gpuwheel._limits import INDEX_LINKS, RETRY_WAIT, SLOWEST_TRANSFER, TRANSFER_GRACE
from gpuwheel.errors import ConfigError, GpuwheelError, NetworkError
from gpuwheel.index import pages
from gpuwheel.index import transport as transport_module
from gpuwheel.index.context import Traffic
from gpuwheel.index.download import download
from gpuwheel.index.pages import html_links, json_links
from gpuwheel.index.pinned import FoundFile, PackageIndex
from gpuwheel.index.ranges import SparseFile
from gpuwheel.index.settings import IndexSettings, read_index_settings
from gpuwheel.index.transport import Transport
from gpuwheel.model.pins import HeadersPin, PinnedFile, contents_digest
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain.provision import provision_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpuwheel.toolchain import Context

Answer = "Callable[[http.server.BaseHTTPRequestHandler], None]"
JSON = "application/vnd.pypi.simple.v1+json"
CONTENT = os.urandom(49_999) + b"."  # not "x", by which a test replaces the last byte
FILE = PinnedFile("ops-1-py3-none-any.whl", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], str]]:
    """Starts a server that answers everything in one way; its URL."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/simple"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _says(body: bytes, *, status: int = 200, content_type: str = JSON, length: bool = True, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _for_ever(block: bytes, pause: float = 0.0, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        _says(b"", length=False, **headers)(handler)
        while True:
            handler.wfile.write(block)
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def _transport(url: str, **settings: float) -> Transport:
    return Transport(IndexSettings((url,), **{"retries": 0, "timeout": 5.0} | settings), Traffic())


def _found(url: str, **settings: float) -> FoundFile:
    with closing(_transport(url, **settings)) as transport:
        return PackageIndex(IndexSettings((url,), **settings), transport).find("ops", [FILE])


def _zlib_bomb() -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = engine.compress(bytes(1_000_000)) + engine.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + block * 1000 + engine.flush() + bytes(8)


ENTRY = {"filename": FILE.filename, "url": "x.whl", "hashes": {"sha256": FILE.sha256}}
PAGES = {
    "deep JSON": (b"[" * 200_000, JSON),
    "no page": (b"7", JSON),
    "files is a dictionary": (b'{"files": {}}', JSON),
    "a file is a list": (b'{"files": [[]]}', JSON),
    "a name is a list": (json.dumps({"files": [ENTRY | {"filename": []}]}).encode(), JSON),
    "a digest is a list": (json.dumps({"files": [ENTRY | {"hashes": {"sha256": []}}]}).encode(), JSON),
    "digests are a list": (json.dumps({"files": [ENTRY | {"hashes": [1]}]}).encode(), JSON),
    "a URL is none": (json.dumps({"files": [ENTRY | {"url": None}]}).encode(), JSON),
    "a URL that cannot be taken apart": (json.dumps({"files": [ENTRY | {"url": "http://[x/"}]}).encode(), JSON),
    "a URL of this machine": (json.dumps({"files": [ENTRY | {"url": "file:///dev/zero"}]}).encode(), JSON),
    "a number of 5000 digits": (b'{"files": ' + b"9" * 5000 + b"}", JSON),
    "not UTF-8": (b"\xff\xfe\xff", JSON),
    "a link that cannot be taken apart": (f'<a href="http://[x/{FILE.filename}">'.encode(), "text/html"),
    "a declaration that does not end": (b"<![bad[", "text/html"),
    "a character that is no number": (f'<a href="&#{"1" * 5000};{FILE.filename}">'.encode(), "text/html"),
    "a base that is none": (f'<base href="http://[::1"><a href="http://[{FILE.filename}">'.encode(), "text/html"),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_page(serve: Callable[[Answer], str], case: str) -> None:
    body, content_type = PAGES[case]
    with pytest.raises(NetworkError) as caught:
        _found(serve(_says(body, content_type=content_type)))
    assert len(caught.value.message) < 1000
    assert caught.value.hint


@pytest.mark.parametrize(
    "piece", ["<a ", "<!--", "<![", "</", "<a href='", '<a x="', "<a href=", "&#", "<base ", "a=", " "]
)
def test_a_page_of_tags_that_do_not_end(piece: str) -> None:
    start = time.process_time()
    html_links((piece * 1_000_000).encode(), "http://index/")
    html_links(f"<a {piece * 500_000}>".encode(), "http://index/")
    assert time.process_time() - start < 10


def test_what_a_page_of_links_may_look_like() -> None:
    text = b"""<!-- <a href="hidden.whl"> --><BASE HREF='/files/'><A class="x" HREF = "a%2B1.whl#sha256=AB">a</A>
    <a data-x="href=no.whl" href='b.whl'>b</a><a href=c.whl>c</a><a>none</a><abbr href="no.whl"><a
    href="https://user:word@other/d.whl?x=1#md5=1">d</a><a href="e&amp;1.whl">"""
    found = [(link.filename, link.url, link.sha256) for link in html_links(text, "http://index/simple/ops/")]
    assert found == [
        ("a+1.whl", "http://index/files/a%2B1.whl", "ab"),
        ("b.whl", "http://index/files/b.whl", None),
        ("c.whl", "http://index/files/c.whl", None),
        ("d.whl", "https://other/d.whl?x=1", None),
        ("e&1.whl", "http://index/files/e&1.whl", None),
    ]


def test_too_many_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "INDEX_LINKS", replace(INDEX_LINKS, value=1000))
    page = json.dumps({"files": [ENTRY] * 1001}).encode()
    with pytest.raises(NetworkError, match="index-links"):
        json_links(page, "http://index/")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_for_ever(b"[" * 100_000), "does not end .*index-page"),
        (_says(_zlib_bomb(), Content_Encoding="gzip"), "does not end .*index-page"),
        (_says(b"not gzip", Content_Encoding="gzip"), "cannot be unpacked"),
        (_says(b"{}", Content_Encoding="br"), "cannot be unpacked .*Content-Encoding br"),
        (_says(b"", status=302, Location="http://[::1"), "cannot be reached"),
        (_says(b"", status=302, Location="gopher://x"), "cannot be reached"),
        (_says(b"", status=302, Location="file:///etc/passwd"), "cannot be reached"),
        (_says(b"", status=302, Location="/simple"), "redirects"),
        (_for_ever(b"x" * 100_000, Location="/simple"), "does not end"),
        (_says(b"", status=429, Retry_After="3600"), "asks to come back later .found 3,600 seconds.*retry-wait"),
        (_says(b"", status=503, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"), "asks to come back later"),
        (_says(b"", status=503, Retry_After="9" * 400), "asks to come back later"),
        (_says(b"", status=503, Retry_After="²"), "HTTP 503"),
        (_says(b"", status=503, Retry_After="soon"), "HTTP 503"),
    ],
)
def test_an_answer(serve: Callable[[Answer], str], answer: Answer, words: str) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(NetworkError, match=words) as caught:
        _found(serve(answer), retries=2)
    assert len(caught.value.message) < 1000
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024


def test_a_redirect_without_end_is_not_read(serve: Callable[[Answer], str]) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/simple/ops/" if handler.path.endswith("x") else handler.path + "x")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 100_000)

    start = time.monotonic()
    with pytest.raises(NetworkError, match="redirects"):
        _found(serve(answer))
    assert time.monotonic() - start < 10


def test_a_short_wait_is_said_and_kept(serve: Callable[[Answer], str]) -> None:
    asked: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        if len(asked) == 1:
            _says(b"", status=429, Retry_After="2")(handler)
        else:
            _says(json.dumps({"files": [ENTRY]}).encode())(handler)

    said: list[str] = []
    url = serve(answer)
    settings = IndexSettings((url,), retries=1)
    start = time.monotonic()
    with closing(Transport(settings, Traffic(), said.append)) as transport:
        assert PackageIndex(settings, transport).find("ops", [FILE]).file == FILE
    assert time.monotonic() - start >= 2
    assert len(said) == 1
    assert "HTTP 429" in said[0]
    assert said[0].endswith("trying again in 2 s")


def test_an_answer_that_drips(serve: Callable[[Answer], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "TRANSFER_GRACE", replace(TRANSFER_GRACE, value=1))
    start = time.monotonic()
    with pytest.raises(NetworkError, match=r"comes too slowly \(found \d+ bytes a second in 1 s, .*slowest-transfer"):
        _found(serve(_for_ever(b"x", 0.1)))
    assert time.monotonic() - start < 5
    assert TRANSFER_GRACE.value <= 60
    assert SLOWEST_TRANSFER.value * 3600 > 10_000_000, "a modem's user downloads the compiler in an hour"
    assert RETRY_WAIT.value <= 60


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_for_ever(b"x" * 20_000), "is longer than it should be .expected 50,000 bytes"),
        (_says(CONTENT + b"x"), "is longer than it should be"),
        (_says(CONTENT[:-1]), "wrong size"),
        (_says(CONTENT[:-1] + b"x"), "is not the pinned file"),
        (_says(_zlib_bomb(), Content_Encoding="gzip"), "is longer than it should be|wrong size"),
    ],
)
def test_a_file(serve: Callable[[Answer], str], tmp_path: Path, answer: Answer, words: str) -> None:
    url = serve(answer)
    with closing(_transport(url)) as transport, pytest.raises(NetworkError, match=words):
        download(FoundFile(FILE, f"{url}/x", url), tmp_path, transport=transport, reporter=SilentReporter())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///nonexistent", "cannot be read"),
        ("file:///a%00b", "cannot be read"),
        ("file:///dev/zero", "not a regular file"),
        ("file:///", "not a regular file"),
        ("file:///etc/passwd", "wrong size|is not the pinned file"),
    ],
)
@pytest.mark.parametrize("size", [0, 10])
def test_a_file_of_this_machine(tmp_path: Path, url: str, words: str, size: int) -> None:
    found = FoundFile(replace(FILE, size=size), url, "file:///")
    with closing(_transport("http://127.0.0.1:9")) as transport, pytest.raises(NetworkError, match=words):
        download(found, tmp_path, transport=transport, reporter=SilentReporter())


def _ranges(content: bytes, extra: bytes = b"", *, endless: bool = False) -> Answer:
    """Serves ranges of `content`, each with more behind it."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if not handler.path.endswith(".whl"):
            entry = {"filename": FILE.filename, "url": FILE.filename, "hashes": {}}
            return _says(json.dumps({"files": [entry]}).encode())(handler)
        first, _, last = (handler.headers.get("Range") or f"bytes=0-{len(content) - 1}")[6:].partition("-")
        start, stop = int(first), int(last) + 1
        where = f"bytes {start}-{stop - 1}/{len(content)}"
        _says(content[start:stop] + extra, status=206, length=not endless, Content_Range=where)(handler)
        while endless:
            handler.wfile.write(b"x" * 100_000)
        return None

    return answer


HEADERS = {"x/a.h": b"// a\n", "x/b.h": b"// b\n" * 20_000}


def _pin(content: bytes) -> HeadersPin:
    file = PinnedFile(FILE.filename, hashlib.sha256(content).hexdigest(), len(content))
    return HeadersPin("ops", "1", (file,), "include/", ("x/",), contents_digest(HEADERS), len(HEADERS))


def _context(context: Context, url: str) -> Context:
    return replace(context, environ={**context.environ, "GPUWHEEL_INDEX_URL": url})


GOOD = [deflated(f"include/{name}", data) for name, data in HEADERS.items()]
ARCHIVES = {
    "another method": [*GOOD, RawMember(b"include/x/c.h", b"x", 99)],
    "encrypted": [*GOOD, RawMember(b"include/x/c.h", b"x", flags=1)],
    "behind the end": [*GOOD, RawMember(b"include/x/c.h", b"x", offset=2**31)],
    "a name that is not UTF-8": [*GOOD, RawMember(b"\xff\xfe", b"x", flags=0x800)],
    "a bomb": [*GOOD, RawMember(b"include/x/c.h", b"x", 8, 2**31)],
    "a file that is a folder too": [*GOOD, RawMember(b"link", b"/etc"), RawMember(b"link/x", b"")],
    "another header": [*GOOD, deflated("include/x/c.h", b"")],
}


@pytest.mark.parametrize("case", [None, *ARCHIVES])
def test_headers_by_ranges(serve: Callable[[Answer], str], context: Context, case: str | None) -> None:
    content = raw_zip(ARCHIVES[case] if case else GOOD)
    inside = _context(context, serve(_ranges(content)))
    if case is None:
        assert provision_headers(_pin(content), inside)[0] == HEADERS
        return
    with pytest.raises(NetworkError) as caught:
        provision_headers(_pin(content), inside)
    assert caught.value.hint


def test_a_member_that_begins_behind_the_file_costs_no_request() -> None:
    """Found by fuzzing: the member before it seemed to reach there, and its bytes were asked for without end."""
    content = raw_zip([*GOOD, RawMember(b"include/x/c.h", b"x", offset=2**31)])
    asked: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return content[start:stop]

    with SparseFile(fetch, len(content)) as file:
        file.prefetch([(0, 2**31), (2**31, 2**32)])
    assert asked
    assert all(stop <= len(content) for _, stop in asked)
    with pytest.raises(EOFError, match="a part of 0 bytes"):
        SparseFile(lambda *_: b"", 10)


@pytest.mark.parametrize("endless", [True, False])
def test_ranges_longer_than_asked(serve: Callable[[Answer], str], context: Context, *, endless: bool) -> None:
    """The whole wheel is asked for instead, which is too long as well."""
    content = raw_zip(GOOD)
    start = time.monotonic()
    with pytest.raises(NetworkError, match="longer than it should be"):
        provision_headers(_pin(content), _context(context, serve(_ranges(content, b"more", endless=endless))))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "variables",
    [
        {"GPUWHEEL_INDEX_URL": "http://[::1"},
        {"PIP_INDEX_URL": "http://host:port/simple"},
        {"UV_INDEX": "http://host:99999999/simple"},
        {"PIP_TIMEOUT": "inf"},
        {"PIP_RETRIES": "nan"},
        {"PIP_RETRIES": "-1"},
        {"PIP_RETRIES": "9" * 5000},
    ],
)
def test_settings(environ: dict[str, str], variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        read_index_settings({**environ, **variables})


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "index = [1]", "index = [{url = []}]", "\xff"]
)
def test_a_configuration_of_uv(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    path = tmp_path / "uv.toml"
    path.write_bytes(text.encode("latin-1"))
    environ = {name: value for name, value in environ.items() if name != "UV_NO_CONFIG"}
    try:
        read_index_settings({**environ, "UV_CONFIG_FILE": str(path)})
    except GpuwheelError as error:
        assert str(path) in error.message or "URL" in error.message  # noqa: PT017  # either is right
