"""Push to, and pull from, the program that most registries are made of; skopeo looks at what is there."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fake_registry import add_image, log_in
from registries import PASSWORD, USER, HoldingProxy, docker_registry, require_programs

from gpuwheel._run import run
from gpuwheel.errors import NetworkError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import RegistryAccess, parse_reference, pull, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.publish.image.descriptors import Descriptor

MIB = 1 << 20
LARGE = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(24 * MIB // 32))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    with docker_registry(tmp_path / "registry") as found:
        yield found


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.create(tmp_path / "layout")


@pytest.fixture
def image(layout: Layout) -> Descriptor:
    return add_image(layout, [LARGE, b"small"])


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def access(environ: dict[str, str]) -> RegistryAccess:
    return RegistryAccess(environ, SilentReporter(), chunk=4 * MIB)


def _skopeo(*words: str) -> Any:  # noqa: ANN401 (JSON)
    require_programs("skopeo")
    return json.loads(run(["skopeo", *words]).stdout)


def _is_there(access: RegistryAccess, name: str, folder: Path) -> bool:
    try:
        pull(parse_reference(name), Layout.create(folder), access)
    except NetworkError:
        return False
    return True


def test_skopeo_reads_what_was_pushed_and_pulls_what_we_pull(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    pushed = push(layout, image, parse_reference(f"{host}/team/name:1"), access)

    seen = _skopeo("inspect", "--tls-verify=false", f"docker://{host}/team/name:1")
    run(
        [
            "skopeo",
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            f"docker://{host}/team/name:1",
            f"oci:{tmp_path}/copy:1",
        ]
    )

    assert seen["Digest"] == pushed.reference.digest
    assert Layout.open(tmp_path / "copy").find("1").digest == image.digest
    assert pushed.sent > len(LARGE)


def test_an_image_of_docker_is_pulled_with_its_digest(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    require_programs("skopeo")
    layout.name(add_tag(image, "1"))
    words = ["--format", "v2s2", "--dest-tls-verify=false"]
    run(["skopeo", "copy", *words, f"oci:{layout.folder}:1", f"docker://{host}/docker:1"])
    stated = _skopeo("inspect", "--tls-verify=false", f"docker://{host}/docker:1")["Digest"]

    found = pull(parse_reference(f"{host}/docker:1"), Layout.create(tmp_path / "pulled"), access)

    assert found.digest == stated != image.digest
    assert "docker" in found.media_type


def add_tag(image: Descriptor, tag: str) -> Descriptor:
    return type(image)(image.media_type, image.digest, image.size, {"org.opencontainers.image.ref.name": tag})


def test_uploads_that_break_between_parts_are_gone_on_with(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    proxy = HoldingProxy(host, upload=True)
    proxy.breaks, proxy.breaks_before = [6 * MIB, 13 * MIB], b"PATCH"

    push(layout, image, parse_reference(f"{proxy.host}/name:1"), access)

    assert proxy.breaks == []
    assert proxy.passed < len(LARGE) + MIB
    assert _is_there(access, f"{host}/name:1", tmp_path / "pulled")


def test_uploads_that_break_inside_of_a_part_begin_again(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    """This registry cancels an upload of which it has more than it has answered for."""
    proxy = HoldingProxy(host, upload=True)
    proxy.breaks = [6 * MIB, 13 * MIB]

    push(layout, image, parse_reference(f"{proxy.host}/name:1"), access)

    assert proxy.breaks == []
    assert _is_there(access, f"{host}/name:1", tmp_path / "pulled")


def test_downloads_that_break_are_gone_on_with(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    push(layout, image, parse_reference(f"{host}/name:1"), access)
    proxy = HoldingProxy(host, upload=False)
    proxy.breaks = [5 * MIB, 17 * MIB]

    other = Layout.create(tmp_path / "other")
    pulled = pull(parse_reference(f"{proxy.host}/name:1"), other, access)

    assert proxy.breaks == []
    assert pulled.digest == image.digest
    assert proxy.passed < len(LARGE) + MIB


TRANSFER = """
import sys
from pathlib import Path
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import RegistryAccess, parse_reference, pull, push

what, folder, digest, name = sys.argv[1:]
access = RegistryAccess({"HOME": "/nonexistent"}, SilentReporter(), chunk=4 << 20)
layout = Layout.create(Path(folder))
if what == "push":
    (image,) = [one for one in layout.index() if one.digest == digest]
    push(layout, image, parse_reference(name), access)
else:
    pull(parse_reference(name), layout, access)
"""


def _killed_while(proxy: HoldingProxy, *words: object) -> None:
    """Run a transfer until nothing goes on, and end it as a power cut does."""
    with subprocess.Popen([sys.executable, "-c", TRANSFER, *map(str, words)]) as process:
        assert proxy.held.wait(60)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("share", [0.2, 0.999])
def test_a_push_that_was_killed_names_nothing_and_the_next_one_finishes(
    share: float, host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    layout.name(image)
    proxy = HoldingProxy(host, upload=True)
    proxy.hold = int(len(LARGE) * share)

    _killed_while(proxy, "push", layout.folder, image.digest, f"{proxy.host}/name:1")

    assert not _is_there(access, f"{host}/name:1", tmp_path / "before")
    push(layout, image, parse_reference(f"{host}/name:1"), access)
    assert _is_there(access, f"{host}/name:1", tmp_path / "after")


def test_a_pull_that_was_killed_is_gone_on_with(
    host: str, layout: Layout, image: Descriptor, access: RegistryAccess, tmp_path: Path
) -> None:
    push(layout, image, parse_reference(f"{host}/name:1"), access)
    proxy = HoldingProxy(host, upload=False)
    proxy.hold = 12 * MIB
    folder = tmp_path / "other"

    _killed_while(proxy, "pull", folder, image.digest, f"{proxy.host}/name:1")

    other = Layout.open(folder)
    assert other.index() == ()
    assert not other.has(image)
    rest = HoldingProxy(host, upload=False)
    pulled = pull(parse_reference(f"{rest.host}/name:1"), other, access)
    assert pulled.digest == image.digest
    # Of the 12 MiB that had passed, some were in buffers of sockets when it was killed.
    assert rest.passed < len(LARGE) - MIB
    assert [path for path in (folder / "blobs/sha256").iterdir() if path.name.startswith(".")] == []


def test_a_password_is_wanted_and_taken(
    layout: Layout, image: Descriptor, access: RegistryAccess, environ: dict[str, str], tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "closed", password=True) as host:
        reference = parse_reference(f"{host}/name:1")
        with pytest.raises(NetworkError, match="wants credentials"):
            push(layout, image, reference, access)
        log_in(environ, host, f"{USER}:wrong")
        with pytest.raises(NetworkError, match="refuses the credentials"):
            push(layout, image, reference, access)
        log_in(environ, host, f"{USER}:{PASSWORD}")
        push(layout, image, reference, access)

        seen = _skopeo("inspect", "--tls-verify=false", "--creds", f"{USER}:{PASSWORD}", f"docker://{host}/name:1")

    assert seen["Digest"] == image.digest


def test_what_skopeo_logs_in_to_we_are_let_into(
    layout: Layout, image: Descriptor, access: RegistryAccess, environ: dict[str, str], tmp_path: Path
) -> None:
    require_programs("skopeo")
    environ["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    with docker_registry(tmp_path / "closed", password=True) as host:
        words = ["--tls-verify=false", "--username", USER, "--password-stdin", host]
        run(["skopeo", "login", *words], stdin=PASSWORD, env=environ)

        push(layout, image, parse_reference(f"{host}/name:1"), access)

        assert _is_there(access, f"{host}/name:1", tmp_path / "pulled")


def test_a_certificate_is_checked_unless_somebody_says_otherwise(
    layout: Layout, image: Descriptor, environ: dict[str, str], tmp_path: Path
) -> None:
    with docker_registry(tmp_path / "tls", tls=True) as host:
        reference = parse_reference(f"{host}/name:1")
        with pytest.raises(NetworkError, match="cannot be trusted") as caught:
            push(layout, image, reference, RegistryAccess(environ, SilentReporter()))
        insecure = push(layout, image, reference, RegistryAccess(environ, SilentReporter(), frozenset({host})))
        environ["SSL_CERT_FILE"] = str(tmp_path / "tls" / "cert.pem")
        trusted = push(layout, image, reference, RegistryAccess(environ, SilentReporter()))

    assert "--insecure-registry" in (caught.value.hint or "")
    assert insecure.sent > len(LARGE)
    assert trusted.sent == 0
