"""Pinned files are found on every kind of index, and every refusal is said in one sentence."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError, NetworkError
from gpuwheel.index.context import Traffic
from gpuwheel.index.download import download
from gpuwheel.index.pinned import FoundFile, PackageIndex
from gpuwheel.index.settings import IndexSettings
from gpuwheel.index.transport import Transport

if TYPE_CHECKING:
    from pathlib import Path

    from package_index import IndexServer, Log

    from gpuwheel.model.pins import PinnedFile

NAME = "thing-1.0-py3-none-any.whl"


@pytest.fixture
def thing(index: IndexServer) -> PinnedFile:
    return index.add("thing", NAME, b"content" * 1000)


def _find(settings: IndexSettings, *files: PinnedFile) -> FoundFile:
    with closing(Transport(settings, Traffic())) as transport:
        return PackageIndex(settings, transport).find("thing", files)


def _settings(index: IndexServer) -> IndexSettings:
    return IndexSettings(indexes=(index.url,), retries=1)


@pytest.mark.parametrize("pages", ["json", "html"])
def test_both_page_formats_are_read(index: IndexServer, thing: PinnedFile, pages: str) -> None:
    index.pages = pages
    found = _find(_settings(index), thing)
    assert found == FoundFile(thing, index.url.replace("/simple", f"/files/{NAME}"), index.url)


def test_a_file_index_and_a_folder_of_wheels_are_read(tmp_path: Path, thing: PinnedFile, log: Log) -> None:
    wheels = tmp_path / "some wheels"
    wheels.mkdir()
    (wheels / NAME).write_bytes(b"content" * 1000)
    page = tmp_path / "simple/thing"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<a href="../../some%20wheels/{NAME}">{NAME}</a>', encoding="utf-8")
    for settings in (
        IndexSettings(indexes=((tmp_path / "simple").as_uri(),)),
        IndexSettings(indexes=(), find_links=(str(wheels),)),
        IndexSettings(indexes=(), find_links=(wheels.as_uri(),)),
    ):
        with closing(Transport(settings, Traffic())) as transport:
            found = PackageIndex(settings, transport).find("thing", [thing])
            assert download(found, tmp_path, transport=transport, reporter=log) == wheels / NAME


def test_the_next_index_is_asked(index: IndexServer, thing: PinnedFile, tmp_path: Path) -> None:
    settings = IndexSettings(indexes=(tmp_path.as_uri(), f"{index.url}/nowhere", index.url), retries=0)
    assert _find(settings, thing).index == index.url


def test_a_missing_file_names_the_indexes(index: IndexServer, thing: PinnedFile) -> None:
    missing = replace(thing, filename="thing-2.0-py3-none-any.whl")
    with pytest.raises(NetworkError, match=rf"thing-2\.0-py3-none-any\.whl is not on the index \(asked {index.url}\)"):
        _find(_settings(index), missing)


def test_another_digest_on_the_page_names_both(index: IndexServer, thing: PinnedFile) -> None:
    index.digests[NAME] = "ab" * 32
    with pytest.raises(NetworkError, match=rf"lists another thing.* \(sha256 {'ab' * 32}, expected {thing.sha256}"):
        _find(_settings(index), thing)


def test_no_index_is_respected(thing: PinnedFile) -> None:
    with pytest.raises(NetworkError, match="no-index is set") as caught:
        _find(IndexSettings(indexes=()), thing)
    assert "gpuwheel fetch" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("statuses", "message"),
    [([403], "refused (HTTP 403"), ([500, 500], "cannot be read (HTTP 500"), ([404], "is not on the index")],
)
def test_a_status_is_named(index: IndexServer, thing: PinnedFile, statuses: list[int], message: str) -> None:
    index.failures = statuses
    with pytest.raises(NetworkError) as caught:
        _find(_settings(index), thing)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_passing_trouble_is_retried(index: IndexServer, thing: PinnedFile) -> None:
    index.failures = [503]
    assert _find(_settings(index), thing).file == thing


def test_a_sign_in_page_is_not_an_index(index: IndexServer, thing: PinnedFile) -> None:
    index.pages = "broken"
    with pytest.raises(NetworkError, match="not a page of a package index"):
        _find(_settings(index), thing)


def test_netrc_opens_the_door(
    index: IndexServer, thing: PinnedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.credentials = ("user", "secret")
    with pytest.raises(NetworkError, match=r"refused \(HTTP 401") as caught:
        _find(_settings(index), thing)
    assert "netrc" in str(caught.value.hint)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert _find(_settings(index), thing).file == thing


def test_credentials_in_the_url_work_and_are_never_shown(
    index: IndexServer, thing: PinnedFile, tmp_path: Path, log: Log
) -> None:
    index.credentials = ("user", "p@ss")
    settings = IndexSettings(indexes=(index.url.replace("http://", "http://user:p%40ss@"),), retries=0)
    with closing(Transport(settings, Traffic())) as transport:
        found = PackageIndex(settings, transport).find("thing", [thing])
        assert download(found, tmp_path, transport=transport, reporter=log).stat().st_size == thing.size
        assert "p%40ss" not in found.index + found.url
        with pytest.raises(NetworkError) as caught:
            PackageIndex(settings, transport).find("absent", [thing])
    assert "p%40ss" not in caught.value.render()


def test_a_proxy_is_used(index: IndexServer, thing: PinnedFile) -> None:
    proxy = index.url.removesuffix("/simple")
    settings = IndexSettings(indexes=("http://index.invalid/simple",), proxy=proxy, retries=0)
    assert _find(settings, thing).url == f"http://index.invalid/files/{NAME}"


def test_a_missing_certificate_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificate bundle"):
        Transport(IndexSettings(indexes=(), ca_bundle=str(tmp_path / "none.pem")), Traffic())


def test_bytes_are_counted(index: IndexServer, thing: PinnedFile, tmp_path: Path, log: Log) -> None:
    traffic = Traffic()
    settings = _settings(index)
    with closing(Transport(settings, traffic)) as transport:
        found = PackageIndex(settings, transport).find("thing", [thing])
        page = traffic.received
        download(found, tmp_path, transport=transport, reporter=log)
    assert traffic.received == page + thing.size
    assert traffic.requests == 2
