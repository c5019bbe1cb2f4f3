"""Where the files of an index come from beside folders: lists of URLs and paths, and buckets."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from package_index import Log
from small_wheels import TIME, small_wheel

from gpuwheel._cache import Cache
from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ConfigError, FileError
from gpuwheel.index.context import Context
from gpuwheel.publish.pages import FolderSource, IndexRequest, IndexSummary, Keep, index_server, write_index
from gpuwheel.publish.pages.bucket_files import Bucket
from gpuwheel.publish.pages.release_list import ReleaseList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.publish.pages.offered import Source


@pytest.fixture
def context(tmp_path: Path) -> Context:
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "PIP_RETRIES": "0"}
    return Context(Cache(tmp_path / "cache"), environ | {"NO_PROXY": "127.0.0.1"}, Log())


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    with index_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _written(source: Source, index: Path, **asked: Any) -> IndexSummary:  # noqa: ANN401
    return write_index(IndexRequest(index=index, sources=[source], **asked), load_tables(), Log())


def _files(index: Path, project: str = "ops") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((index / "simple" / project / "index.json").read_bytes())["files"]
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_urls_with_digests(dist: Path, tmp_path: Path, context: Context) -> None:
    wheel, releases, index = small_wheel(dist, version="1.0+cu13.0"), tmp_path / "releases.txt", tmp_path / "site"
    with _served(dist) as url:
        link = f"{url}/{wheel.name.replace('+', '%2B')}"
        releases.write_text(f"# releases\n\n{link}#sha256={_digest(wheel)}\n")
        _written(ReleaseList(releases, context), index)
        (file,) = _files(index)
        assert (file["url"], file["filename"]) == (link, wheel.name)
        assert "core-metadata" not in file  # nobody has it
        (dist / f"{wheel.name}.metadata").write_bytes(b"of another")
        _written(ReleaseList(releases, context), index, fresh=True)
        assert "core-metadata" not in _files(index)[0]
        _written(FolderSource(dist, dist), dist)  # writes METADATA beside the wheel
        _written(ReleaseList(releases, context), index, fresh=True)
        assert _files(index)[0]["core-metadata"] == _files(dist)[0]["core-metadata"]
    # What was read is known by its digest: the server is asked for nothing.
    assert _written(ReleaseList(releases, context), index).read == 0


def test_urls_are_copied_into_the_index(dist: Path, tmp_path: Path, context: Context) -> None:
    wheel, releases, index = small_wheel(dist), tmp_path / "releases.txt", tmp_path / "site"
    with _served(dist) as url:
        releases.write_text(f"{url}/{wheel.name}#sha256={_digest(wheel)}\n")
        _written(ReleaseList(releases, context), index, keep=Keep.COPY)
    (file,) = _files(index)
    assert (index / "simple" / "ops" / file["url"]).read_bytes() == wheel.read_bytes()
    assert "core-metadata" in file


def test_another_file_than_the_list_states_is_left_out_and_asked_for_again(
    dist: Path, tmp_path: Path, context: Context
) -> None:
    wheel, other = small_wheel(dist), small_wheel(dist, "other")
    releases, index = tmp_path / "releases.txt", tmp_path / "site"
    with _served(dist) as url:
        good = f"{url}/{other.name}#sha256={_digest(other)}\n"
        releases.write_text(
            f"{url}/{wheel.name}#sha256={'0' * 64}\n{good}{url}/gone-1.0-py3-none-any.whl#sha256={'0' * 64}\n"
        )
        summary = _written(ReleaseList(releases, context), index)
        assert [left.filename for left in summary.left_out] == ["gone-1.0-py3-none-any.whl", wheel.name]
        assert [file["filename"] for file in _files(index, "other")] == [other.name]
        releases.write_text(f"{url}/{wheel.name}#sha256={_digest(wheel)}\n{good}")
        assert _written(ReleaseList(releases, context), index).left_out == ()


def test_a_page_of_another_index_is_a_list(dist: Path, tmp_path: Path, context: Context) -> None:
    small_wheel(dist)
    small_wheel(dist, version="2.0")
    _written(FolderSource(dist, dist), dist, yanks={"ops==1.0": "crashes"})
    with _served(dist) as url:
        page = json.loads((dist / "simple" / "ops" / "index.json").read_bytes())
        for file in page["files"]:
            file["url"] = f"{url}/{file['filename']}"
            file["provenance"] = f"https://example.com/{file['filename']}.provenance"
        (tmp_path / "page.json").write_text(json.dumps(page))
        _written(ReleaseList(tmp_path / "page.json", context), tmp_path / "site")
    assert _files(tmp_path / "site") == page["files"]
    html = (tmp_path / "site" / "simple" / "ops" / "index.html").read_text(encoding="utf-8")
    assert 'data-provenance="https://example.com/ops-1.0-py3-none-any.whl.provenance"' in html


@pytest.mark.parametrize("time", ["2026-09-21T14:13:20Z", "2026-09-21T14:13:20.1234Z", "2026-09-21T16:13:20+02:00"])
def test_times_of_upload_in_every_form(time: str, tmp_path: Path, context: Context) -> None:
    row = {"url": "https://x/a-1-py3-none-any.whl", "hashes": {"sha256": "0" * 64}, "upload-time": time}
    (tmp_path / "releases").write_text(json.dumps([row]))
    (offered,) = ReleaseList(tmp_path / "releases", context).offered()
    assert offered.uploaded == TIME


def test_paths_with_and_without_digests(dist: Path, tmp_path: Path, context: Context) -> None:
    one, two, three = (small_wheel(dist, name) for name in ("one", "two", "three"))
    releases = tmp_path / "SHA256SUMS"
    releases.write_text(f"{_digest(one)}  dist/{one.name}\n{'0' * 64} *dist/{two.name}\n{three.as_uri()}\n")
    summary = _written(ReleaseList(releases, context), tmp_path)
    assert [(left.filename, "another file" in left.problem) for left in summary.left_out] == [(two.name, True)]
    assert _files(tmp_path, "one")[0]["url"] == f"../../dist/{one.name}"
    assert _files(tmp_path, "three")[0]["url"] == f"../../dist/{three.name}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://example.com/ops-1.0-py3-none-any.whl\n", "has no digest"),
        ("https://example.com/ops-1.0-py3-none-any.whl#sha256=12\n", "no sha256"),
        ("https://example.com/readme.txt\n", "neither a wheel nor an sdist"),
        ("ftp://example.com/ops-1.0-py3-none-any.whl\n", "neither a path nor a URL"),
        ("javascript://x/ops-1.0-py3-none-any.whl\n", "neither a path nor a URL"),
        ('https://example.com/"onclick="/ops-1.0-py3-none-any.whl#sha256=' + "0" * 64, "is no URL"),
        ("{", "not a list of release files"),
        ('{"files": 3}', "not a list of release files"),
        ('[{"url": 1}]', "is described by"),
        ("[3]", "is described by"),
        (
            '[{"url": "https://x/ops-1.0-py3-none-any.whl", "hashes": {"sha256": "'
            + "0" * 64
            + '"}, "upload-time": "x"}]',
            "x",
        ),
    ],
)
def test_lists_that_cannot_be_read(text: str, problem: str, tmp_path: Path, context: Context) -> None:
    (tmp_path / "releases").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        list(ReleaseList(tmp_path / "releases", context).offered())


def test_a_list_that_names_what_is_not_there(tmp_path: Path, context: Context) -> None:
    (tmp_path / "releases").write_text("ops-1.0-py3-none-any.whl\n")
    with pytest.raises(FileError, match="No such file"):
        list(ReleaseList(tmp_path / "releases", context).offered())


def test_files_of_a_bucket_stay_there_and_what_belongs_beside_them_is_written(
    dist: Path, tmp_path: Path, context: Context
) -> None:
    (dist / "old").mkdir()
    wheel = small_wheel(dist / "old", version="1.0+cu13.0")
    (dist / "bad-1.0-py3-none-any.whl").write_bytes(b"x")
    site = tmp_path / "site"
    # The store of obstore that is a folder: what it says of files is what S3 says.
    summary = _written(Bucket(dist.as_uri(), context), site)
    assert [left.filename for left in summary.left_out] == ["bad-1.0-py3-none-any.whl"]
    (file,) = _files(site)
    assert file["url"] == "../../old/ops-1.0%2Bcu13.0-py3-none-any.whl"
    metadata = site / "old" / f"{wheel.name}.metadata"
    assert file["core-metadata"] == {"sha256": _digest(metadata)}
    assert [path.name for path in dist.rglob("*.whl*")] in (
        ["bad-1.0-py3-none-any.whl", wheel.name],
        [wheel.name, "bad-1.0-py3-none-any.whl"],
    )
    assert _written(Bucket(dist.as_uri(), context), site).read == 0
    small_wheel(dist, version="2.0")
    assert _written(Bucket(dist.as_uri(), context), site).read == 1


def test_the_command_takes_each_kind(dist: Path, tmp_path: Path) -> None:
    wheel = small_wheel(dist)
    (tmp_path / "releases").write_text(f"dist/{wheel.name}\n")
    invoke = CliRunner().invoke
    assert invoke(main, ["index", str(tmp_path / "releases"), "-o", str(tmp_path)]).exit_code == 0
    assert invoke(main, ["index", dist.as_uri(), "-o", str(tmp_path / "site")]).exit_code == 0
    assert "expected --out" in invoke(main, ["index", dist.as_uri()]).output
    assert "does not exist" in invoke(main, ["index", str(tmp_path / "nowhere"), "-o", str(tmp_path)]).output
    assert invoke(main, ["index", "nosuch://x/y", "-o", str(tmp_path / "b")]).exit_code == 6
    assert "two ways" in invoke(main, ["index", str(dist), "--copy", "--link"]).output
    assert "gives no reason" in invoke(main, ["index", str(dist), "--yank", "ops==1.0"]).output
