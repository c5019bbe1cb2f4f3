"""A push sends what is not there, goes on where it broke, and names nothing before all of it has arrived."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fake_registry import BIG, add_image, log_in, sha256
from heard import Heard

from gpuwheel.errors import ImageError, NetworkError
from gpuwheel.index.transport import InterruptedTransferError
from gpuwheel.publish.image.descriptors import INDEX, MANIFEST
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import parse_reference, pull, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fake_registry import FakeRegistry

    from gpuwheel.publish.image.descriptors import Descriptor
    from gpuwheel.publish.registry import RegistryAccess

    Access = Callable[..., RegistryAccess]

PART = 1 << 18


def _is_whole(registry: FakeRegistry, repository: str, tag: str) -> bool:
    """Whether whoever pulls the tag finds all of it."""
    return tag in registry.manifests.get(repository, {}) and sha256(BIG) in registry.blobs.get(repository, {})


def test_a_push_is_pulled_again(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access, tmp_path: Path
) -> None:
    pushed = push(layout, image, parse_reference(f"{registry.host}/team/name:1"), access())
    other = Layout.create(tmp_path / "other")

    pulled = pull(parse_reference(f"{registry.host}/team/name:1"), other, access())

    assert str(pushed.reference) == f"{registry.host}/team/name@{image.digest}"
    assert pulled.digest == image.digest
    assert pushed.sent > len(BIG)
    assert other.blob_path(sha256(BIG)).read_bytes() == BIG


def test_the_tag_comes_last(registry: FakeRegistry, layout: Layout, access: Access) -> None:
    images = [add_image(layout, [BIG, text]) for text in (b"one", b"two")]
    rows = [image.to_json() for image in images]
    index = layout.put_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}, INDEX)

    push(layout, index, parse_reference(f"{registry.host}/name:1"), access())

    puts = [line.partition("?")[0] for line in registry.asked("^PUT")]
    places = ["uploads" if "uploads" in put else put.rpartition("/")[2] for put in puts]
    assert places == ["uploads"] * 4 + [image.digest for image in images] + ["1"]


def test_what_is_there_is_not_sent(registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access) -> None:
    first = push(layout, image, parse_reference(f"{registry.host}/name:1"), access())
    registry.bodies.clear()

    again = push(layout, image, parse_reference(f"{registry.host}/name:1"), access())
    changed = push(layout, add_image(layout, [BIG, b"changed"]), parse_reference(f"{registry.host}/name:1"), access())

    assert (again.sent, again.skipped) == (0, first.sent)
    assert changed.sent == registry.bodies.total() < 1000
    assert changed.skipped > len(BIG)


@pytest.mark.parametrize("breaks", [1, 2])
def test_an_upload_that_breaks_goes_on_where_it_was(
    breaks: int, registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access, environ: dict[str, str]
) -> None:
    environ["PIP_RETRIES"] = str(breaks)
    registry.broken_parts = breaks

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")
    assert registry.asked("^GET .*uploads")
    # What the registry had kept was not sent again.
    assert registry.bodies["PATCH"] == len(BIG)


def test_an_upload_in_one_piece_goes_on_too(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.broken_parts = 1

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access(chunk=1 << 30, jobs=1))

    assert _is_whole(registry, "name", "1")
    assert registry.bodies["PATCH"] == len(BIG) // 2


def test_an_upload_that_was_forgotten_begins_again(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.broken_parts, registry.forgets_uploads = 1, True

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")


def test_a_registry_that_takes_no_parts_gets_one(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.takes_parts = False

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")


@pytest.mark.parametrize("chunk", [4 << 20, 6 << 20])
def test_parts_shrink_to_what_is_taken(chunk: int, registry: FakeRegistry, layout: Layout, access: Access) -> None:
    registry.largest_request = 2 << 20
    image = add_image(layout, [BIG * 5])

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access(chunk=chunk))

    assert sha256(BIG * 5) in registry.blobs["name"]


def test_a_registry_that_takes_next_to_nothing_is_given_up(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.largest_request = 1000

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert "HTTP 413" in caught.value.message


def test_an_upload_whose_data_was_lost_begins_again(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.empties_uploads = 1

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")


class _Taking(Heard):
    """Removes a file as soon as something is told of it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[_Taking]:
        del label, total, unit
        yield self

    def advance(self, amount: int) -> None:
        del amount
        self._path.unlink(missing_ok=True)


def test_a_layer_that_vanishes_meanwhile_is_no_trouble_of_the_network(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    path = layout.blob_path(sha256(BIG))

    with pytest.raises(ImageError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access(reporter=_Taking(path), jobs=1))

    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    "location", ["http://[::1/x", "http://registry.lan:99999/x", "ftp://storage.lan/x?signature=secret"]
)
def test_a_place_for_uploads_that_is_none_is_said(
    location: str, registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.location = location

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert registry.host in caught.value.message
    assert "secret" not in caught.value.render()


@pytest.mark.parametrize("kept", [False, True])
def test_what_refers_to_an_image_is_found_by_it(
    kept: bool,  # noqa: FBT001  # a column of the table
    registry: FakeRegistry,
    layout: Layout,
    image: Descriptor,
    access: Access,
) -> None:
    registry.keeps_referrers = kept
    reference = parse_reference(f"{registry.host}/name:1")
    push(layout, image, reference, access())
    empty = layout.put(b"{}", "application/vnd.oci.empty.v1+json")
    bills = []
    for text in ("one", "two"):
        layer = layout.put(text.encode(), "text/plain")
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": f"application/{text}",
            "config": empty.to_json(),
            "layers": [layer.to_json()],
            "subject": image.to_json(),
        }
        bills.append(layout.put_json(document, MANIFEST))
    for bill in (*bills, bills[0]):
        push(layout, bill, reference.at(bill.digest), access())

    tag = image.digest.replace(":", "-")
    held = registry.manifests["name"]
    assert (tag in held) is not kept
    if not kept:
        rows = json.loads(held[tag][1])["manifests"]
        assert [row["digest"] for row in rows] == [bill.digest for bill in bills]
        assert [row["artifactType"] for row in rows] == ["application/one", "application/two"]


def test_an_answer_that_is_lost_is_looked_up(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.loses_answer = True

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access(jobs=1))

    assert _is_whole(registry, "name", "1")
    assert registry.bodies["PATCH"] == len(BIG)


@pytest.mark.parametrize("kind", ["PATCH uploads", "PUT uploads", "POST uploads", "PUT manifests", "HEAD blobs"])
@pytest.mark.parametrize("status", [500, 403, 507])
def test_a_push_that_fails_publishes_nothing_and_the_next_one_does(
    kind: str, status: int, registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    reference = parse_reference(f"{registry.host}/name:1")
    old = add_image(layout, [b"old"])
    push(layout, old, reference, access())
    registry.failures = {kind: [status] * 100}
    registry.error = {"code": "DENIED", "message": "not today"}

    with pytest.raises(NetworkError) as caught:
        push(layout, image, reference, access())

    assert sha256(registry.manifests["name"]["1"][1]) == old.digest
    assert image.digest not in registry.manifests["name"]
    assert f"HTTP {status}" in caught.value.message
    assert caught.value.hint
    registry.failures = {}
    push(layout, image, reference, access())
    assert sha256(registry.manifests["name"]["1"][1]) == image.digest


def test_what_a_registry_says_steers_no_terminal(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.failures = {"POST uploads": [403] * 9}
    registry.error = {"code": "DENIED", "message": "\x1b[2J\x1b]0;owned\x07 gone\n\nerror: done"}

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert all(line.isprintable() for line in caught.value.render().split("\n"))
    assert len(caught.value.render().split("\n")) == 2


@pytest.mark.parametrize(
    "detail", ["write: no space left on device", {"DriverName": "filesystem", "Enclosed": {"Op": "write", "Err": 28}}]
)
@pytest.mark.parametrize("first", [0, 2])
def test_a_registry_without_space_says_so(
    detail: object,
    first: int,
    registry: FakeRegistry,
    layout: Layout,
    image: Descriptor,
    access: Access,
) -> None:
    registry.failures = {"PATCH uploads": [0] * first + [500] * 9}
    registry.error = {"code": "UNKNOWN", "message": "unknown error", "detail": detail}

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert "has no space left" in caught.value.message


def test_a_layer_that_was_damaged_on_disk_is_named(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    path = layout.blob_path(sha256(BIG))
    path.chmod(0o644)
    path.write_bytes(BIG[:-1] + b"?")

    with pytest.raises(ImageError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert str(path) in caught.value.message
    assert "name" not in registry.manifests or "1" not in registry.manifests["name"]


def test_a_registry_that_stores_something_else_is_not_believed(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.stored = f"sha256:{'0' * 64}"

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert "other content" in caught.value.message


def test_a_dry_run_sends_nothing_and_knows_what_it_would(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    reference = parse_reference(f"{registry.host}/name:1")
    registry.blobs["base"] = {sha256(b"small"): b"small"}

    foreseen = push(layout, image, reference, access(), mount_from=[f"{registry.host}/base"], dry_run=True)
    nothing = (registry.bodies.total(), registry.uploads, registry.asked("^P"))
    done = push(layout, image, reference, access(), mount_from=[f"{registry.host}/base"])

    assert nothing == (0, {}, [])
    assert foreseen == done
    assert done.mounted == len(b"small")


def test_a_digest_is_pushed_as_itself_or_refused(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    with pytest.raises(ImageError):
        push(layout, image, parse_reference(f"{registry.host}/name@sha256:{'0' * 64}"), access())

    push(layout, image, parse_reference(f"{registry.host}/name@{image.digest}"), access())

    assert list(registry.manifests["name"]) == [image.digest]


# ---- layers of others


def test_layers_of_the_base_are_mounted(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.blobs["base"] = {sha256(BIG): BIG}

    pushed = push(
        layout, image, parse_reference(f"{registry.host}/name:1"), access(), mount_from=[f"{registry.host}/base"]
    )

    assert pushed.mounted == len(BIG)
    assert registry.bodies.total() < 1000
    assert _is_whole(registry, "name", "1")


def test_a_layer_that_stayed_elsewhere_is_fetched_from_there(
    registry: FakeRegistry, other_registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    layout.blob_path(sha256(BIG)).unlink()
    other_registry.blobs["base"] = {sha256(BIG): BIG}
    sources = [f"{registry.host}/nothing", f"{other_registry.host}/base"]

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access(), mount_from=sources)

    assert _is_whole(registry, "name", "1")


def test_a_layer_that_nobody_has_is_said_before_anything_is_named(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    layout.blob_path(sha256(BIG)).unlink()

    with pytest.raises(ImageError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access(), mount_from=[f"{registry.host}/base"])

    assert sha256(BIG) in caught.value.message
    assert registry.manifests.get("name", {}) == {}


def test_a_registry_that_always_breaks_is_given_up(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.broken_parts, registry.forgets_uploads = 10_000, True

    with pytest.raises(InterruptedTransferError):
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert len(registry.asked("^POST")) < 20


# ---- who asks


def test_the_password_is_sent_when_it_is_asked_for(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access, environ: dict[str, str]
) -> None:
    registry.password = ("somebody", "secret")
    log_in(environ, registry.host)

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")


@pytest.mark.parametrize("with_realm", [False, True])
@pytest.mark.parametrize("known", ["somebody:wrong", ""])
def test_bad_credentials_are_said_with_where_they_come_from(  # noqa: PLR0913, PLR0917
    known: str,
    with_realm: bool,  # noqa: FBT001  # a column of the table
    registry: FakeRegistry,
    layout: Layout,
    image: Descriptor,
    access: Access,
    environ: dict[str, str],
) -> None:
    registry.password = ("somebody", "secret")
    registry.realm = f"http://{registry.host}/token" if with_realm else ""
    if known:
        log_in(environ, registry.host, known)

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert ("config.json" in caught.value.message) is bool(known)
    assert f"docker login {registry.host}" in (caught.value.hint or "")
    assert "wrong" not in caught.value.render()
    assert registry.manifests.get("name", {}) == {}


def test_a_token_that_expires_in_the_middle_is_renewed(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access, environ: dict[str, str]
) -> None:
    registry.password, registry.realm, registry.token_life = ("a", "b"), f"http://{registry.host}/token", 3
    log_in(environ, registry.host, "a:b")

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")
    assert len(registry.tokens) > 3
    assert ["repository:name:pull,push"] in registry.asked_scopes


def test_an_identity_token_is_exchanged(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access, environ: dict[str, str]
) -> None:
    registry.realm, registry.identity = f"http://{registry.host}/token", "refresh"
    log_in(environ, registry.host, "u:", identitytoken="refresh")

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")
    assert registry.asked("^POST /token")


def test_a_realm_on_another_host_gets_the_password_and_nobody_else_does(
    registry: FakeRegistry,
    other_registry: FakeRegistry,
    layout: Layout,
    image: Descriptor,
    access: Access,
    environ: dict[str, str],
) -> None:
    other_registry.password = ("somebody", "secret")
    registry.realm, registry.tokens = f"http://{other_registry.host}/token", other_registry.tokens
    log_in(environ, registry.host)

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert _is_whole(registry, "name", "1")
    assert {given.partition(" ")[0] for given in registry.authorizations} == {"", "Bearer"}
    assert {given.partition(" ")[0] for given in other_registry.authorizations} == {"Basic"}


def test_where_a_realm_speaks_of_the_base_not_at_all_layers_are_sent(
    registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.realm = f"http://{registry.host}/token"
    registry.refused_scopes = ("repository:base:pull",)
    registry.blobs["base"] = {}

    push(layout, image, parse_reference(f"{registry.host}/name:1"), access(), mount_from=[f"{registry.host}/base"])

    assert _is_whole(registry, "name", "1")


@pytest.mark.parametrize("realm", ["", "ftp://{host}/token", "/token", "http://user:password@{host}/token"])
def test_a_realm_that_is_none_is_said(
    realm: str, registry: FakeRegistry, layout: Layout, image: Descriptor, access: Access
) -> None:
    registry.realm = realm.format(host=registry.host) or " "

    with pytest.raises(NetworkError) as caught:
        push(layout, image, parse_reference(f"{registry.host}/name:1"), access())

    assert registry.host in caught.value.message
