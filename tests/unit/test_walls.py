"""The wall around this folder: worth nothing if it lets something through."""

from __future__ import annotations

import http.server
import re
import socket
import threading
import urllib.request

import pytest

from gpuwheel._run import run


def test_no_address_outside_this_machine_can_be_reached() -> None:
    with pytest.raises(AssertionError, match="mark it `network`"), socket.socket() as connection:
        connection.connect(("192.0.2.1", 80))  # TEST-NET-1, RFC 5737


def test_no_name_outside_this_machine_can_be_resolved() -> None:
    with pytest.raises(AssertionError, match=r"reaches for pypi\.org"):
        socket.getaddrinfo("pypi.org", 443)


@pytest.mark.parametrize("program", ["cc", "g++", "cmake", "nvcc"])
def test_no_compiler_can_be_started(program: str) -> None:
    with pytest.raises(AssertionError, match=rf"starts {re.escape(program)}: .* mark it `compiler`"):
        run([program, "--version"])


def test_a_local_server_can_be_reached() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{server.server_port}/", timeout=10) as response:
            assert response.status == http.HTTPStatus.OK
