"""A package index on this machine that can misbehave in the ways that real ones do."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import threading
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gpuwheel._cache import Cache
from gpuwheel.model.pins import HeadersPin, Pin, PinnedFile, contents_digest
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass
class IndexServer:
    """Projects and their files, and how to serve them."""

    url: str = ""
    projects: dict[str, dict[str, bytes]] = field(default_factory=dict)
    pages: str = "json"
    """"json", "html" or "broken"."""
    ranges: str = "yes"
    """"yes", "no" (the whole file), "no total" (206 with `/*`), "other" (206 with another span)."""
    cut_short: int = 0
    """So many answers that hold a file end in the middle."""
    failures: list[int] = field(default_factory=list)
    """Statuses to answer first, one per request."""
    credentials: tuple[str, str] | None = None
    digests: dict[str, str] = field(default_factory=dict)
    """What the page says about a file, where it is not the truth."""
    release: threading.Event | None = None
    """Hold the second half of every file back until it is set."""
    requests: list[str] = field(default_factory=list)

    def add(self, project: str, filename: str, content: bytes) -> PinnedFile:
        self.projects.setdefault(project, {})[filename] = content
        return PinnedFile(filename, hashlib.sha256(content).hexdigest(), len(content))

    def publish(self, project: str, version: str, members: Mapping[str, bytes]) -> PinnedFile:
        """Add a wheel for any platform."""
        return self.add(project, *make_wheel(project, version, members))

    def publish_for(self, machine: str, project: str, version: str, members: Mapping[str, bytes]) -> PinnedFile:
        """Add a wheel for one CPU architecture."""
        name, content = make_wheel(project, version, members)
        return self.add(project, name.replace("-any.", f"-manylinux_2_17_{machine}."), content)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: IndexServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        del format, args

    def do_GET(self) -> None:
        state = self.state
        state.requests.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        if state.failures:
            return self._send(state.failures.pop(0), b"", "text/plain")
        if state.credentials is not None:
            expected = base64.b64encode(":".join(state.credentials).encode()).decode()
            if self.headers.get("Authorization") != f"Basic {expected}":
                return self._send(401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="index"'})
        words = urlsplit(self.path).path.strip("/").split("/")
        if words[0] == "simple" and len(words) == 2 and words[1] in state.projects:
            return self._page(state.projects[words[-1]])
        for files in state.projects.values():
            if words[0] == "files" and words[-1] in files:
                return self._file(files[words[-1]])
        return self._send(404, b"", "text/plain")

    do_HEAD = do_GET  # noqa: N815  # the name that the standard library calls

    def _page(self, files: Mapping[str, bytes]) -> None:
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} | self.state.digests
        if self.state.pages == "broken":
            return self._send(200, b"<html>sign in</html>", "application/vnd.pypi.simple.v1+json")
        if self.state.pages == "html":
            anchors = [f'<a href="../../files/{name}#sha256={digests[name]}">{name}</a>' for name in files]
            return self._send(200, "\n".join(anchors).encode(), "text/html; charset=utf-8")
        entries = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": digests[name]}} for name in files
        ]
        return self._send(200, json.dumps({"files": entries}).encode(), "application/vnd.pypi.simple.v1+json")

    def _file(self, content: bytes) -> None:
        asked, size = self.headers.get("Range"), len(content)
        if asked is None or self.state.ranges == "no":
            return self._send(200, content, "application/zip", cuttable=True)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1 if last else size
        if self.state.ranges == "other":
            start += 1
        total = "*" if self.state.ranges == "no total" else str(size)
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{total}"}
        return self._send(206, content[start:stop], "application/zip", headers, cuttable=True)

    def _send(
        self,
        status: int,
        content: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        cuttable: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(content) // 2
        if cuttable and self.state.cut_short:
            self.state.cut_short -= 1
            self.wfile.write(content[:half])
            self.close_connection = True
            return
        if cuttable and self.state.release is not None:
            self.wfile.write(content[:half])
            self.wfile.flush()
            self.state.release.wait(30)
            self.wfile.write(content[half:])
            return
        self.wfile.write(content)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexServer]:
    """A running index."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = IndexServer()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state})) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/simple"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state
        if state.release is not None:
            state.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which no configuration of this machine is seen, and retries are few."""
    return {"HOME": str(tmp_path / "home"), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "PIP_RETRIES": "1"}


class Log(SilentReporter):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def context(index: IndexServer, environ: dict[str, str], tmp_path: Path, log: Log) -> Context:
    """A context whose cache is empty and whose index is `index`."""
    return Context(Cache(tmp_path / "cache"), environ | {"GPUWHEEL_INDEX_URL": index.url}, log)


def make_wheel(name: str, version: str, members: Mapping[str, bytes]) -> tuple[str, bytes]:
    """File name and bytes of a wheel for any platform."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    everything = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{member},,\n" for member in [*everything, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in {**everything, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0)), data)
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl", buffer.getvalue()


HEADERS = {f"torch/csrc/stable/h{number}.h": f"// {number}\n".encode() * (number * 2000 + 1) for number in range(4)}
TORCH_MEMBERS = {
    "torch/_C.so": os.urandom(200_000),
    **{f"torch/include/{path}": data for path, data in list(HEADERS.items())[:2]},
    "torch/include/ATen/ATen.h": os.urandom(150_000),
    **{f"torch/include/{path}": data for path, data in list(HEADERS.items())[2:]},
    "torch/lib/libtorch.so": os.urandom(300_000),
}


@pytest.fixture
def torch_pin(index: IndexServer) -> HeadersPin:
    """A small torch on the index."""
    file = index.add("torch", *make_wheel("torch", "9.9", TORCH_MEMBERS))
    return HeadersPin(
        name="torch",
        version="9.9",
        files=(file,),
        prefix="torch/include/",
        roots=("torch/csrc/stable/",),
        digest=contents_digest(HEADERS),
        file_count=len(HEADERS),
    )


@pytest.fixture
def pins(index: IndexServer) -> tuple[Pin, ...]:
    """A small device compiler on the index."""
    members = {
        "cuda-bindings": {"cuda/bindings/__init__.py": b"", "cuda/bindings/nvrtc.pyx": b"source"},
        "nvidia-cuda-nvrtc-cu12": {
            "nvidia/cuda_nvrtc/lib/libnvrtc.so.12": b"nvrtc",
            "nvidia/cuda_nvrtc/lib/libnvrtc.alt.so.12": b"the same again",
            "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9": b"builtins",
        },
        "nvidia-nvfatbin-cu12": {"nvidia/nvfatbin/lib/libnvfatbin.so.12": b"nvfatbin"},
        "nvidia-cuda-runtime-cu12": {"nvidia/cuda_runtime/include/cuda_runtime.h": b"#pragma once\n"},
        "nvidia-cuda-cccl-cu12": {"nvidia/cuda_cccl/include/cub/cub.cuh": b"#pragma once\n"},
    }
    return tuple(
        Pin(name, "12.9.1", (index.add(name, *make_wheel(name, "12.9.1", files)),)) for name, files in members.items()
    )


CRT_NAME, CRT_PREFIX = "nvidia-cuda-nvcc-cu12", "nvidia/cuda_nvcc/include/"
CRT_HEADERS = {"crt/mma.h": b"// mma\n", "crt/mma.hpp": b"// more\n"}


@pytest.fixture
def crt_pin(index: IndexServer) -> HeadersPin:
    """Headers in a larger wheel on the index, which `mma.h` needs."""
    members = {
        "nvidia/cuda_nvcc/bin/ptxas": os.urandom(300_000),
        f"{CRT_PREFIX}nvPTXCompiler.h": b"// another\n",
        **{f"{CRT_PREFIX}{path}": data for path, data in CRT_HEADERS.items()},
    }
    return HeadersPin(
        name=CRT_NAME,
        version="12.9.2",
        files=(index.add(CRT_NAME, *make_wheel(CRT_NAME, "12.9.2", members)),),
        prefix=CRT_PREFIX,
        roots=("crt/",),
        digest=contents_digest(CRT_HEADERS),
        file_count=len(CRT_HEADERS),
        required_by=("mma.h",),
    )
