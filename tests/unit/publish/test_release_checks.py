"""What stands against a release, each rule shown on files that break it alone, and on right ones."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from made_wheels import made

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import AuditError, PublishError
from gpuwheel.model.findings import Severity
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.upload.destinations import Destination, Kind, destination_of
from gpuwheel.publish.upload.release import FileState, PublishRequest, check_release, send_release
from gpuwheel.publish.upload.release_checks import CHECKS, Release, findings_of
from gpuwheel.publish.upload.release_files import read_release_file, release_files_in
from gpuwheel.publish.upload.uploaders import check_pypirc
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PYPI = "pypi"
OWN = "https://wheels.example.com/upload/"
GIVEN_UP = "License :: OSI Approved :: Intel Open Source License"
HEAD = "Metadata-Version: 2.4\nName: ops\nVersion: 1\nRequires-Dist: torch>=2.10\n"


def _to(text: str) -> Destination:
    return destination_of(text, load_publishing())


def _wheel(folder: Path, **changes: Any) -> Path:  # noqa: ANN401
    wheel = made(**changes)
    path = folder / wheel.name
    write_wheel(path, wheel.members().values())
    return path


def _plain(folder: Path, name: str, metadata: str, members: dict[str, bytes] | None = None) -> Path:
    """A wheel without libraries."""
    stem = "-".join(name.split("-")[:2])
    files = {
        "ops/__init__.py": b"",
        f"{stem}.dist-info/METADATA": metadata.encode(),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {'-'.join(name[:-4].split('-')[2:5])}\n".encode(),
        **(members or {}),
    }
    write_wheel(folder / name, [Member(path, data) for path, data in files.items()])
    return folder / name


def _sdist(folder: Path, *, metadata: str = HEAD, name: str = "ops-1.tar.gz", root: str = "ops-1") -> Path:
    with tarfile.open(folder / name, "w:gz") as archive:
        info = tarfile.TarInfo(f"{root}/PKG-INFO")
        info.size = len(metadata)
        archive.addfile(info, io.BytesIO(metadata.encode()))
    return folder / name


def _rules(paths: list[Path], place: str, *tags: str) -> dict[str, Severity]:
    release = Release(tuple(map(read_release_file, paths)), _to(place), tags)
    return {finding.rule: finding.severity for finding in findings_of(release)}


def test_a_right_release_has_nothing_against_it(tmp_path: Path) -> None:
    assert _rules([_wheel(tmp_path), _sdist(tmp_path)], PYPI, "v1") == {}


def _named(name: str, metadata: str = HEAD, members: dict[str, bytes] | None = None) -> Callable[[Path], list[Path]]:
    return lambda folder: [_plain(folder, name, metadata, members)]


def _beside(name: str, metadata: str) -> Callable[[Path], list[Path]]:
    return lambda folder: [_wheel(folder), _plain(folder, name, metadata)]


def _streamed(folder: Path) -> list[Path]:
    """As `zip - > file` writes: sizes stand behind the members."""
    path = _plain(folder, "ops-1-py3-none-any.whl", HEAD)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.held = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:  # noqa: ANN401
            self.held += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(pipe.held)
    return [path]


def _followed(folder: Path) -> list[Path]:
    path = _plain(folder, "ops-1-py3-none-any.whl", HEAD)
    path.write_bytes(path.read_bytes() + b"more")
    return [path]


def _led(folder: Path) -> list[Path]:
    """Bytes ahead of the first member, as those of a self-extracting archive: readers skip them."""
    path = _plain(folder, "ops-1-py3-none-any.whl", HEAD)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    return [path]


def _twice(folder: Path) -> list[Path]:
    (folder / "more").mkdir()
    return [_sdist(folder), _sdist(folder / "more")]


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("project-name", _named("other-1-py3-none-any.whl")),
        ("project-name", lambda folder: [_sdist(folder, name="Ops-1.tar.gz", root="Ops-1")]),
        ("project-name", _beside("x-1-py3-none-any.whl", HEAD.replace("ops", "x"))),
        ("one-version", _named("ops-2-py3-none-any.whl")),
        ("one-version", _beside("ops-2-py3-none-any.whl", HEAD.replace(": 1", ": 2"))),
        ("one-version", _named("ops-1-py3-none-any.whl", HEAD.replace("Version: 1", "Version: one"))),
        ("local-version", _named("ops-1+cu13.0-py3-none-any.whl", HEAD.replace("Version: 1", "Version: 1+cu13.0"))),
        ("platform-refused", _named("ops-1-py3-none-linux_x86_64.whl")),
        ("variant-refused", _named("ops-1-py3-none-any-cu130.whl")),
        ("archive-form", _streamed),
        ("archive-form", _followed),
        ("archive-form", _led),
        ("core-metadata", _named("ops-1-py3-none-any.whl", HEAD.replace("2.4", "2.6"))),
        ("core-metadata", _named("ops-1-py3-none-any.whl", HEAD + "Requires-Python: three\n")),
        ("core-metadata", _named("ops-1-py3-none-any.whl", HEAD + "Surprise: 3\n")),
        ("license-files", _named("ops-1-py3-none-any.whl", HEAD + "License-File: LICENSE\n")),
        ("license-files", lambda folder: [_sdist(folder, metadata=HEAD + "License-File: LICENSE\n")]),
        ("direct-url", _named("ops-1-py3-none-any.whl", HEAD + "Requires-Dist: x @ https://example.com/x.whl\n")),
        ("private", _named("ops-1-py3-none-any.whl", HEAD + "Classifier: Private :: Do Not Upload\n")),
        ("classifiers", _named("ops-1-py3-none-any.whl", HEAD + "Classifier: Topic :: Cooking\n")),
        ("classifiers", _named("ops-1-py3-none-any.whl", HEAD + f"Classifier: {GIVEN_UP}\n")),
        ("same-name", _twice),
    ],
)  # fmt: skip
def test_what_pypi_would_refuse(rule: str, files: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    found = _rules(files(tmp_path), PYPI)
    assert found.get(rule) is Severity.ERROR
    assert set(found) - {rule} <= {"core-metadata", "one-version", "project-name"}


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("project-name", _named("Ops-1-py3-none-any.whl")),
        ("core-metadata", _named("ops-1-py3-none-any.whl", HEAD.replace("2.4", "2.1") + "License-File: LICENSE\n")),
    ],
)
def test_what_pypi_takes_still_is_a_warning(rule: str, files: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    assert _rules(files(tmp_path), PYPI) == {rule: Severity.WARNING}


def test_classifiers_of_pypi_are_taken_and_elsewhere_all_are(tmp_path: Path) -> None:
    known = _named("ops-1-py3-none-any.whl", HEAD + "Classifier: Environment :: GPU :: NVIDIA CUDA :: 12\n")(tmp_path)
    assert _rules(known, PYPI) == {}
    own = _named("ops-1-py3-none-any.whl", HEAD + "Classifier: Team :: Kernels\n")(tmp_path)
    assert _rules(own, OWN) == {}


def test_without_the_list_classifiers_are_not_compared_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = _named("ops-1-py3-none-any.whl", HEAD + "Classifier: Topic :: Cooking\n")(tmp_path)
    monkeypatch.setattr("gpuwheel.publish.upload.known_classifiers._PACKAGE", "trove_classifiers_of_nobody")
    pypi = Destination(PYPI, Kind.INDEX, refuses=load_publishing().refuses, upload=OWN)
    published = check_release(PublishRequest(unknown, pypi, {"PATH": ""}, ("v1",)), load_tables(), SilentReporter())
    assert "classifiers" not in {finding.rule for finding in published.findings}
    assert any("classifiers were not compared" in note for note in published.notes)


def test_a_license_file_where_it_belongs_is_found(tmp_path: Path) -> None:
    wheel = _plain(
        tmp_path, "ops-1-py3-none-any.whl", HEAD + "License-File: LICENSE\n", {"ops-1.dist-info/licenses/LICENSE": b"x"}
    )
    assert _rules([wheel], PYPI) == {}


def test_size_and_growth_are_those_of_the_table(tmp_path: Path) -> None:
    refuses = load_publishing().refuses
    wheel = _plain(
        tmp_path,
        "ops-1-py3-none-any.whl",
        HEAD,
        {"ops/data": os.urandom(900_000) + bytes(refuses.expanded_from)},
    )
    assert wheel.stat().st_size * refuses.expansion < refuses.expanded_from
    assert _rules([wheel], PYPI) == {"archive-form": Severity.ERROR}
    file = read_release_file(wheel)
    object.__setattr__(file, "size", refuses.file + 1)
    assert "file-size" in {finding.rule for finding in findings_of(Release((file,), _to(PYPI)))}
    assert findings_of(Release((file,), _to(OWN))) == ()


@pytest.mark.parametrize("rule", ["direct-url", "platform-refused"])
def test_elsewhere_some_of_it_is_a_warning(rule: str, tmp_path: Path) -> None:
    wheel = _plain(tmp_path, "ops-1-py3-none-linux_x86_64.whl", HEAD + "Requires-Dist: x @ https://example.com/x.whl\n")
    assert _rules([wheel], OWN)[rule] is Severity.WARNING


def test_an_index_of_ones_own_takes_local_versions_of_one_release(tmp_path: Path) -> None:
    for label in ("torch2.13", "torch2.14"):
        _plain(tmp_path, f"ops-1+{label}-py3-none-any.whl", HEAD.replace("Version: 1", f"Version: 1+{label}"))
    assert _rules(release_files_in([tmp_path]), OWN) == {}


@pytest.mark.parametrize("tag", ["v1", "1", "V1.0", "ops-v1", "ops/1", "release/v1"])
def test_tags_that_name_the_version(tag: str, tmp_path: Path) -> None:
    assert _rules([_wheel(tmp_path)], PYPI, tag) == {}


@pytest.mark.parametrize("tag", ["v2", "v1.1", "v1rc1", "v1-rc1", "v2-1", "ops-v2", "latest", "v", "-"])
def test_tags_that_name_another(tag: str, tmp_path: Path) -> None:
    assert _rules([_wheel(tmp_path)], PYPI, tag) == {"tag-version": Severity.ERROR}


def test_a_prerelease_may_be_tagged_with_a_dash(tmp_path: Path) -> None:
    wheel = _plain(tmp_path, "ops-1rc1-py3-none-any.whl", HEAD.replace("Version: 1\n", "Version: 1rc1\n"))
    assert _rules([wheel], PYPI, "v1-rc1") == {}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_installers_need_not_know_is_refused(method: int, tmp_path: Path) -> None:
    path = _plain(tmp_path, "ops-1-py3-none-any.whl", HEAD)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    published = check_release(_request(path, tmp_path / "site"), load_tables(), SilentReporter())
    assert [finding.rule for finding in published.findings] == ["unreadable"]


def test_one_tag_of_several_is_enough(tmp_path: Path) -> None:
    assert _rules([_wheel(tmp_path)], PYPI, "nightly", "v1") == {}


def test_every_rule_is_shown_to_find_something() -> None:
    (table,) = [mark for mark in test_what_pypi_would_refuse.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    elsewhere = {"tag-version", "file-size", "nothing-to-load"}
    assert {rule.id for rule in CHECKS} == {row[0] for row in table.args[1]} | elsewhere


@pytest.mark.parametrize("place", ["pip", "ftp://host/x", "index:", "file:///srv", "https://", "kernels"])
def test_what_is_no_place(place: str) -> None:
    with pytest.raises(PublishError):
        _to(place)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(PublishError) as caught:
        _to("https://me:secret@wheels.example.com/upload/")
    assert "secret" not in caught.value.render()


def test_pypi_by_its_address_is_pypi() -> None:
    assert _to("https://upload.pypi.org/legacy/").is_pypi
    assert not _to(OWN).is_pypi
    assert _to("index:/srv/wheels").kind is Kind.FOLDER


def _request(path: Path, folder: Path) -> PublishRequest:
    return PublishRequest([path], _to(f"index:{folder}"), {}, ("v1",))


def test_what_the_audit_finds_stands_against_a_release(tmp_path: Path) -> None:
    path = _wheel(tmp_path, files={"ops/libcuda.so.1": b"x"})
    published = check_release(_request(path, tmp_path), load_tables(), SilentReporter())
    assert published.is_refused
    assert "vendored-driver" in {finding.rule for finding in published.findings}


@pytest.mark.parametrize("name", ["ops.whl", "ops-1.tar.gz", "notes.txt"])
def test_what_cannot_be_read_is_a_finding_beside_others(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(struct.pack("<I", 0x04034B50))
    request = PublishRequest([tmp_path / name, _wheel(tmp_path)], _to(f"index:{tmp_path}"), {})
    published = check_release(request, load_tables(), SilentReporter())
    assert [(finding.rule, finding.subject) for finding in published.findings] == [("unreadable", name)]


def test_an_sdist_that_unpacks_without_end_is_not_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "ops-1.tar.gz"
    with tarfile.open(bomb, "w:gz") as archive:
        info = tarfile.TarInfo("ops-1/zeros")
        info.size = 4 << 40
        archive.addfile(info)  # its header alone: nobody comes to its content
    with pytest.raises(AuditError, match="archive-expansion"):
        read_release_file(bomb)


def test_wheels_go_before_the_sdist(tmp_path: Path) -> None:
    _sdist(tmp_path)
    _wheel(tmp_path)
    (tmp_path / "ops.metadata").touch()
    assert [path.suffix for path in release_files_in([tmp_path])] == [".whl", ".gz"]


def test_a_file_that_changed_after_the_checks_is_not_sent(tmp_path: Path) -> None:
    path = _wheel(tmp_path)
    request = PublishRequest([path], Destination(OWN, Kind.INDEX, upload=OWN), {"PATH": ""}, ("v1",), "twine")
    published = check_release(request, load_tables(), SilentReporter())
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(PublishError, match="changed after it was checked"):
        send_release(published, request, load_tables(), SilentReporter())
    assert published.states == {path.name: FileState.NEW}


@pytest.mark.parametrize("url", ["https://other.example.com/legacy/", "http://test.pypi.org/legacy/"])
def test_a_section_of_pypirc_that_leads_elsewhere_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / ".pypirc").write_text(f"[testpypi]\nrepository = {url}\nusername = me\n", encoding="utf-8")
    with pytest.raises(PublishError, match="another place"):
        check_pypirc(_to("testpypi"), {"HOME": str(tmp_path)})
    check_pypirc(_to("pypi"), {"HOME": str(tmp_path)})
    check_pypirc(_to(OWN), {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "text", ["", "[testpypi]\nusername = me\n", "[testpypi]\nrepository=https://test.pypi.org/legacy\n"]
)
def test_a_section_of_pypirc_for_the_place_itself_is_taken(text: str, tmp_path: Path) -> None:
    (tmp_path / ".pypirc").write_text(text, encoding="utf-8")
    check_pypirc(_to("testpypi"), {"HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["no section", "[testpypi", "[testpypi]\nrepository = x\nrepository = y\n"])
def test_a_pypirc_that_cannot_be_read_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / ".pypirc").write_text(text, encoding="utf-8")
    with pytest.raises(PublishError, match="cannot be read"):
        check_pypirc(_to("testpypi"), {"HOME": str(tmp_path)})
