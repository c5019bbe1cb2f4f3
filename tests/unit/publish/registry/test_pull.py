"""What is pulled is what its digest says, or nothing; a pull that broke goes on."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from fake_registry import BIG, log_in, sha256

from gpuwheel._run import run
from gpuwheel.errors import ImageError, NetworkError
from gpuwheel.index.transport import InterruptedTransferError, NotOnServerError
from gpuwheel.publish.image.descriptors import INDEX, MANIFEST, ImagePlatform
from gpuwheel.publish.registry import parse_reference, pull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_registry import FakeRegistry

    from gpuwheel.publish.image.layout import Layout
    from gpuwheel.publish.registry import RegistryAccess

    Access = Callable[..., RegistryAccess]

ARM = ImagePlatform("linux", "arm64")


def _index(registry: FakeRegistry) -> dict[str, str]:
    """An index of two platforms and an attestation; digests by architecture."""
    found = {}
    for architecture, variant in (("amd64", ""), ("arm64", "v8")):
        config = {"architecture": architecture, **({"variant": variant} if variant else {})}
        found[architecture] = registry.add_image("base", f"of-{architecture}", [architecture.encode(), BIG], **config)
    found["unknown"] = registry.add_image("base", "attestation", [b"statement"], os="unknown", architecture="unknown")
    rows = [
        {
            "mediaType": MANIFEST,
            "digest": digest,
            "size": len(registry.manifests["base"][digest][1]),
            "platform": {
                "os": "unknown" if architecture == "unknown" else "linux",
                "architecture": architecture,
                **({"variant": "v8"} if architecture == "arm64" else {}),
            },
        }
        for architecture, digest in found.items()
    ]
    registry.add_manifest("base", "1", INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows[::-1]})
    return found


def _blobs(layout: Layout) -> set[str]:
    return {path.name for path in (layout.folder / "blobs" / "sha256").iterdir()}


def test_an_image_comes_whole_and_says_whose_it_is(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    digest = registry.add_image("team/base", "1", [BIG, b"small"])

    found = pull(parse_reference(f"{registry.host}/team/base:1"), layout, access())

    assert (found.digest, str(found.platform), found.source) == (digest, "linux/amd64", f"{registry.host}/team/base")
    manifest = layout.read_json(found)
    assert layout.blob_path(manifest["layers"][0]["digest"]).read_bytes() == BIG
    assert layout.index() == ()


@pytest.mark.parametrize("asked", ["linux/amd64", "linux/arm64", "linux/arm64/v8"])
def test_of_an_index_the_platform_is_chosen(asked: str, registry: FakeRegistry, layout: Layout, access: Access) -> None:
    digests = _index(registry)
    platform = ImagePlatform(*asked.split("/"))

    found = pull(parse_reference(f"{registry.host}/base:1"), layout, access(), platform=platform)

    assert found.digest == digests[platform.architecture]
    assert len(_blobs(layout)) == 4  # manifest, configuration and two layers


def test_without_a_platform_all_of_an_index_comes(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    digests = _index(registry)

    found = pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert {row["digest"] for row in layout.read_json(found)["manifests"]} == set(digests.values())
    assert all(layout.has(digest) for digest in digests.values())


def test_a_platform_that_is_not_there_is_named_with_those_that_are(
    registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    _index(registry)
    registry.add_image("one", "1", [b"layer"])

    with pytest.raises(NetworkError) as of_index:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access(), platform=ImagePlatform("linux", "s390x"))
    with pytest.raises(NetworkError) as of_one:
        pull(parse_reference(f"{registry.host}/one:1"), layout, access(), platform=ARM)

    assert "linux/s390x (found linux/amd64, linux/arm64/v8)" in of_index.value.message
    assert "linux/arm64 (found linux/amd64)" in of_one.value.message


def test_layers_may_stay_where_they_are(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.add_image("base", "1", [BIG])

    pull(parse_reference(f"{registry.host}/base:1"), layout, access(), layers=False)

    assert len(_blobs(layout)) == 2
    assert registry.asked(sha256(BIG)) == []


def test_a_download_that_breaks_goes_on_where_it_was(
    registry: FakeRegistry, layout: Layout, access: Access, environ: dict[str, str]
) -> None:
    registry.add_image("base", "1", [BIG])
    registry.broken_downloads, environ["PIP_RETRIES"] = 2, "2"

    found = pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    half, quarter = len(BIG) // 2, len(BIG) // 4
    assert layout.has(found)
    assert layout.blob_path(sha256(BIG)).read_bytes() == BIG
    assert [line.rpartition("=")[2] for line in registry.asked("bytes=")] == [f"{half}-", f"{half + quarter}-"]


def test_a_registry_without_ranges_sends_all_again(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.add_image("base", "1", [BIG])
    registry.broken_downloads, registry.takes_ranges = 1, False

    pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert layout.blob_path(sha256(BIG)).read_bytes() == BIG


def test_what_an_earlier_call_left_is_gone_on_with(
    registry: FakeRegistry, layout: Layout, access: Access, environ: dict[str, str]
) -> None:
    registry.add_image("base", "1", [BIG])
    environ["PIP_RETRIES"] = "0"
    registry.broken_downloads = 9
    with pytest.raises(InterruptedTransferError):
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())
    kept = layout.part_path(sha256(BIG)).stat().st_size
    registry.broken_downloads = 0

    pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert kept == len(BIG) // 2
    assert len(registry.asked(f"bytes={kept}-")) == 1
    assert layout.blob_path(sha256(BIG)).read_bytes() == BIG
    assert [name for name in _blobs(layout) if name.startswith(".")] == []


@pytest.mark.parametrize("left", [b"x" * 100, BIG + b"more", BIG[:-1] + b"?"], ids=["other", "longer", "same size"])
def test_damage_in_what_was_left_costs_a_try_and_no_more(
    left: bytes, registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    registry.add_image("base", "1", [BIG])
    layout.part_path(sha256(BIG)).write_bytes(left)
    reference = parse_reference(f"{registry.host}/base:1")
    try:
        pull(reference, layout, access())
    except NetworkError:
        pull(reference, layout, access())

    assert layout.blob_path(sha256(BIG)).read_bytes() == BIG


@pytest.mark.parametrize("content", [BIG[:-1] + b"?", BIG + b"more"], ids=["other content", "more content"])
def test_a_layer_that_is_another_is_refused_and_forgotten(
    content: bytes, registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    digest = registry.add_image("base", "1", [BIG])
    registry.lies = {sha256(BIG): content}

    with pytest.raises(NetworkError) as caught:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert sha256(BIG) in caught.value.message
    assert not layout.has(sha256(BIG))
    assert not layout.has(digest)


def test_a_manifest_that_is_another_is_refused(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.add_image("base", "1", [b"layer"])
    wanted = f"sha256:{'0' * 64}"
    registry.manifests["base"][wanted] = registry.manifests["base"]["1"]

    with pytest.raises(NetworkError) as by_digest:
        pull(parse_reference(f"{registry.host}/base@{wanted}"), layout, access())
    registry.stored = wanted
    with pytest.raises(NetworkError) as by_header:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert wanted in by_digest.value.message
    assert wanted in by_header.value.message
    assert _blobs(layout) == set()


def test_a_base_that_vanished_is_named(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.add_image("base", "1", [BIG])

    with pytest.raises(NotOnServerError) as tag:
        pull(parse_reference(f"{registry.host}/base:2"), layout, access())
    del registry.blobs["base"][sha256(BIG)]
    with pytest.raises(NotOnServerError) as layer:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert f"{registry.host}/base:2" in tag.value.message
    assert sha256(BIG) in layer.value.message
    assert tag.value.hint
    assert layer.value.hint


def test_a_storage_service_is_not_told_who_asks(
    registry: FakeRegistry, other_registry: FakeRegistry, layout: Layout, access: Access, environ: dict[str, str]
) -> None:
    registry.add_image("base", "1", [BIG])
    registry.storage, registry.password = other_registry, ("somebody", "secret")
    other_registry.broken_downloads = 1
    log_in(environ, registry.host)

    pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert layout.has(sha256(BIG))
    assert any(registry.authorizations)
    assert set(other_registry.authorizations) == {""}


def test_a_signature_is_in_no_message(
    registry: FakeRegistry, other_registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    registry.add_image("base", "1", [BIG])
    registry.storage = other_registry
    other_registry.broken_downloads = 99

    with pytest.raises(NetworkError) as caught:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert other_registry.host in caught.value.render()
    assert "signature" not in caught.value.render()


@pytest.mark.parametrize(
    "location", ["http://[::1/x", "http://storage.lan:99999/x", "ftp://s3.lan/x?signature=secret", "http:///x"]
)
def test_a_redirect_to_no_address_is_said(
    location: str, registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    registry.add_image("base", "1", [BIG])
    registry.location = location

    with pytest.raises(NetworkError) as caught:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert registry.host in caught.value.message
    assert "secret" not in caught.value.render()


@pytest.mark.parametrize(
    "document",
    [
        b"<html>sign in</html>",
        b"[]",
        b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}',
        b'{"schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}',
        b'{"mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"digest": "sha256:../../x"}}',
        b'{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": 7}',
        b"[" * 100_000,
        b" " * 5_000_000,
    ],
)
def test_a_damaged_manifest_is_an_error_of_ours(
    document: bytes, registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    registry.manifests["base"] = {"1": (MANIFEST, document)}

    with pytest.raises((NetworkError, ImageError)):
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())


def test_a_layer_of_terabytes_is_refused_before_it_comes(
    registry: FakeRegistry, layout: Layout, access: Access
) -> None:
    digest = registry.add_image("base", "1", [BIG])
    kind, data = registry.manifests["base"][digest]
    document = json.loads(data)
    document["layers"][0]["size"] = 10**13
    registry.add_manifest("base", "1", kind, document)

    with pytest.raises(NetworkError) as caught:
        pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert "the limit download" in caught.value.message
    assert registry.asked(sha256(BIG)) == []


def test_a_server_that_is_busy_is_asked_again(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.add_image("base", "1", [b"layer"])
    registry.failures = {"GET manifests": [503], "GET blobs": [429]}

    pull(parse_reference(f"{registry.host}/base:1"), layout, access())

    assert registry.failures == {"GET manifests": [], "GET blobs": []}


def test_nobody_at_the_address_is_said(layout: Layout, access: Access, environ: dict[str, str]) -> None:
    environ["PIP_RETRIES"] = "0"

    with pytest.raises(NetworkError) as caught:
        pull(parse_reference("127.0.0.1:1/base"), layout, access())

    assert "127.0.0.1:1" in caught.value.message
    assert caught.value.hint


FULL = """
import resource, signal, sys
from pathlib import Path
from gpuwheel._endings import as_ours
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import RegistryAccess, parse_reference, pull

layout = Layout.create(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    pull(parse_reference(sys.argv[2]), layout, RegistryAccess({"HOME": "/nonexistent"}, SilentReporter()))
except Exception as error:
    print(as_ours(error).exit_code, as_ours(error).render())
"""


def test_a_full_disk_is_said_with_the_layout(registry: FakeRegistry, layout: Layout, tmp_path: Path) -> None:
    registry.add_image("base", "1", [BIG])

    said = run([sys.executable, "-c", FULL, layout.folder, f"{registry.host}/base:1"], cwd=tmp_path).stdout

    assert said.startswith("15 ")
    assert layout.folder.name in said
    assert not layout.has(sha256(BIG))
