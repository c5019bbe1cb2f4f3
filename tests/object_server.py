"""Servers that remotes are tried against: OpenStack Swift with its interface of S3, and one of HTTP that misbehaves."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import http.server
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KINDS = ("account", "container", "object", "proxy")
_PROGRAMS = ("swift-ring-builder", *(f"swift-{kind}-server" for kind in _KINDS))
_PATIENCE = 120  # seconds: several servers start, on cores that others use too
USER, PASSWORD = "test:tester", "testing"
_PROXY = """\
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_reader = reading
"""


def swift_is_installed() -> bool:
    return all(shutil.which(program) for program in _PROGRAMS)


@contextmanager
def swift(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """A store with one empty bucket; the variables by which it is found."""
    ports = {kind: _free_port() for kind in _KINDS}
    (folder / "disks" / "one").mkdir(parents=True)
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = tests\n")
    for kind in _KINDS:
        text = f"[DEFAULT]\nswift_dir = {folder}\nuser = {getpass.getuser()}\nworkers = 1\n"
        text += f"bind_ip = 127.0.0.1\nbind_port = {ports[kind]}\n"
        if kind == "proxy":
            text += _PROXY
        else:
            text += f"devices = {folder}/disks\nmount_check = false\nfallocate_reserve = 0\n"
            text += f"[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
            for words in (["create", "1", "1", "1"], ["add", f"r1z1-127.0.0.1:{ports[kind]}/one", "1"], ["rebalance"]):
                command = ["swift-ring-builder", str(folder / f"{kind}.builder"), *words]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: TID251 (no part of a build)
        (folder / f"{kind}.conf").write_text(text)
    servers = [
        subprocess.Popen([f"swift-{kind}-server", str(folder / f"{kind}.conf")], stdout=subprocess.DEVNULL)
        for kind in _KINDS
    ]
    try:
        for port in ports.values():
            _wait_for(port)
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        _make_bucket(endpoint, bucket)
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
        }
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    msg = f"nobody listens at port {port}"
    raise TimeoutError(msg)


def _make_bucket(endpoint: str, bucket: str) -> None:
    """PUT it, signed as AWS says ("Signature Version 4"): no object store client of the extra makes buckets."""
    now = datetime.now(timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    nothing = hashlib.sha256(b"").hexdigest()
    headers = {"host": endpoint.removeprefix("http://"), "x-amz-content-sha256": nothing, "x-amz-date": stamp}
    listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"PUT\n/{bucket}\n\n{listed}\n{';'.join(headers)}\n{nothing}"
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{PASSWORD}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    said = f"Credential={USER}/{scope}, SignedHeaders={';'.join(headers)}, Signature={key.hex()}"
    sent = {**headers, "Authorization": f"AWS4-HMAC-SHA256 {said}"}
    asked = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT", headers=sent)  # noqa: S310 (of loopback)
    urllib.request.urlopen(asked, timeout=60).close()  # noqa: S310


class _Files(http.server.BaseHTTPRequestHandler):
    """Files in memory, as WebDAV reads and writes them; or what `behaviour` says."""

    protocol_version = "HTTP/1.1"
    server: HttpStore

    def do_GET(self) -> None:
        self._answer(self.server.files.get(self.path))

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.behaviour == "works":
            self.server.files[self.path] = data
        self._answer(b"")

    def _answer(self, data: bytes | None) -> None:
        self.server.asked += 1
        match self.server.behaviour:
            case "hangs":
                self.server.ended.wait(60)
                return
            case "drips":
                self.send_response(200)
                self.send_header("Content-Length", "100000000")
                self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
                self.end_headers()
                while not self.server.ended.wait(0.2):
                    self.wfile.write(b"x")
                return
            case "full":
                status = 507 if self.command == "PUT" else 404
            case "refuses":
                status = 403
            case "breaks":
                status = 500
            case _:
                status = 404 if data is None else 200
        body = (data or b"") if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # a client that gave up
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class HttpStore(http.server.ThreadingHTTPServer):
    """A server on loopback."""

    daemon_threads = True

    def __init__(self, behaviour: str) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.behaviour = behaviour
        self.files: dict[str, bytes] = {}
        self.asked = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/remote"


@contextmanager
def http_store(behaviour: str = "works") -> Iterator[HttpStore]:
    with HttpStore(behaviour) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join(10)
