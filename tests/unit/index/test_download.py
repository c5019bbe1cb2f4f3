"""A download that was cut goes on where it stopped, in another process too."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.download import download
from gpuwheel.index.pinned import FoundFile
from gpuwheel.index.settings import IndexSettings
from gpuwheel.index.transport import Transport

if TYPE_CHECKING:
    from pathlib import Path

    from package_index import IndexServer, Log

CONTENT = os.urandom(1_000_000)


@pytest.fixture
def transport(index: IndexServer) -> Transport:
    return Transport(IndexSettings((index.url,), retries=0), Traffic())


@pytest.fixture
def found(index: IndexServer) -> FoundFile:
    file = index.add("big", "big-1-py3-none-any.whl", CONTENT)
    return FoundFile(file, index.url.replace("/simple", f"/files/{file.filename}"), index.url)


def test_it_goes_on_where_it_stopped(
    index: IndexServer, found: FoundFile, transport: Transport, tmp_path: Path, log: Log
) -> None:
    index.cut_short = 1
    with pytest.raises(NetworkError, match="cut short"):
        download(found, tmp_path, transport=transport, reporter=log)
    (part,) = tmp_path.iterdir()
    half = part.stat().st_size
    assert 0 < half < len(CONTENT)

    path = download(found, tmp_path, transport=transport, reporter=log)

    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]
    assert index.requests[-1].endswith(f"bytes={half}-")


def test_a_file_that_is_there_is_not_asked_for(
    index: IndexServer, found: FoundFile, transport: Transport, tmp_path: Path, log: Log
) -> None:
    download(found, tmp_path, transport=transport, reporter=log)
    asked = len(index.requests)
    assert download(found, tmp_path, transport=transport, reporter=log).read_bytes() == CONTENT
    assert len(index.requests) == asked


@pytest.mark.parametrize("left", [b"something else", bytes(1_300_000)], ids=["other bytes", "too long"])
def test_a_damaged_part_costs_one_more_try(
    index: IndexServer, found: FoundFile, transport: Transport, tmp_path: Path, log: Log, left: bytes
) -> None:
    index.cut_short = 1
    with pytest.raises(NetworkError):
        download(found, tmp_path, transport=transport, reporter=log)
    (part,) = tmp_path.iterdir()
    part.write_bytes(left)
    if len(left) < len(CONTENT):
        with pytest.raises(NetworkError, match="is not the pinned file"):
            download(found, tmp_path, transport=transport, reporter=log)
    assert download(found, tmp_path, transport=transport, reporter=log).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_again(
    index: IndexServer, found: FoundFile, transport: Transport, tmp_path: Path, log: Log
) -> None:
    index.cut_short, index.ranges = 1, "no"
    with pytest.raises(NetworkError):
        download(found, tmp_path, transport=transport, reporter=log)
    assert download(found, tmp_path, transport=transport, reporter=log).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../out-1-py3-none-any.whl", "/tmp/out.whl", "a\\b.whl", "..", "", "a\nb.whl"])  # noqa: S108
def test_a_name_that_leads_elsewhere_is_refused(
    found: FoundFile, transport: Transport, tmp_path: Path, log: Log, name: str
) -> None:
    inside = tmp_path / "downloads"
    inside.mkdir()
    elsewhere = replace(found, file=replace(found.file, filename=name))
    with pytest.raises(NetworkError, match="is no name of a file"):
        download(elsewhere, inside, transport=transport, reporter=log)
    assert list(tmp_path.rglob("*")) == [inside]
