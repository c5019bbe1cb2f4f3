"""A static index: what its pages say, what is read again, what is left out, and what stays when it is written anew."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from hostile import RawMember, deflated, raw_zip
from package_index import Log
from small_wheels import TIME, small_wheel
from written_index import written

from gpuwheel._cache.folders import locked
from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.errors import ConfigError
from gpuwheel.index.pages import html_links, json_links
from gpuwheel.publish.pages import Keep
from gpuwheel.publish.pages.recorded_files import recorded
from gpuwheel.publish.published import PublishedWheel
from gpuwheel.publish.wheel_facts import ChangedFileError


def _page(index: Path, project: str = "ops", root: str = "simple") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((index / root / project / "index.json").read_bytes())
    return found


def _names(index: Path, project: str = "ops", root: str = "simple") -> list[str]:
    return [file["filename"] for file in _page(index, project, root)["files"]]


def _content(index: Path) -> dict[str, bytes]:
    files = (path for path in index.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(index).as_posix(): path.read_bytes() for path in files}


def _sdist(folder: Path, name: str = "ops", version: str = "1.0", *, info: str | None = None) -> Path:
    path = folder / f"{name}-{version}.tar.gz"
    text = info or f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\nRequires-Python: >=3.10\n"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_page_of_a_project_says_what_installers_ask(dist: Path) -> None:
    wheel = small_wheel(dist, version="1.0+cu13.0", fields="Requires-Python: >=3.10\n")
    _sdist(dist)
    written(dist)
    page = _page(dist)
    assert page["meta"] == {"api-version": "1.3"}
    assert page["name"] == "ops"
    assert page["versions"] == ["1.0", "1.0+cu13.0"]
    sdist, found = page["files"]
    metadata = (dist / f"{wheel.name}.metadata").read_bytes()
    assert b"Requires-Python: >=3.10" in metadata
    digest = {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert found == {
        "filename": "ops-1.0+cu13.0-py3-none-any.whl",
        "url": "../../ops-1.0%2Bcu13.0-py3-none-any.whl",
        "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
        "size": wheel.stat().st_size,
        "upload-time": "2026-09-21T14:13:20Z",
        "yanked": False,
        "requires-python": ">=3.10",
        "core-metadata": digest,
        "dist-info-metadata": digest,
    }
    assert (sdist["filename"], sdist["requires-python"]) == ("ops-1.0.tar.gz", ">=3.10")
    assert "core-metadata" not in sdist


def test_html_and_json_lead_to_the_same_files(dist: Path) -> None:
    small_wheel(dist, version="1.0+cu13.0", fields="Requires-Python: >=3.10,<4\n")
    small_wheel(dist, version="2.0")
    written(dist, yanks={"ops==2.0": 'crashes, "always" <b>'})
    base = "https://example.com/simple/ops/"
    html = (dist / "simple" / "ops" / "index.html").read_bytes()
    assert html_links(html, base) == json_links((dist / "simple" / "ops" / "index.json").read_bytes(), base)
    assert b'data-requires-python="&gt;=3.10,&lt;4"' in html
    assert b'data-yanked="crashes, &quot;always&quot; &lt;b&gt;"' in html
    assert html.count(b"data-core-metadata=") == html.count(b"data-dist-info-metadata=") == 2
    root = (dist / "simple" / "index.html").read_text(encoding="utf-8")
    assert '<a href="ops/">ops</a>' in root
    assert json.loads((dist / "simple" / "index.json").read_bytes())["projects"] == [{"name": "ops"}]


def test_facts_of_all_wheels_lie_beside_the_page(dist: Path) -> None:
    small_wheel(dist, cuda="13.0", tag="py3-none-manylinux_2_28_x86_64")
    _sdist(dist)
    written(dist)
    (row,) = json.loads((dist / "simple" / "ops" / "wheels.json").read_bytes())
    found = PublishedWheel.from_json(row)
    assert (found.facts.cuda, found.facts.driver, found.yanked) == ("13.0", "580", False)
    assert (dist / "simple" / "ops" / found.url).resolve() == (dist / found.facts.filename).resolve()
    assert found.indexes == ("../../simple/",)


def test_people_meet_a_page_of_all_projects(dist: Path) -> None:
    small_wheel(dist, version="1.0+cu13.0", fields="Summary: <b>fast</b>\n")
    small_wheel(dist, version="2.0", fields="Summary: broken\n")
    written(dist, yanks={"ops==2.0": "crashes"})
    page = (dist / "index.html").read_text(encoding="utf-8")
    assert '<a href="choose/ops/index.html">ops</a></th><td>1.0</td><td class="count">2</td>' in page
    assert "&lt;b&gt;fast&lt;/b&gt;" in page
    assert '<a href="simple/">' in page
    assert (dist / "choose" / "ops" / "index.html").is_file()


def test_a_page_of_somebody_else_stays(dist: Path) -> None:
    small_wheel(dist)
    (dist / "index.html").write_text("mine")
    log = Log()
    for _ in range(2):
        written(dist, log)
    assert (dist / "index.html").read_text() == "mine"
    assert len([line for line in log.lines if "stays as it is" in line]) == 2


def test_only_what_is_new_is_read_and_only_its_pages_are_written(dist: Path) -> None:
    for name in ("one", "two"):
        small_wheel(dist, name)
    assert written(dist).read == 2
    before = _content(dist)
    assert (written(dist).read, _content(dist)) == (0, before)
    small_wheel(dist, "two", "2.0")
    summary = written(dist)
    assert summary.read == 1
    of_two = [f"simple/two/{name}" for name in ("index.html", "index.json", "wheels.json")]
    assert sorted(summary.changed) == ["choose/two/index.html", "index.html", *of_two]
    assert _names(dist, "two") == ["two-1.0-py3-none-any.whl", "two-2.0-py3-none-any.whl"]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    pages = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        order = ["1.0", "2.0", "10.0"] if folder.name == "a" else ["10.0", "1.0", "2.0"]
        for version in order:
            small_wheel(folder, version=version)
        written(folder)
        pages.append({name: data for name, data in _content(folder).items() if name.startswith("simple/")})
    assert pages[0] == pages[1]
    assert _page(tmp_path / "a")["versions"] == ["1.0", "2.0", "10.0"]


def test_a_file_that_is_touched_keeps_its_time_of_upload(dist: Path) -> None:
    wheel = small_wheel(dist)
    written(dist)
    before = _content(dist / "simple")
    os.utime(wheel, (TIME + 1000, TIME + 1000))
    assert written(dist).read == 1
    assert _content(dist / "simple") == before


def test_another_file_under_one_name_is_told(dist: Path) -> None:
    small_wheel(dist)
    written(dist)
    small_wheel(dist, fields="Summary: another\n")
    log = Log()
    written(dist, log)
    assert any("another file than was listed under this name" in line for line in log.lines)
    metadata = (dist / "ops-1.0-py3-none-any.whl.metadata").read_bytes()
    assert _page(dist)["files"][0]["core-metadata"]["sha256"] == hashlib.sha256(metadata).hexdigest()


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b'{"schema":1,"files":{"x":1},"written":{},"retired":[]}', b"\xff"]
)
def test_what_was_kept_may_be_damaged(damage: bytes, dist: Path) -> None:
    small_wheel(dist)
    written(dist)
    before = _content(dist)
    (dist / ".gpuwheel" / "index.json").write_bytes(damage)
    log = Log()
    assert written(dist, log).read == 1
    assert "cannot be read" in log.lines[0]
    assert _content(dist) == before


def test_without_what_was_kept_old_pages_go_too(dist: Path) -> None:
    wheels = [small_wheel(dist, version=f"1.0+cu{cuda}", cuda=cuda) for cuda in ("12.9", "13.0")]
    gone = small_wheel(dist, "gone")
    own = dist / "other" / "simple" / "mine"
    own.mkdir(parents=True)
    (own / "index.html").write_text("mine")
    written(dist)
    gone.unlink()
    wheels[0].unlink()
    (dist / ".gpuwheel" / "index.json").unlink()
    written(dist)
    assert [path.name for path in (dist / "simple").iterdir() if path.is_dir()] == ["ops"]
    assert [path.name for path in (dist / "choose").iterdir()] == ["ops"]
    assert not (dist / "cu12.9").exists()
    assert (own / "index.html").exists()


def test_metadata_that_was_deleted_is_written_again(dist: Path) -> None:
    wheel = small_wheel(dist)
    written(dist)
    metadata = wheel.with_name(f"{wheel.name}.metadata")
    metadata.unlink()
    assert written(dist).read == 1
    assert metadata.is_file()


def test_what_belongs_to_a_wheel_goes_with_it(dist: Path) -> None:
    small_wheel(dist, "one").unlink()
    wheel = small_wheel(dist, "one")
    small_wheel(dist, "two")
    written(dist)
    wheel.unlink()
    summary = written(dist)
    assert f"{wheel.name}.metadata" in summary.removed
    assert not (dist / "simple" / "one").exists()
    assert not (dist / "choose" / "one").exists()
    assert [path.name for path in (dist / "choose").iterdir()] == ["two"]
    assert sorted(path.name for path in dist.iterdir()) == [
        ".gpuwheel",
        "choose",
        "index.html",
        "simple",
        "two-1.0-py3-none-any.whl",
        "two-1.0-py3-none-any.whl.metadata",
    ]


def test_nothing_outside_of_the_index_is_removed(dist: Path, tmp_path: Path) -> None:
    small_wheel(dist)
    written(dist)
    victim = tmp_path / "victim"
    victim.write_bytes(b"x")
    state = dist / ".gpuwheel" / "index.json"
    document = json.loads(state.read_bytes())
    document["written"]["../victim"] = document["written"]["simple/../../victim"] = "0" * 64
    document["retired"] = ["../victim"]
    state.write_text(json.dumps(document))
    written(dist)
    assert victim.exists()


def test_what_somebody_else_put_into_the_folder_stays(dist: Path) -> None:
    small_wheel(dist)
    theirs = [
        "files/photos/a.jpg",
        "files/0123456789abcdef0/ops.txt",
        "other/simple/mine/index.html",
        "simple/mine/index.html",
        "choose/mine/index.html",
        ".ops-2.0-py3-none-any.whl.0123456789abcdef.part",  # somebody is building it
        "notes.txt",
    ]
    for name in theirs:
        (dist / name).parent.mkdir(parents=True, exist_ok=True)
        (dist / name).write_text("mine")
    (dist / "files" / "wheels").mkdir()
    small_wheel(dist / "files" / "wheels", "theirs")
    for _ in range(3):
        written(dist)
        (dist / ".gpuwheel" / "index.unfinished").touch()
    state = dist / ".gpuwheel" / "index.json"
    document = json.loads(state.read_bytes())
    document["written"] |= dict.fromkeys([*theirs, "ops-1.0-py3-none-any.whl"], "0" * 64)
    document["retired"] = [*theirs, "ops-1.0-py3-none-any.whl"]
    state.write_text(json.dumps(document))
    written(dist)
    kept = [name for name in theirs if (dist / name).exists()]
    # Of pages that the state names as written here there is no telling.
    assert set(theirs) - set(kept) <= {name for name in theirs if name.endswith("index.html")}
    assert (dist / "ops-1.0-py3-none-any.whl").exists()
    assert _names(dist, "theirs") == ["theirs-1.0-py3-none-any.whl"]


def test_the_index_of_another_program_is_not_overwritten(dist: Path) -> None:
    small_wheel(dist)
    (dist / "simple" / "theirs").mkdir(parents=True)
    (dist / "simple" / "index.html").write_text('<a href="theirs/">theirs</a>')
    with pytest.raises(ConfigError, match="of another program"):
        written(dist)
    assert (dist / "simple" / "index.html").read_text() == '<a href="theirs/">theirs</a>'


def test_yanks_stay_until_they_are_taken_back(dist: Path) -> None:
    small_wheel(dist)
    small_wheel(dist, version="2.0")
    assert written(dist, yanks={"ops==1": "crashes"}).yanked == 1
    assert [file["yanked"] for file in _page(dist)["files"]] == ["crashes", False]
    written(dist)
    assert [file["yanked"] for file in _page(dist)["files"]] == ["crashes", False]
    written(dist, unyanks=["ops-1.0-py3-none-any.whl"])
    assert [file["yanked"] for file in _page(dist)["files"]] == [False, False]
    with pytest.raises(ConfigError, match="not in this index"):
        written(dist, yanks={"ops==3.0": "x"})


def test_a_file_beside_a_wheel_yanks_it(dist: Path) -> None:
    wheel = small_wheel(dist)
    written(dist)
    wheel.with_name(f"{wheel.name}.yanked").write_text("it\n\x1b[31mcrashes\n")
    assert written(dist).read == 0
    assert _page(dist)["files"][0]["yanked"] == "it [31mcrashes"
    wheel.with_name(f"{wheel.name}.yanked").write_text("")
    written(dist)
    assert _page(dist)["files"][0]["yanked"] is True
    assert 'data-yanked=""' in (dist / "simple" / "ops" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("keep", [Keep.COPY, Keep.LINK])
def test_files_may_be_put_into_the_index(keep: Keep, dist: Path, tmp_path: Path) -> None:
    wheel, index = small_wheel(dist), tmp_path / "site"
    written(dist, index=index, keep=keep)
    (file,) = _page(index)["files"]
    copied = index / "simple" / "ops" / file["url"]
    assert copied.read_bytes() == wheel.read_bytes()
    assert copied.with_name(f"{wheel.name}.metadata").is_file()
    assert (copied.stat().st_ino == wheel.stat().st_ino) == (keep is Keep.LINK)
    assert [path.name for path in dist.iterdir()] == [wheel.name]
    assert written(dist, index=index, keep=keep).read == 0
    # Who holds an old page still finds the old file, until the run after the next.
    wheel.unlink()
    small_wheel(dist, fields="Summary: another\n")
    written(dist, index=index, keep=keep)
    assert copied.exists()
    assert _page(index)["files"][0]["url"] != file["url"]
    written(dist, index=index, keep=keep)
    assert not copied.parent.exists()


def test_files_where_no_page_can_name_them_are_refused(dist: Path, tmp_path: Path) -> None:
    small_wheel(dist)
    with pytest.raises(ConfigError, match="not below the index"):
        written(dist, index=tmp_path / "site")
    written(dist, index=tmp_path / "site", base_url="https://example.com/wheels")
    (file,) = _page(tmp_path / "site")["files"]
    assert file["url"] == "https://example.com/wheels/ops-1.0-py3-none-any.whl"
    assert "provenance" not in file


def test_attestations_beside_a_wheel_are_named_by_a_url_of_a_secure_origin(dist: Path) -> None:
    wheel = small_wheel(dist)
    wheel.with_name(f"{wheel.name}.provenance").write_text("{}")
    written(dist, base_url="http://example.com/wheels")
    assert "provenance" not in _page(dist)["files"][0]
    written(dist, base_url="https://example.com/wheels/")
    assert _page(dist)["files"][0]["provenance"] == f"https://example.com/wheels/{wheel.name}.provenance"


def test_a_dry_run_writes_nothing(dist: Path) -> None:
    wheel = small_wheel(dist)
    summary = written(dist, dry_run=True)
    assert (summary.files, summary.read, len(summary.changed)) == (1, 1, 7)
    assert [path.name for path in dist.iterdir()] == [wheel.name]


def test_a_second_writer_waits(dist: Path) -> None:
    small_wheel(dist)
    written(dist)
    log, done = Log(), threading.Event()

    def second() -> None:
        written(dist, log)
        done.set()

    with locked(dist / ".gpuwheel" / "index.lock", dist, None):
        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(1.5)
        assert any("another gpuwheel writes" in line for line in log.lines)
    thread.join(20)
    assert done.is_set()


def test_what_was_read_is_kept_when_the_rest_goes_wrong(dist: Path) -> None:
    small_wheel(dist)
    with pytest.raises(ConfigError):
        written(dist, yanks={"nowhere==1": "x"})
    assert written(dist).read == 0


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/wheels", 'https://x/"', "https://x/?a=b", "https://x/ y", ""])
def test_base_urls_that_are_none(url: str, dist: Path) -> None:
    small_wheel(dist)
    with pytest.raises(ConfigError, match="is no URL"):
        written(dist, base_url=url)


def test_folders_may_have_any_name(dist: Path) -> None:
    folder = os.fsencode(dist) + b"/a #?%&<b>\xff"
    os.mkdir(folder)  # noqa: PTH102 (of bytes)
    wheel = small_wheel(Path(os.fsdecode(folder)), version="1.0+cu13.0")
    written(dist)
    (file,) = _page(dist)["files"]
    assert file["url"] == "../../a%20%23%3F%25%26%3Cb%3E%FF/ops-1.0%2Bcu13.0-py3-none-any.whl"
    assert PublishedWheel.from_json(json.loads((dist / "simple/ops/wheels.json").read_bytes())[0]).url == file["url"]
    assert wheel.with_name(f"{wheel.name}.metadata").is_file()


def test_a_link_to_a_wheel_is_linked_to_where_it_leads(dist: Path, tmp_path: Path) -> None:
    wheel = small_wheel(tmp_path)
    (dist / wheel.name).symlink_to(f"../{wheel.name}")
    written(dist, index=tmp_path / "site", keep=Keep.LINK)
    (file,) = _page(tmp_path / "site")["files"]
    copied = tmp_path / "site" / "simple" / "ops" / file["url"]
    assert not copied.is_symlink()
    assert copied.samefile(wheel)


def test_folders_in_the_folder_are_looked_into_and_hidden_ones_are_not(dist: Path) -> None:
    for place, version in (("cu13", "1.0"), (".tmp", "2.0"), ("simple", "3.0")):
        (dist / place).mkdir()
        small_wheel(dist / place, version=version)
    written(dist)
    assert [file["url"] for file in _page(dist)["files"]] == ["../../cu13/ops-1.0-py3-none-any.whl"]


def test_two_files_for_the_same_are_not_both_listed(dist: Path) -> None:
    small_wheel(dist, "my-ops")
    wheel = small_wheel(dist, "My-Ops")
    assert wheel.name == "My_Ops-1.0-py3-none-any.whl"
    summary = written(dist)
    assert [left.filename for left in summary.left_out] == ["my_ops-1.0-py3-none-any.whl"]
    assert _names(dist, "my-ops") == ["My_Ops-1.0-py3-none-any.whl"]


HOSTILE = {
    "ops-1.0-1<script>-py3-none-any.whl": None,
    'ops-1.0-py3-none-any" onclick="x.whl': None,
    "..-1.0-py3-none-any.whl": None,
    "ops-1.0-py3-none-any\n.whl": None,
    "notazip-1.0-py3-none-any.whl": b"x" * 100,
    "notatar-1.0.tar.gz": b"x" * 100,
    "ops-1.0<b>.tar.gz": b"",
    "ops- 1.0\n.tar.gz": b"",
    "ops-2.0-variants.json": b"[[",
}


def test_hostile_files_are_left_out_and_the_others_listed(dist: Path) -> None:
    good = small_wheel(dist, "good")
    template = small_wheel(dist, version="1.0")
    for name, data in HOSTILE.items():
        (dist / name).write_bytes(template.read_bytes() if data is None else data)
    template.unlink()
    small_wheel(dist, "evil", fields="Requires-Python: <script>\n")
    _sdist(dist, "bad", info="Name: other\nVersion: 1.0\n")
    os.mkfifo(dist / "pipe-1.0-py3-none-any.whl")
    result = CliRunner().invoke(main, ["index", str(dist), "--json"])
    assert result.exit_code == 9
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "index.schema.json").read_text(encoding="utf-8")))
    left_out = {left["filename"] for left in document["left_out"]}
    visible = {name for name in HOSTILE if not name.startswith(".")}
    assert left_out == {*visible, "evil-1.0-py3-none-any.whl", "bad-1.0.tar.gz", "pipe-1.0-py3-none-any.whl"}
    assert json.loads((dist / "simple" / "index.json").read_bytes())["projects"] == [{"name": "good"}]
    assert _names(dist, "good") == [good.name]
    pages = b"".join(data for name, data in _content(dist).items() if name.startswith("simple/"))
    assert b"script" not in pages
    assert b"onclick" not in pages


def test_a_file_that_this_user_may_not_read_is_left_out(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_wheel(dist)
    secret, is_open = small_wheel(dist, "secret"), Path.open

    def refused(path: Path, *words: Any, **further: Any) -> Any:  # noqa: ANN401 (as the standard library has it)
        if path == secret:  # root, who runs tests in containers, may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return is_open(path, *words, **further)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        (left,) = written(dist).left_out
    assert (left.filename, "Permission denied" in left.problem) == (secret.name, True)
    assert written(dist).left_out == ()


def _evil_archive(*evil: RawMember) -> bytes:
    """A wheel that is honest but for some members."""
    info = "evil-1.0.dist-info"
    texts = {"METADATA": b"Metadata-Version: 2.2\nName: evil\nVersion: 1.0\n", "WHEEL": b"Tag: py3-none-any\n"}
    return raw_zip([*(deflated(f"{info}/{name}", data) for name, data in texts.items()), *evil])


@pytest.mark.parametrize(
    "evil",
    [
        [RawMember(b"../../../simple/good/index.html", b"x")],
        [RawMember(b"/etc/passwd", b"x")],
        [RawMember(b"a\\..\\b", b"x")],
        [RawMember(b"a", b"x"), RawMember(b"a", b"y")],
        [RawMember(b"other-1.0.dist-info/METADATA", b"x")],
        [deflated("zeros", bytes(80_000_000))],
        [RawMember(b"evil-1.0.dist-info/RECORD", b"x", size=17_000_000)],
    ],
    ids=["above", "absolute", "backslash", "twice", "two of them", "bomb", "long"],
)
def test_evil_archives_are_left_out_and_write_nowhere(evil: list[RawMember], dist: Path, tmp_path: Path) -> None:
    small_wheel(dist, "good")
    (dist / "evil-1.0-py3-none-any.whl").write_bytes(_evil_archive())
    assert written(dist, index=tmp_path / "honest", keep=Keep.COPY).left_out == ()
    (dist / "evil-1.0-py3-none-any.whl").write_bytes(_evil_archive(*evil))
    (left,) = written(dist, index=tmp_path / "site", keep=Keep.COPY).left_out
    assert left.filename == "evil-1.0-py3-none-any.whl"
    assert [path.name for path in (tmp_path / "site" / "simple").iterdir() if path.is_dir()] == ["good"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dist", "honest", "site"]


@pytest.mark.parametrize("keep", [Keep.COPY, Keep.LINK])
def test_a_wheel_that_changes_between_reading_and_copying_is_left_out(
    keep: Keep, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_replaced(path: Path, *words: Any) -> Any:  # noqa: ANN401 (what it stands for gives)
        found = recorded(path, *words)
        small_wheel(dist, fields="Summary: another\n")
        return found

    small_wheel(dist)
    with monkeypatch.context() as patch:
        patch.setattr("gpuwheel.publish.pages.indexing.recorded", read_and_replaced)
        (left,) = written(dist, index=tmp_path / "site", keep=keep).left_out
    assert "changed while it was copied" in left.problem
    assert [path for path in (tmp_path / "site" / "files").rglob("*") if path.is_file()] == []
    assert written(dist, index=tmp_path / "site", keep=keep).left_out == ()


def test_a_wheel_that_changed_while_it_was_read_is_read_by_the_next_run(
    dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = small_wheel(dist)

    def linked(path: Path, *words: Any) -> Any:  # noqa: ANN401 (what it stands for gives)
        del words
        (dist / "another-name").hardlink_to(path)  # which moves no time of modification
        raise ChangedFileError(path.name, "read")

    with monkeypatch.context() as patch:
        patch.setattr("gpuwheel.publish.pages.indexing.recorded", linked)
        assert [left.filename for left in written(dist).left_out] == [wheel.name]
    summary = written(dist)
    assert (summary.read, summary.left_out) == (1, ())


def test_evil_text_of_a_wheel_that_is_listed_is_escaped(dist: Path) -> None:
    evil = "</script><script>alert(1)</script><!-- &amp;"
    small_wheel(dist, fields=f"Summary: {evil}\n")
    written(dist, yanks={"ops==1.0": evil})
    for name, data in _content(dist / "simple").items():
        assert b"<script>" not in data, name
        assert b"</script" not in data, name
    (row,) = json.loads((dist / "simple" / "ops" / "wheels.json").read_bytes())
    assert row["summary"] == evil
    assert row["yanked"] == evil


def test_what_tells_variants_apart_is_listed_with_them(dist: Path) -> None:
    plain = small_wheel(dist)
    plain.rename(dist / "ops-1.0-py3-none-any-cu130.whl")
    small_wheel(dist)
    (dist / "ops-1.0-variants.json").write_text("{}")
    written(dist)
    assert _names(dist) == ["ops-1.0-py3-none-any-cu130.whl", "ops-1.0-py3-none-any.whl", "ops-1.0-variants.json"]
    assert _page(dist)["versions"] == ["1.0"]
