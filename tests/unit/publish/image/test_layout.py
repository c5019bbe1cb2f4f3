from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ImageError
from gpuwheel.publish.image.descriptors import CONFIG, INDEX, MANIFEST, REF_NAME, Descriptor, ImagePlatform
from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _image(layout: Layout, tag: str, *, note: str = "") -> Descriptor:
    config = layout.put_json({"note": note}, CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.to_json(), "layers": []}
    return layout.put_json(manifest, MANIFEST, annotations={REF_NAME: tag}, platform=ImagePlatform())


def test_an_empty_layout_is_one_that_other_tools_read(tmp_path: Path) -> None:
    Layout.create(tmp_path / "new")
    assert json.loads((tmp_path / "new/oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((tmp_path / "new/index.json").read_bytes())
    assert index == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    assert (tmp_path / "new/blobs/sha256").is_dir()
    assert Layout.open(tmp_path / "new").index() == ()


def test_blobs_have_the_name_of_their_digest_and_everybody_may_read_them(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    former = os.umask(0o077)
    try:
        blob = layout.put(b"hello", "text/plain")
    finally:
        os.umask(former)
    path = layout.blob_path(blob.digest)
    assert (blob.digest, blob.size) == (_digest(b"hello"), 5)
    assert path == tmp_path / "blobs/sha256" / hashlib.sha256(b"hello").hexdigest()
    assert path.stat().st_mode & 0o777 == 0o644
    assert layout.has(blob)
    assert layout.has(blob.digest)
    assert not layout.has(Descriptor("text/plain", blob.digest, 6)), "of another size: cut short, or another blob"
    assert layout.read(blob) == b"hello"


def test_an_error_or_an_interrupt_while_a_blob_is_written_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)

    def interrupted() -> None:
        with layout.incoming() as blob:
            blob.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "blobs/sha256").iterdir()) == []


def test_several_images_and_platforms_have_their_names_in_one_layout(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    one, two = _image(layout, "one"), _image(layout, "two", note="2")
    for image in (one, two, one):
        layout.name(image)
    assert {image.tag for image in layout.index()} == {"one", "two"}
    assert layout.find("one") == one
    assert layout.find(two.digest) == two
    moved = _image(layout, "one", note="3")
    layout.name(moved)
    assert layout.find("one") == moved
    assert len(layout.index()) == 2
    with pytest.raises(ImageError, match="found one, two, expected one image"):
        layout.find(None)
    with pytest.raises(ImageError, match="expected three"):
        layout.find("three")


def test_the_index_does_not_depend_on_who_came_first(tmp_path: Path) -> None:
    written = []
    for place, order in (("a", ("one", "two")), ("b", ("two", "one"))):
        layout = Layout.create(tmp_path / place)
        for tag in order:
            layout.name(_image(layout, tag))
        written.append((tmp_path / place / "index.json").read_bytes())
    assert written[0] == written[1]


def test_the_index_never_names_what_is_not_there(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    with pytest.raises(ImageError, match="would name sha256:"):
        layout.name(Descriptor(MANIFEST, _digest(b"elsewhere"), 9))
    assert layout.index() == ()


def test_two_writers_of_one_index_lose_nothing(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    images = [_image(layout, f"tag{number}", note=str(number)) for number in range(16)]
    threads = [threading.Thread(target=Layout.create(tmp_path).name, args=(image,)) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(layout.index()) == 16


@pytest.mark.parametrize("damage", [b"hellO", b"hell", b""])
def test_a_blob_that_is_another_one_is_not_taken(tmp_path: Path, damage: bytes) -> None:
    layout = Layout.create(tmp_path / "layout")
    wanted = Descriptor("text/plain", _digest(b"hello"), 5)
    for take in (layout.copy_from, layout.adopt):
        file = tmp_path / "file"
        file.write_bytes(damage)
        with pytest.raises(ImageError, match="is not the expected content"):
            take(file, wanted)
        assert list((tmp_path / "layout/blobs/sha256").iterdir()) == []
    (tmp_path / "file").write_bytes(b"hello")
    layout.copy_from(tmp_path / "file", wanted)
    assert layout.read(wanted) == b"hello"
    assert (tmp_path / "file").read_bytes() == b"hello"


def test_a_document_that_was_changed_is_noticed(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    image = _image(layout, "one")
    path = layout.blob_path(image.digest)
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    with pytest.raises(ImageError, match="is not the expected content"):
        layout.read_json(image)
    path.unlink()
    with pytest.raises(ImageError, match="lacks sha256:"):
        layout.read_json(image)


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"{}",
        b'{"manifests": {}}',
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../etc/passwd", "size": 1}]}',
        b'{"manifests": [{"mediaType": "x", "digest": "sha512:00", "size": 1}]}',
        b'{"manifests": [{"mediaType": 1, "digest": "sha256:%s", "size": 1}]}' % (b"0" * 64),
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:%s", "size": -1}]}' % (b"0" * 64),
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:%s", "size": true}]}' % (b"0" * 64),
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:%s", "size": 1, "annotations": 3}]}' % (b"0" * 64),
        b'{"manifests": ' + b"[" * 100_000,
        b" " * 5_000_000,
    ],
)
def test_a_damaged_index_is_an_error_of_ours(tmp_path: Path, index: bytes) -> None:
    layout = Layout.create(tmp_path)
    (tmp_path / "index.json").write_bytes(index)
    with pytest.raises(ImageError):
        layout.index()


def test_only_a_layout_or_an_empty_folder_becomes_one(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ImageError, match="found other files"):
        Layout.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(ImageError, match="does not exist"):
        Layout.open(tmp_path / "nowhere")


def test_what_a_killed_process_left_goes_after_a_day(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path)
    old, fresh = (layout.part_path(_digest(name)) for name in (b"old", b"fresh"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    yesterday = time.time() - 90_000
    os.utime(old, (yesterday, yesterday))
    Layout.create(tmp_path)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_descriptor_comes_back_from_its_json() -> None:
    one = Descriptor(MANIFEST, _digest(b""), 0, {"a": "b"}, ImagePlatform("linux", "arm64", "v8"), "text/x")
    assert Descriptor.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert Descriptor.from_json(Descriptor(LAYER, _digest(b""), 0).to_json()) == Descriptor(LAYER, _digest(b""), 0)
