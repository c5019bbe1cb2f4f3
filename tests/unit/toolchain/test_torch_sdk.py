"""The torch SDK comes whole and checked, whatever the index does."""

from __future__ import annotations

import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import CacheError, NetworkError
from gpuwheel.toolchain import Context, find_torch_sdk

if TYPE_CHECKING:
    from package_index import IndexServer, Log

    from gpuwheel._cache import Cache
    from gpuwheel.model.pins import HeadersPin
    from gpuwheel.model.toolchain import TorchSdk

WHEEL = "torch-9.9-py3-none-any.whl"


def _headers(sdk: TorchSdk) -> dict[str, int]:
    root = sdk.include_dir
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*.h")}


def _wheel_requests(index: IndexServer) -> list[str]:
    return [request for request in index.requests if WHEEL in request]


def _nothing_half_written(cache: Cache) -> bool:
    return not [path for path in cache.root.rglob("*") if path.is_file() and path.suffix != ".lock"]


_CHILD = """
import pickle, sys
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context, find_torch_sdk
cache, environ, pin = pickle.loads(open(sys.argv[1], "rb").read())
find_torch_sdk(pin, context=Context(cache, environ, SilentReporter()))
"""


def test_only_the_headers_are_downloaded(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    sdk = find_torch_sdk(torch_pin, context=context)
    assert sorted(_headers(sdk)) == [f"torch/csrc/stable/h{number}.h" for number in range(4)]
    assert sdk.library.name == "libtorch.so"
    assert sdk.library.read_bytes().startswith(b"\x7fELF")
    assert sdk.version == "9.9"
    assert "by ranges" in sdk.found_via
    assert context.traffic.received < torch_pin.files[0].size / 3
    assert all("bytes=" in request for request in _wheel_requests(index))


def test_the_cache_serves_without_the_index(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    first = find_torch_sdk(torch_pin, context=context)
    asked = len(index.requests)
    second = find_torch_sdk(torch_pin, context=context)
    assert len(index.requests) == asked
    assert second == replace(first, found_via="cache")


def test_a_damaged_cache_is_mended(torch_pin: HeadersPin, context: Context, log: Log) -> None:
    sdk = find_torch_sdk(torch_pin, context=context)
    before = _headers(sdk)
    (sdk.include_dir / "torch/csrc/stable/h1.h").write_bytes(b"")
    assert _headers(find_torch_sdk(torch_pin, context=context)) == before
    assert any("are damaged (include/torch/csrc/stable/h1.h is not what was stored)" in line for line in log.lines)


@pytest.mark.parametrize("ranges", ["no", "no total", "other"])
def test_without_ranges_the_whole_wheel_comes(
    index: IndexServer, torch_pin: HeadersPin, context: Context, log: Log, ranges: str
) -> None:
    index.ranges = ranges
    sdk = find_torch_sdk(torch_pin, context=context)
    assert len(_headers(sdk)) == 4
    assert "whole wheel" in sdk.found_via
    assert any("downloading the whole wheel" in line for line in log.lines)
    assert context.traffic.received >= torch_pin.files[0].size


def test_a_cut_range_is_fetched_again(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    index.cut_short = 1
    assert "by ranges" in find_torch_sdk(torch_pin, context=context).found_via


def test_a_cut_download_is_resumed(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    index.ranges = "no total"  # good enough to resume by, not to cut by
    index.cut_short = 2  # of the part that was refused, and of the whole
    find_torch_sdk(torch_pin, context=context)
    assert re.fullmatch(rf"/files/{WHEEL} bytes=[1-9]\d*-", index.requests[-1])


def test_a_cut_download_starts_over_where_ranges_are_unknown(
    index: IndexServer, torch_pin: HeadersPin, context: Context
) -> None:
    index.ranges = "no"
    index.cut_short = 1
    assert len(_headers(find_torch_sdk(torch_pin, context=context))) == 4


def test_a_download_that_is_always_cut_fails_and_the_next_run_works(
    index: IndexServer, torch_pin: HeadersPin, context: Context
) -> None:
    index.ranges = "no"
    index.cut_short = 10
    with pytest.raises(NetworkError, match="cut short"):
        find_torch_sdk(torch_pin, context=context)
    assert _nothing_half_written(context.cache)
    index.cut_short = 0
    assert len(_headers(find_torch_sdk(torch_pin, context=context))) == 4


def test_other_headers_are_refused(torch_pin: HeadersPin, context: Context) -> None:
    pin = replace(torch_pin, digest="0" * 64)
    with pytest.raises(NetworkError, match="not the pinned ones") as caught:
        find_torch_sdk(pin, context=context)
    assert torch_pin.digest in caught.value.message
    assert pin.digest in caught.value.message
    assert WHEEL in caught.value.message
    assert _nothing_half_written(context.cache)


def test_another_wheel_of_the_same_size_is_refused(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    index.ranges = "no"
    content = bytearray(index.projects["torch"][WHEEL])
    content[100] ^= 1
    index.digests[WHEEL] = torch_pin.files[0].sha256
    index.projects["torch"][WHEEL] = bytes(content)
    with pytest.raises(NetworkError, match="is not the pinned file") as caught:
        find_torch_sdk(torch_pin, context=context)
    assert torch_pin.files[0].sha256 in caught.value.message


def test_bytes_damaged_on_the_way_are_noticed(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    content = index.projects["torch"][WHEEL]
    at = content.index(b"torch/include/torch/csrc/stable/h0.h") + 40
    index.digests[WHEEL] = torch_pin.files[0].sha256
    index.projects["torch"][WHEEL] = content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]
    with pytest.raises(NetworkError):
        find_torch_sdk(torch_pin, context=context)
    assert _nothing_half_written(context.cache)


def test_offline_says_what_is_missing_and_what_to_do(torch_pin: HeadersPin, context: Context) -> None:
    offline = replace(context, environ={**context.environ, "GPUWHEEL_INDEX_URL": "http://127.0.0.1:9/simple"})
    with pytest.raises(NetworkError, match=r"http://127\.0\.0\.1:9/simple/torch/ cannot be reached") as caught:
        find_torch_sdk(torch_pin, context=offline)
    assert "Connection refused" in caught.value.message
    assert WHEEL in caught.value.message
    assert "GPUWHEEL_INDEX_URL" in str(caught.value.hint)
    assert caught.value.exit_code == 6


def test_a_server_that_falls_silent_is_given_up(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    index.release = threading.Event()
    impatient = replace(context, environ={**context.environ, "PIP_DEFAULT_TIMEOUT": "0.2", "PIP_RETRIES": "0"})
    with pytest.raises(NetworkError, match=r"cut short \(.*timed out"):
        find_torch_sdk(torch_pin, context=impatient)


def test_parallel_builds_download_once(index: IndexServer, torch_pin: HeadersPin, context: Context) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: find_torch_sdk(torch_pin, context=context).found_via, range(3)))
    assert sorted(found) == ["cache", "cache", f"{index.url}, by ranges"]
    assert index.requests.count("/simple/torch/") == 1


def test_an_interrupt_leaves_nothing_and_the_next_run_works(
    index: IndexServer, torch_pin: HeadersPin, context: Context, tmp_path: Path
) -> None:
    index.release = threading.Event()
    arguments = tmp_path / "arguments"
    arguments.write_bytes(pickle.dumps((context.cache, dict(context.environ), torch_pin)))
    with subprocess.Popen([sys.executable, "-c", _CHILD, arguments], stderr=subprocess.PIPE) as process:
        while not _wheel_requests(index):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate()
    assert b"KeyboardInterrupt" in talk
    assert _nothing_half_written(context.cache)
    index.release.set()
    assert len(_headers(find_torch_sdk(torch_pin, context=context))) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named(torch_pin: HeadersPin, context: Context) -> None:
    def fill(folder: Path) -> None:
        (folder / "full").symlink_to("/dev/full")
        (folder / "full").write_bytes(bytes(1 << 20))

    with pytest.raises(CacheError, match="no space left"):
        context.cache.publish_tree("sdk", torch_pin.digest, fill)
    assert len(_headers(find_torch_sdk(torch_pin, context=context))) == 4


def test_a_damaged_stub_is_made_again_without_the_index(
    index: IndexServer, torch_pin: HeadersPin, context: Context, log: Log
) -> None:
    sdk = find_torch_sdk(torch_pin, context=context)
    whole, asked = sdk.library.read_bytes(), len(index.requests)
    sdk.library.write_bytes(b"")
    assert find_torch_sdk(torch_pin, context=context).library.read_bytes() == whole
    assert len(index.requests) == asked
    assert any("libraries to link in the cache are damaged" in line for line in log.lines)
