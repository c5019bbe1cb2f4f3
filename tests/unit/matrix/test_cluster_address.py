"""`--executor`: where cells may go, and where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.matrix.executors.cluster_address import ClusterAddress

CA, CERT, KEY = Path("ca.pem"), Path("client.pem"), Path("client.key")


@pytest.mark.parametrize(
    ("text", "scheduler"),
    [
        ("dask", None),
        ("dask:tls://10.0.0.1:8786", "tls://10.0.0.1:8786"),
        ("dask:tls://build.example.org:1", "tls://build.example.org:1"),
        ("dask:tls://[2001:db8::1]:8786", "tls://[2001:db8::1]:8786"),
        ("dask:tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786"),
        ("dask:tcp://127.3.2.1:8786", "tcp://127.3.2.1:8786"),
        ("dask:tcp://[::1]:8786", "tcp://[::1]:8786"),
        ("dask:tcp://localhost:8786", "tcp://localhost:8786"),
    ],
)
def test_a_cluster_is_found(text: str, scheduler: str | None) -> None:
    found = ClusterAddress.parse(text)
    assert found is not None
    assert found.scheduler == scheduler
    assert found.is_encrypted == ("tls" in text)


def test_without_a_word_this_machine_builds() -> None:
    assert ClusterAddress.parse("local") is None


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1", "192.168.1.7", "8.8.8.8", "[2001:db8::1]", "[::]", "[fe80::1]", "[::ffff:10.0.0.1]"],
)
def test_plain_tcp_stays_on_this_machine_and_the_reason_is_told(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterAddress.parse(f"dask:tcp://{text}:8786")
    assert "runs what it is sent" in caught.value.message
    assert caught.value.hint is not None
    assert "dask:tls://" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *("", "dusk", "dask:", "dask:tls", "dask:tls://", "dask:tls://host", "dask:tls://host:", "dask:tls://host:x"),
        *("dask:tls://host:0", "dask:tls://host:65536", "dask:tls://host:8786/path", "dask:tls://user:word@host:8786"),
        *("tls://host:8786", "dask:host:8786", "dask:ws://127.0.0.1:80", "dask:inproc://127.0.0.1:1", "dask:ucx://h:1"),
        *("dask:tls://a b:1", "dask:tls://[:1", "dask:tls://h\n:1", "dask:tcp://[fe80::1%eth0]:1", "ssh:host"),
    ],
)
def test_what_names_no_cluster_is_told(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterAddress.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("local", {"authority": CA, "certificate": CERT, "key": KEY}),
        ("dask", {"authority": CA, "certificate": CERT, "key": KEY}),
        ("dask:tcp://127.0.0.1:1", {"key": KEY}),
        ("dask:tls://host:1", {"authority": CA}),
        ("dask:tls://host:1", {"certificate": CERT, "key": KEY}),
        ("dask:tls://host:1", {"authority": CA, "certificate": CERT}),
    ],
)
def test_certificates_are_for_tls_and_all_there_or_none(text: str, files: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        ClusterAddress.parse(text, **files)
    assert "--dask-" in caught.value.message
