"""An index that is careful: with files of others, with what it has promised, and with what it puts on public pages."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from package_index import Log
from small_wheels import TIME, small_wheel
from written_index import written

from gpuwheel._cache import Cache
from gpuwheel.cli import main
from gpuwheel.errors import ConfigError, GpuwheelError
from gpuwheel.index.context import Context
from gpuwheel.publish.pages import Keep
from gpuwheel.publish.pages.bucket_files import Bucket
from gpuwheel.publish.pages.release_list import ReleaseList
from gpuwheel.publish.pages.serving import is_own_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _page(index: Path, project: str = "ops") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((index / "simple" / project / "index.json").read_bytes())["files"]
    return found


def _verified(folder: Path) -> dict[str, str]:
    result = CliRunner().invoke(main, ["index", str(folder), "--verify", "--json"])
    return {one["path"]: one["problem"] for one in json.loads(result.stdout)["differences"]}


def test_folders_of_others_that_look_like_those_of_copies_stay(dist: Path) -> None:
    theirs = dist / "files" / "0123456789abcdef"
    theirs.mkdir(parents=True)
    (theirs / "mine.txt").write_text("x")
    (theirs / "mine-1.0-py3-none-any.whl.metadata").write_text("x")
    wheel = small_wheel(theirs, "mine")
    for version in ("1.0", "2.0", "3.0"):
        small_wheel(dist, version=version)
        written(dist)
    assert sorted(path.name for path in theirs.iterdir()) == [
        "mine-1.0-py3-none-any.whl",
        f"{wheel.name}.metadata",
        "mine.txt",
    ]


def test_pages_that_no_run_stands_for_are_found_by_verify(dist: Path) -> None:
    small_wheel(dist)
    other = small_wheel(dist, "other")
    written(dist)
    page = (dist / "simple" / "other" / "index.html").read_bytes()
    other.unlink()
    written(dist)
    assert _verified(dist) == {}
    (dist / "simple" / "other").mkdir()
    (dist / "simple" / "other" / "index.html").write_bytes(page)
    assert "no wheel" in _verified(dist)["simple/other/index.html"]


def test_pages_go_though_what_was_kept_is_damaged(dist: Path) -> None:
    small_wheel(dist)
    other = small_wheel(dist, "other")
    written(dist)
    other.unlink()
    (dist / ".gpuwheel" / "index.json").write_text("x")
    written(dist)
    assert not (dist / "simple" / "other").exists()
    assert _verified(dist) == {}


def test_the_same_file_at_another_url_is_asked_for_its_metadata_again(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = small_wheel(dist)
    written(dist)
    digest, served = hashlib.sha256(wheel.read_bytes()).hexdigest(), dist / f"{wheel.name}.metadata"
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "PIP_RETRIES": "0"}
    source = ReleaseList(tmp_path / "list", Context(Cache(tmp_path / "cache"), environ, Log()))
    has_metadata = True

    @contextmanager
    def local(_offered: object) -> Iterator[Path]:
        yield wheel

    monkeypatch.setattr(source, "local", local)  # the network; what is asked of it is what is told apart
    monkeypatch.setattr(source, "metadata", lambda _: served.read_bytes() if has_metadata else None)
    (tmp_path / "list").write_text(f"https://a.example/{wheel.name}#sha256={digest}\n")
    written(dist, index=tmp_path / "site", sources=[source])
    assert "core-metadata" in _page(tmp_path / "site")[0]
    has_metadata = False
    (tmp_path / "list").write_text(f"https://b.example/{wheel.name}#sha256={digest}\n")
    written(dist, index=tmp_path / "site", sources=[source])
    assert "core-metadata" not in _page(tmp_path / "site")[0]


def test_another_gpuwheel_keeps_the_times_of_upload_and_warns_of_replaced_files(dist: Path) -> None:
    wheel = small_wheel(dist)
    small_wheel(dist, "other")
    written(dist)
    (before,) = _page(dist)
    state = dist / ".gpuwheel" / "index.json"
    state.write_text(json.dumps(json.loads(state.read_bytes()) | {"read_by": "another"}))
    os.utime(wheel, (TIME + 5000, TIME + 5000))
    small_wheel(dist, "other", fields="Summary: another\n")
    log = Log()
    assert written(dist, log).read == 2
    assert _page(dist) == [before]
    assert any("another file than was listed" in line for line in log.lines)


def test_fresh_keeps_the_times_of_upload_when_it_is_cut_off(dist: Path) -> None:
    wheel = small_wheel(dist)
    written(dist)
    (before,) = _page(dist)
    os.utime(wheel, (TIME + 5000, TIME + 5000))
    with pytest.raises(ConfigError):
        written(dist, fresh=True, yanks={"nowhere==1": "x"})
    written(dist)
    assert _page(dist) == [before]


def test_the_last_wheel_may_go(dist: Path) -> None:
    wheel = small_wheel(dist)
    written(dist)
    wheel.unlink()
    written(dist)
    assert _verified(dist) == {}


def test_a_version_without_a_local_part_is_all_of_that_version(dist: Path) -> None:
    for version in ("1.0", "1.0+cu12.9", "1.0+cu13.0", "1.0.post1"):
        small_wheel(dist, version=version)
    assert written(dist, yanks={"ops==1.0": "crashes"}).yanked == 3
    assert written(dist, unyanks=["ops==1.0+cu12.9"]).yanked == 2
    assert written(dist, unyanks=["ops==1.0"]).yanked == 0
    (dist / "ops-1.0-py3-none-any.whl").unlink()
    assert written(dist, yanks={"ops==1": "crashes"}).yanked == 2


def test_what_a_file_beside_a_wheel_yanks_is_not_taken_back_in_silence(dist: Path) -> None:
    wheel = small_wheel(dist)
    (dist / f"{wheel.name}.yanked").write_text("crashes")
    written(dist, yanks={"ops==1.0": "burns"})
    with pytest.raises(ConfigError, match=f"{wheel.name}.yanked"):
        written(dist, unyanks=["ops==1.0"])
    assert json.loads((dist / "yanked.json").read_bytes()) == {wheel.name: "burns"}


@pytest.mark.parametrize(
    "url", ["https://me:secret@example.com/w", "https://token@example.com/w", "https://:80/w", "https://[/w"]
)
def test_base_urls_with_secrets_and_without_hosts(url: str, dist: Path) -> None:
    small_wheel(dist)
    with pytest.raises(ConfigError, match="--base-url") as caught:
        written(dist, base_url=url)
    assert "secret" not in str(caught.value)
    assert not (dist / "simple").exists()


def test_urls_with_secrets_come_on_no_page(dist: Path, tmp_path: Path) -> None:
    wheel = small_wheel(dist)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    url = f"https://me:secret@127.0.0.1:1/{wheel.name}"
    source = ReleaseList(tmp_path / "list", Context(Cache(tmp_path / "cache"), {"HOME": str(tmp_path)}, Log()))
    hashes = {"sha256": digest}
    clean = {"url": f"https://127.0.0.1:1/{wheel.name}", "hashes": hashes, "provenance": f"{url}.provenance"}
    for row in ({"url": url, "hashes": hashes}, clean):
        (tmp_path / "list").write_text(json.dumps([row]))
        with pytest.raises(ConfigError, match="credentials") as caught:
            written(dist, index=tmp_path / "site", sources=[source])
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["ops%00-1.0-py3-none-any.whl", "a%00b/ops-1.0-py3-none-any.whl", "file:///a%00/ops-1.0-py3-none-any.whl"]
)
def test_lists_with_what_no_path_has(line: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{line}\n")
    source = ReleaseList(tmp_path / "list", Context(Cache(tmp_path / "cache"), {"HOME": str(tmp_path)}, Log()))
    with pytest.raises(GpuwheelError):
        list(source.offered())


def test_hidden_files_are_passed_over(dist: Path) -> None:
    wheel = small_wheel(dist)
    (dist / f"._{wheel.name}").write_bytes(b"\0\5\x16\7 of macOS")
    assert written(dist).left_out == ()


@pytest.mark.parametrize("place", ["simple/ops", "choose/ops", "cu12.9/simple", "torch2.13/cu12.9/simple/ops"])
def test_pages_of_others_are_not_overwritten(place: str, dist: Path) -> None:
    for cuda in ("12.9", "13.0"):
        small_wheel(dist, version=f"1.0+cu{cuda}", cuda=cuda, fields="Requires-Dist: torch==2.13.*\n")
    small_wheel(dist, version="1.0+old", fields="Requires-Dist: torch==2.12.*\n")
    theirs = dist / place / "index.html"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    with pytest.raises(ConfigError, match="of another program"):
        written(dist)
    assert not (dist / "simple" / "index.html").exists()
    assert theirs.read_text() == "mine"


def test_an_index_whose_base_url_is_forgotten_says_so_and_verifies(dist: Path) -> None:
    small_wheel(dist)
    written(dist, base_url="https://example.com/w")
    assert _verified(dist) == {}
    log = Log()
    written(dist, log)
    assert any("https://example.com/w" in line for line in log.lines)
    assert _page(dist)[0]["url"] == "../../ops-1.0-py3-none-any.whl"
    log = Log()
    written(dist, log)
    assert log.lines == []


def test_wheels_of_a_bucket_in_a_folder_called_files_are_listed(dist: Path, tmp_path: Path) -> None:
    for folder in ("files/theirs", "files/0123456789abcdef"):
        (dist / folder).mkdir(parents=True)
        small_wheel(dist / folder, "a" if "theirs" in folder else "b")
    bucket = Bucket(dist.as_uri(), Context(Cache(tmp_path / "cache"), {"HOME": str(tmp_path)}, Log()))
    assert [one.within for one in bucket.offered()] == ["files/theirs/a-1.0-py3-none-any.whl"]


def test_a_file_of_another_in_the_place_of_metadata_is_told(dist: Path) -> None:
    wheel = small_wheel(dist)
    (dist / f"{wheel.name}.metadata").write_text("mine")
    log = Log()
    written(dist, log)
    assert any(f"{wheel.name}.metadata" in line and "not METADATA" in line for line in log.lines)
    small_wheel(dist, fields="Summary: another\n")
    log = Log()
    written(dist, log)
    assert not any("not METADATA" in line for line in log.lines)  # this one was written here


def test_folders_behind_links_are_told(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    small_wheel(tmp_path / "elsewhere")
    (dist / "linked").symlink_to("../elsewhere")
    small_wheel(dist, "here")
    done = CliRunner().invoke(main, ["index", str(dist)])
    assert "linked" in done.stderr
    assert done.exit_code == 0


def test_the_port_of_the_web_needs_no_name() -> None:
    assert all(map(is_own_host, ["127.0.0.1", "localhost", "127.0.0.1:8000", "localhost:80"]))
    assert not any(map(is_own_host, ["", "example.com", "example.com:80", "127.0.0.1.example.com", "x@127.0.0.1"]))


def test_links_keep_the_bytes_of_what_they_lead_to(dist: Path, tmp_path: Path) -> None:
    wheel = small_wheel(tmp_path)
    (dist / wheel.name).symlink_to(wheel)
    written(dist, index=tmp_path / "site", keep=Keep.LINK)
    (file,) = _page(tmp_path / "site")
    copy = tmp_path / "site" / "simple" / "ops" / file["url"]
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == file["hashes"]["sha256"]
