"""A registry on this machine that can misbehave in the ways that real ones do."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from gpuwheel.publish.image.descriptors import CONFIG, MANIFEST, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.publish.image.layout import Layout

__all__ = ["BIG", "FakeRegistry", "add_image", "fake_registry", "log_in", "sha256"]

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
BIG = bytes(range(256)) * 4096
"""A layer of 1 MiB."""
SMALL = 1000
"""Bytes: transfers of fewer never break."""


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def add_image(layout: Layout, layers: list[bytes]) -> Descriptor:
    """An image in a layout."""
    rows = [layout.put(layer, LAYER) for layer in layers]
    config = layout.put_json({"os": "linux", "architecture": "amd64"}, CONFIG)
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.to_json()}
    return layout.put_json({**document, "layers": [row.to_json() for row in rows]}, MANIFEST)


def log_in(environ: Mapping[str, str], host: str, credentials: str = "somebody:secret", **entry: str) -> None:
    """As `docker login` does."""
    file = Path(environ["HOME"], ".docker", "config.json")
    file.parent.mkdir(exist_ok=True)
    text = base64.b64encode(credentials.encode()).decode()
    file.write_text(json.dumps({"auths": {host: {"auth": text, **entry}}}))


@dataclass
class FakeRegistry:
    """What it holds, and how it behaves."""

    host: str = ""
    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Repository -> digest -> content."""
    manifests: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=dict)
    """Repository -> tag or digest -> (media type, content)."""
    uploads: dict[str, bytearray] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    """`METHOD PATH RANGE` of everything that was asked."""
    authorizations: list[str] = field(default_factory=list)
    """`Authorization` of the same, or ""."""
    bodies: Counter[str] = field(default_factory=Counter)
    """Method -> bytes received."""

    failures: dict[str, list[int]] = field(default_factory=dict)
    """`METHOD kind` ("PATCH uploads") -> statuses to answer first."""
    error: dict[str, object] = field(default_factory=dict)
    """What failures say."""
    broken_parts: int = 0
    """So many parts of uploads end in the middle, by the connection; half of each is kept."""
    broken_downloads: int = 0
    forgets_uploads: bool = False
    """Where a part broke."""
    loses_answer: bool = False
    """The first upload that is complete is kept, and nobody hears of it."""
    takes_parts: bool = True
    largest_request: int = 1 << 40
    """Bytes."""
    takes_ranges: bool = True
    lies: dict[str, bytes] = field(default_factory=dict)
    """Digest -> what it gives in place of the content."""
    empties_uploads: int = 0
    """So many later parts are refused, and what had come is gone."""
    location: str = ""
    """Where uploads and downloads are said to go."""
    keeps_referrers: bool = False
    stored: str = ""
    """Under which digest it says that it stored something."""
    storage: FakeRegistry | None = None
    """Where it sends those who want a blob."""

    password: tuple[str, str] | None = None
    realm: str = ""
    """URL of the realm: tokens are wanted."""
    service: str = "tests"
    token_life: int = 1_000_000
    """Requests that a token is good for."""
    refused_scopes: tuple[str, ...] = ()
    """A realm refuses to speak of them at all."""
    tokens: dict[str, int] = field(default_factory=dict)
    asked_scopes: list[list[str]] = field(default_factory=list)
    identity: str = ""
    """The refresh token that it takes."""

    def add_image(self, repository: str, tag: str, layers: list[bytes], **config: str) -> str:
        """An image; its digest."""
        text = {"os": "linux", "architecture": "amd64", **config}
        blobs = [json.dumps(text).encode(), *layers]
        for blob in blobs:
            self.blobs.setdefault(repository, {})[sha256(blob)] = blob
        rows = [
            {"mediaType": f"application/vnd.oci.image.{kind}", "digest": sha256(blob), "size": len(blob)}
            for kind, blob in zip(["config.v1+json"] + ["layer.v1.tar+gzip"] * len(layers), blobs, strict=True)
        ]
        kind = "application/vnd.oci.image.manifest.v1+json"
        return self.add_manifest(
            repository, tag, kind, {"schemaVersion": 2, "mediaType": kind, "config": rows[0], "layers": rows[1:]}
        )

    def add_manifest(self, repository: str, tag: str, kind: str, document: Mapping[str, object]) -> str:
        data = json.dumps(document).encode()
        held = self.manifests.setdefault(repository, {})
        held[tag] = held[sha256(data)] = (kind, data)
        return sha256(data)

    def asked(self, pattern: str) -> list[str]:
        return [line for line in self.log if re.search(pattern, line)]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FakeRegistry

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        del format, args

    def _serve(self) -> None:
        state, parts = self.state, urlsplit(self.path)
        state.log.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        state.authorizations.append(self.headers.get("Authorization", ""))
        if parts.path == "/token":
            return self._token(parse_qs(parts.query))
        if parts.path.startswith("/storage/"):
            return self._content(state.blobs["storage"][parts.path.rpartition("/")[2]])
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs|uploads)/([^/]*)", parts.path)
        if not self._may(match[1].removesuffix("/blobs") if match else ""):
            return None
        if parts.path == "/v2/":
            return self._send(200)
        assert match
        repository, kind, name = match.groups()
        repository = repository.removesuffix("/blobs") if kind == "uploads" else repository
        statuses = state.failures.get(f"{self.command} {kind}")
        if statuses and (status := statuses.pop(0)):
            self._body()
            return self._send(status, json.dumps({"errors": [state.error]}).encode())
        return getattr(self, f"_{kind}")(repository, name, parse_qs(parts.query))

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815  # the names that the standard library calls

    # ---- content

    def _manifests(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        del query
        held = self.state.manifests.setdefault(repository, {})
        if self.command == "PUT":
            data = self._body()
            held[name] = held[sha256(data)] = (self.headers["Content-Type"], data)
            subject = json.loads(data).get("subject") if self.state.keeps_referrers else None
            headers = {"OCI-Subject": subject["digest"]} if subject else {}
            return self._send(201, headers={"Docker-Content-Digest": self.state.stored or sha256(data), **headers})
        if name not in held:
            return self._send(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
        kind, data = held[name]
        digest = self.state.stored or sha256(data)
        return self._send(200, data, {"Content-Type": kind, "Docker-Content-Digest": digest})

    def _blobs(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        del query
        found = self.state.blobs.get(repository, {}).get(name)
        if found is None:
            return self._send(404, b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]}')
        if self.state.location and self.command == "GET":
            return self._send(307, headers={"Location": self.state.location})
        if self.state.storage is not None and self.command == "GET":
            self.state.storage.blobs.setdefault("storage", {})[name] = found
            place = f"http://{self.state.storage.host}/storage/{name}?signature=secret"
            return self._send(307, headers={"Location": place})
        return self._content(self.state.lies.get(name, found))

    def _content(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        status, headers, cut = 200, {}, None
        if asked and self.state.takes_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status, headers, data = 206, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]
        if self.state.broken_downloads and self.command == "GET" and len(data) > SMALL:
            self.state.broken_downloads -= 1
            cut = len(data) // 2
        return self._send(status, data, headers, cut=cut)

    def _uploads(  # noqa: C901, PLR0911  # an answer for each case
        self, repository: str, name: str, query: Mapping[str, list[str]]
    ) -> None:
        state = self.state
        if self.command == "POST":
            return self._begin(repository, query)
        if name not in state.uploads:
            self._body()
            return self._send(404, b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN", "message": "upload unknown"}]}')
        upload = state.uploads[name]
        if int(self.headers.get("Content-Length", "0")) > state.largest_request:
            self._body()
            return self._send(413)
        if self.command == "GET":
            return self._send(204, headers=self._of_upload(repository, name))
        if self.command == "PATCH" and state.empties_uploads and upload:
            state.empties_uploads -= 1
            self._body()
            upload.clear()
            return self._send(500)
        if self.command == "PATCH" and not state.takes_parts and upload:
            self._body()
            return self._send(405)
        stated = self.headers.get("Content-Range", "")
        if stated and int(stated.partition("-")[0]) != len(upload):
            self._body()
            return self._send(416, headers=self._of_upload(repository, name))
        size = int(self.headers.get("Content-Length", "0"))
        if state.broken_parts and size > SMALL:
            state.broken_parts -= 1
            kept = self._body(size // 2)
            if state.forgets_uploads:
                del state.uploads[name]
            else:
                upload += kept
            self.close_connection = True
            self.connection.close()
            return None
        upload += self._body()
        if self.command == "PATCH":
            return self._send(202, headers=self._of_upload(repository, name))
        return self._finish(repository, name, query["digest"][0])

    def _begin(self, repository: str, query: Mapping[str, list[str]]) -> None:
        state = self.state
        if "mount" in query:
            digest, source = query["mount"][0], query["from"][0]
            if digest in state.blobs.get(source, {}):
                state.blobs.setdefault(repository, {})[digest] = state.blobs[source][digest]
                return self._send(201)
        name = f"u{len(state.log)}"
        state.uploads[name] = bytearray()
        return self._send(202, headers=self._of_upload(repository, name))

    def _finish(self, repository: str, name: str, digest: str) -> None:
        state = self.state
        data = bytes(state.uploads.pop(name))
        if sha256(data) != digest:
            return self._send(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "other content"}]}')
        state.blobs.setdefault(repository, {})[digest] = data
        if state.loses_answer:
            state.loses_answer = False
            self.close_connection = True
            self.connection.close()
            return None
        return self._send(201, headers={"Docker-Content-Digest": state.stored or digest})

    def _of_upload(self, repository: str, name: str) -> dict[str, str]:
        size = len(self.state.uploads[name])
        # Relative, and with a query of its own, as docker-registry's.
        place = f"/v2/{repository}/blobs/uploads/{name}?_state={len(self.state.log)}"
        return {"Location": self.state.location or place, "Range": f"0-{max(0, size - 1)}"}

    # ---- who asks

    def _may(self, repository: str) -> bool:
        state, given = self.state, self.headers.get("Authorization", "")
        if state.realm:
            token = given.removeprefix("Bearer ")
            if state.tokens.get(token, 0) > 0:
                state.tokens[token] -= 1
                return True
            challenge = f'Bearer realm="{state.realm}",service="{state.service}",scope="repository:{repository}:pull"'
        elif state.password is not None:
            if given == f"Basic {base64.b64encode(':'.join(state.password).encode()).decode()}":
                return True
            challenge = 'Basic realm="tests"'
        else:
            return True
        self._body()
        self._send(401, b'{"errors": [{"code": "UNAUTHORIZED"}]}', {"WWW-Authenticate": challenge})
        return False

    def _token(self, query: Mapping[str, list[str]]) -> None:
        state, given = self.state, self.headers.get("Authorization", "")
        if self.command == "POST":
            form = parse_qs(self._body().decode())
            scopes, is_known = form["scope"][0].split(), form["refresh_token"] == [state.identity]
        else:
            scopes = query.get("scope", [])
            wanted = "" if state.password is None else base64.b64encode(":".join(state.password).encode()).decode()
            is_known = not wanted or given == f"Basic {wanted}"
        state.asked_scopes.append(scopes)
        if not is_known or set(scopes) & set(state.refused_scopes):
            return self._send(401, b"{}")
        token = f"token{len(state.log)}"
        state.tokens[token] = state.token_life
        return self._send(200, json.dumps({"token": token, "expires_in": 300}).encode())

    # ---- bytes

    def _body(self, size: int | None = None) -> bytes:
        size = int(self.headers.get("Content-Length", "0")) if size is None else size
        data = self.rfile.read(size)
        self.state.bodies[self.command] += len(data)
        return data

    def _send(
        self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None, *, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if cut is None else content[:cut])
        self.close_connection = self.close_connection or cut is not None


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """One that runs."""
    state = FakeRegistry()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state})) as server:
        state.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()
