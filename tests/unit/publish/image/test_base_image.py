"""Bases as others make them, and as nobody should."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tiny_images import GLIBC, TinyWheel, layer_members, named_image, tiny_base

from gpuwheel._limits import BASE_LAYER
from gpuwheel.publish.image.compression import unpacked
from gpuwheel.publish.image.contents import base_layers
from gpuwheel.publish.image.descriptors import INDEX, REF_NAME, Descriptor, ImagePlatform
from gpuwheel.publish.image.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Image = Callable[..., Result]

zstandard = pytest.importorskip("zstandard")  # of the extra `image`

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
SKIPPED = struct.pack("<II", 0x184D2A50, 4) + b"toc!"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NOTHING = "sha256:" + "0" * 64
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _with_layer(folder: Path, data: bytes, media_type: str = GZIP) -> str:
    """A base whose one layer is this."""
    tiny_base(folder)
    layout = Layout.open(folder)
    former = layout.read_json(layout.find("base"))
    layer = layout.put(data, media_type)
    config = layout.read_json(Descriptor.from_json(former["config"]))
    changed = {
        **former,
        "layers": [layer.to_json()],
        "config": layout.put_json(config, former["config"]["mediaType"]).to_json(),
    }
    layout.name(layout.put_json(changed, former["mediaType"], annotations={REF_NAME: "base"}))
    return f"oci:{folder}:base"


def _python(result: Result) -> str:
    assert result.exit_code == 0, result.output
    found: str = json.loads(result.stdout)["images"][0]["python"]
    return found


@pytest.mark.parametrize(
    ("pack", "media_type"),
    [
        (lambda tar: tar, "application/vnd.oci.image.layer.v1.tar"),
        (gzip.compress, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (lambda tar: gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + bytes(1000), GZIP),
        (zstandard.compress, ZSTD),
        # As zstd:chunked and eStargz do: frames, and one with a table that others skip.
        (
            lambda tar: (
                zstandard.compress(tar[:900])
                + zstandard.compress(tar[900:])
                + struct.pack("<II", 0x184D2A50, 4)
                + b"toc!"
            ),
            ZSTD,
        ),
    ],
)
def test_layers_are_read_however_they_are_packed(
    image: Image, tmp_path: Path, pack: Callable[[bytes], bytes], media_type: str
) -> None:
    tar = _tar({"./usr/bin/python3.12": b"", "usr/lib/libc.so.6": GLIBC})
    base = _with_layer(tmp_path / "base", pack(tar), media_type)
    wheel = TinyWheel(tag="cp312-cp312-manylinux_2_36_x86_64", files={}).write(tmp_path)
    assert _python(image("--base", base, "--json", "--dry-run", wheel)) == "3.12"
    later = TinyWheel(tag="cp312-cp312-manylinux_2_37_x86_64", files={}).write(tmp_path)
    assert "with glibc 2.36" in image("--base", base, "--dry-run", later).output


def test_a_base_with_musl_takes_wheels_for_musl(image: Image, tmp_path: Path) -> None:
    libc = b"musl libc (x86_64)\0" + b"1.2.5\0"
    tar = _tar({"usr/local/bin/python3.12": b"", "lib/ld-musl-x86_64.so.1": libc})
    base = _with_layer(tmp_path / "base", gzip.compress(tar))
    for tag, code in (("musllinux_1_2", 0), ("musllinux_1_3", 20), ("manylinux_2_28", 20)):
        wheel = TinyWheel(tag=f"cp312-cp312-{tag}_x86_64", files={}).write(tmp_path)
        assert image("--base", base, "--dry-run", wheel).exit_code == code, tag


def _long_header() -> bytes:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"comment": "y" * 2_000_000}
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    "tar",
    [
        _long_header(),
        b"not a tar" * 100,
        _tar({"usr/lib/libc.so.6": GLIBC})[:600],
        _tar({"a": b"x" * 5000})[:3000],
    ],
)
def test_a_hostile_or_damaged_layer_is_an_error(image: Image, tmp_path: Path, tar: bytes) -> None:
    base = _with_layer(tmp_path / "base", gzip.compress(tar))
    result = image("--base", base, TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output
    assert not (tmp_path / "image").exists()


def test_a_layer_that_does_not_end_is_left_alone(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_layers, "BASE_LAYER", replace(BASE_LAYER, value=1_000_000))
    base = _with_layer(tmp_path / "base", gzip.compress(_tar({"zeros": bytes(20_000_000)})))
    result = image("--base", base, TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output
    assert "the limit base-layer" in result.output


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (
            "layers",
            [
                {
                    "mediaType": FOREIGN,
                    "digest": NOTHING,
                    "size": 1,
                }
            ],
        ),
        ("layers", []),
        ("config", {"mediaType": "x", "digest": NOTHING, "size": 1}),
        ("config", None),
    ],
)
def test_a_manifest_that_does_not_fit_is_an_error(image: Image, tmp_path: Path, key: str, value: Any) -> None:  # noqa: ANN401
    tiny_base(tmp_path / "base")
    layout = Layout.open(tmp_path / "base")
    manifest = layout.read_json(layout.find("base"))
    layout.name(layout.put_json({**manifest, key: value}, manifest["mediaType"], annotations={REF_NAME: "base"}))
    result = image("--base", f"oci:{tmp_path / 'base'}:base", TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output


@pytest.mark.parametrize(
    "run",
    [
        {"Env": "PATH=/bin"},
        {"Env": [1]},
        {"Labels": ["a"]},
        {"Labels": {"a": 5}},
        {"WorkingDir": []},
        {"User": {}},
        {"Cmd": "x"},
    ],
)
def test_a_configuration_of_another_shape_is_an_error(image: Image, tmp_path: Path, run: dict[str, Any]) -> None:
    base = tiny_base(tmp_path / "base", run=run)
    result = image("--base", base, TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output


def test_attestations_in_an_index_are_no_platforms(image: Image, tmp_path: Path) -> None:
    tiny_base(tmp_path / "base")
    layout = Layout.open(tmp_path / "base")
    real = replace(layout.find("base"), annotations={}, platform=ImagePlatform("linux", "amd64", "v1"))
    signed = replace(real, platform=ImagePlatform("unknown", "unknown"))
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one.to_json() for one in (real, signed)]}
    layout.name(layout.put_json(document, INDEX, annotations={REF_NAME: "both"}))
    result = image("--base", f"oci:{tmp_path / 'base'}:both", "--json", TinyWheel().write(tmp_path))
    assert result.exit_code == 0, result.output
    assert [one["platform"] for one in json.loads(result.stdout)["images"]] == ["linux/amd64"]


def test_an_image_on_an_image_has_the_python_of_the_first(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    wheel = TinyWheel().write(tmp_path)
    assert image("--base", base, "-o", "oci:one:first", wheel).exit_code == 0
    refused = image("--base", "oci:one", wheel)
    assert refused.exit_code == 20
    assert "already has /opt/venv" in refused.output
    result = image("--base", "oci:one", "--prefix", "/opt/app", "-o", "oci:two", wheel)
    assert result.exit_code == 0, result.output
    manifest, _ = named_image(tmp_path / "two")
    members = layer_members(tmp_path / "two", manifest["layers"][-2]["digest"])
    assert members["opt/app/bin/python"][0].linkname == "/usr/bin/python3.11", "and not the link in /opt/venv"


@pytest.mark.parametrize(
    "prefix",
    [
        "/usr",
        "/usr/lib",
        "/usr/bin",
        "/opt/a:b",
        "/opt/a\nb",
        "/opt/a b",
        "opt",
        "/",
        "/a/../b",
        "/a/b/c/d",
        "/" + "x" * 101,
    ],
)
def test_a_prefix_over_folders_of_the_base_or_that_no_script_can_name_is_refused(
    image: Image, tmp_path: Path, prefix: str
) -> None:
    base = tiny_base(tmp_path / "base")
    result = image("--base", base, "--prefix", prefix, TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output
    assert not (tmp_path / "image").exists()


def _folder(name: str, mode: int, owner: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
    return info


def test_folders_of_the_base_stay_as_they_are(image: Image, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info in (_folder("tmp", 0o1777), _folder("data", 0o750, 1000), tarfile.TarInfo("usr/bin/python3.11")):
            archive.addfile(info)
        link = tarfile.TarInfo("srv")
        link.type, link.linkname = tarfile.SYMTYPE, "data"
        archive.addfile(link)
    base = _with_layer(tmp_path / "base", gzip.compress(out.getvalue()))
    wheel = TinyWheel().write(tmp_path)
    for prefix, mode, owner in (("/tmp/v", 0o1777, 0), ("/data/venv", 0o750, 1000)):  # noqa: S108 (of an image)
        assert image("--base", base, "--prefix", prefix, wheel).exit_code == 0
        manifest, _ = named_image(tmp_path / "image")
        for layer in manifest["layers"][1:]:
            found = layer_members(tmp_path / "image", layer["digest"]).get(prefix.split("/")[1])
            assert found is not None
            assert (found[0].mode, found[0].uid, found[0].gid) == (mode, owner, owner)
    result = image("--base", base, "--prefix", "/srv/venv", wheel)
    assert "is below a link of the base" in result.output


def test_what_is_noted_of_a_layer_is_what_has_its_digest(image: Image, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    manifest, _ = named_image(tmp_path / "base", "base")
    blob = tmp_path / "base/blobs/sha256" / manifest["layers"][0]["digest"][7:]
    right = blob.read_bytes()
    wrong = gzip.compress(_tar({"usr/bin/python3.13": b"", "usr/lib/libc.so.6": GLIBC}))
    blob.write_bytes(wrong + bytes(len(right) - len(wrong)) if len(wrong) < len(right) else wrong)
    result = image("--base", base, TinyWheel().write(tmp_path))
    assert result.exit_code == 20, result.output
    blob.write_bytes(right)
    assert _python(image("--base", base, "--json", "--dry-run", TinyWheel().write(tmp_path))) == "3.11"


def test_a_c_library_of_a_toolchain_is_not_that_of_the_base(image: Image, tmp_path: Path) -> None:
    tar = _tar(
        {
            "usr/bin/python3.11": b"",
            "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC.replace(b"2.36", b"2.31"),
            "opt/toolchain/sysroot/lib/libc.so.6": GLIBC,
        }
    )
    base = _with_layer(tmp_path / "base", gzip.compress(tar))
    wheel = TinyWheel(tag="py3-none-manylinux_2_34_x86_64").write(tmp_path)
    assert "with glibc 2.31" in image("--base", base, "--dry-run", wheel).output


def test_every_layer_has_its_row_in_the_history_of_a_base_without_one(image: Image, tmp_path: Path) -> None:
    tiny_base(tmp_path / "base")
    layout = Layout.open(tmp_path / "base")
    manifest = layout.read_json(layout.find("base"))
    config = layout.read_json(Descriptor.from_json(manifest["config"]))
    for history, rows in (([], 3), (None, 3), ([{"empty_layer": True}, {"created_by": "x"}], 4), (5, 0), (["x"], 0)):
        blob = layout.put_json({**config, "history": history}, manifest["config"]["mediaType"])
        changed = {**manifest, "config": blob.to_json()}
        layout.name(layout.put_json(changed, manifest["mediaType"], annotations={REF_NAME: "base"}))
        result = image("--base", f"oci:{tmp_path / 'base'}:base", TinyWheel().write(tmp_path))
        assert result.exit_code == (0 if rows else 20), result.output
        assert not rows or len(named_image(tmp_path / "image")[1]["history"]) == rows


def test_a_layer_of_zeros_is_read_in_small_pieces() -> None:
    packed = zstandard.compress(bytes(300_000_000))
    sizes = [len(block) for block in unpacked([packed])]
    assert sum(sizes) == 300_000_000
    assert max(sizes) <= 1 << 20
    packed = gzip.compress(b"") * 20_000
    began = time.process_time()
    assert b"".join(unpacked([packed])) == b""
    assert time.process_time() - began < 5
