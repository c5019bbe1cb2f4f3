"""Credentials are found where docker and podman keep them, and are shown nowhere."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.publish.registry.credential_files import credentials_for
from gpuwheel.publish.registry.image_reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from heard import Heard

    from gpuwheel.publish.registry.credential_files import Credentials

    Find = Callable[[str], Any]

SECRET = "hunter2:with:colons"  # noqa: S105  # nobody's


def _auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture
def find(environ: dict[str, str], reporter: Heard) -> Find:
    def found(name: str) -> Credentials | None:
        return credentials_for(parse_reference(name), environ, reporter.warn)

    return found


PLACES = [
    ("REGISTRY_AUTH_FILE", "auth-file.json"),
    ("DOCKER_CONFIG", "docker/config.json"),
    ("XDG_RUNTIME_DIR", "run/containers/auth.json"),
    ("XDG_CONFIG_HOME", "config/containers/auth.json"),
    (None, "home/.docker/config.json"),
]


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_each_place_is_read_and_an_earlier_one_wins(
    first: int, tmp_path: Path, environ: dict[str, str], find: Find
) -> None:
    for variable, file in PLACES[first:]:
        _write(tmp_path / file, {"auths": {"ghcr.io": _auth(file)}})
        if variable == "REGISTRY_AUTH_FILE":
            environ[variable] = str(tmp_path / file)
        elif variable:
            environ[variable] = str(tmp_path / file.partition("/")[0])

    assert find("ghcr.io/o/n").username == PLACES[first][1]
    assert find("ghcr.io/o/n").password == SECRET
    assert find("quay.io/o/n") is None


def test_the_entry_of_a_namespace_beats_that_of_its_host(tmp_path: Path, find: Find) -> None:
    table = {"q.io": _auth("host"), "q.io/team": _auth("team"), "q.io/team/one": _auth("one")}
    _write(tmp_path / "run/containers/auth.json", {"auths": table})

    users = [find(name).username for name in ("q.io/x", "q.io/team/two", "q.io/team/one", "q.io/teams/one")]

    assert users == ["host", "team", "one", "host"]


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_is_found_under_each_of_its_names(key: str, tmp_path: Path, find: Find) -> None:
    _write(tmp_path / "home/.docker/config.json", {"auths": {key: _auth("me")}})

    assert find("python").username == "me"


def test_keys_that_are_urls_mean_their_host(tmp_path: Path, find: Find) -> None:
    _write(tmp_path / "home/.docker/config.json", {"auths": {"https://a.lan:5000/v2/": _auth("me")}})

    assert find("a.lan:5000/n").username == "me"
    assert find("a.lan/n") is None


def test_tokens_are_taken_for_what_they_are(tmp_path: Path, find: Find) -> None:
    entries = {"a.io": {**_auth("u"), "identitytoken": "I"}, "b.io": {"registrytoken": "R"}, "c.io": {}}
    _write(tmp_path / "home/.docker/config.json", {"auths": entries})

    assert (find("a.io/n").identity_token, find("b.io/n").registry_token, find("c.io/n")) == ("I", "R", None)


def _helper(tmp_path: Path, environ: dict[str, str], script: str, name: str = "tests") -> None:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / f"docker-credential-{name}").write_text(f"#!/bin/sh\n{script}\n")
    (folder / f"docker-credential-{name}").chmod(0o755)
    environ["PATH"] = f"{folder}:/usr/bin:/bin"


ANSWER = (
    """read server; [ "$1" = get ] && printf '{"ServerURL": "%s", "Username": "%s", "Secret": "s"}' $server $server"""
)


@pytest.mark.parametrize("setting", [{"credsStore": "tests"}, {"credHelpers": {"a.io": "tests", "docker.io": "tests"}}])
def test_a_helper_is_asked_for_the_server(
    setting: dict[str, Any], tmp_path: Path, environ: dict[str, str], find: Find
) -> None:
    _helper(tmp_path, environ, ANSWER)
    _write(tmp_path / "home/.docker/config.json", setting)

    assert find("a.io/n").username == "a.io"
    assert find("python").username == "https://index.docker.io/v1/"
    assert (find("b.io/n") is None) is ("credHelpers" in setting)


def test_a_helper_may_have_an_identity_token(tmp_path: Path, environ: dict[str, str], find: Find) -> None:
    _helper(tmp_path, environ, """cat >&2; printf '{"Username": "<token>", "Secret": "I"}'""")
    _write(tmp_path / "home/.docker/config.json", {"credsStore": "tests"})

    assert (find("a.io/n").identity_token, find("a.io/n").username) == ("I", "")


@pytest.mark.parametrize(
    ("script", "warned"),
    [
        ("echo credentials not found in native keychain; exit 1", False),
        (f"echo {SECRET}; exit 3", True),
        (f"echo {SECRET}", True),
        ("exec cat /dev/null", True),
    ],
)
def test_a_helper_that_has_nothing_is_passed_over(
    script: str,
    warned: bool,  # noqa: FBT001  # a column of the table
    tmp_path: Path,
    environ: dict[str, str],
    find: Find,
    reporter: Heard,
) -> None:
    _helper(tmp_path, environ, script)
    _write(tmp_path / "home/.docker/config.json", {"credsStore": "tests", "auths": {"b.io": _auth("b")}})

    assert find("a.io/n") is None
    assert find("b.io/n").username == "b"
    assert bool(reporter.warnings) is warned
    assert SECRET not in "".join(reporter.warnings)


def test_a_helper_that_is_missing_is_passed_over(tmp_path: Path, find: Find, reporter: Heard) -> None:
    _write(tmp_path / "home/.docker/config.json", {"credsStore": "of-a-desktop"})

    assert find("a.io/n") is None
    assert "docker-credential-of-a-desktop" in reporter.warnings[0]


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "", 7, "-x"])
def test_the_name_of_a_helper_is_no_path(name: object, tmp_path: Path, find: Find) -> None:
    _write(tmp_path / "home/.docker/config.json", {"credHelpers": {"a.io": name}})
    if name == "":
        assert find("a.io/n") is None
        return
    with pytest.raises(ConfigError):
        find("a.io/n")


@pytest.mark.parametrize(
    "document",
    [[], {"auths": []}, {"auths": {"a.io": {"auth": SECRET}}}, {"auths": {"a.io": "x"}}, {"credHelpers": 1}, 5],
)
def test_a_damaged_file_is_named_and_its_secrets_are_not(document: object, tmp_path: Path, find: Find) -> None:
    path = tmp_path / "home/.docker/config.json"
    _write(path, document)

    if document == {"auths": []}:
        assert find("a.io/n") is None
        return
    with pytest.raises(ConfigError) as caught:
        find("a.io/n")

    assert str(path) in caught.value.message
    assert SECRET not in caught.value.render()


def test_nothing_shows_a_secret(tmp_path: Path, find: Find) -> None:
    _write(tmp_path / "home/.docker/config.json", {"auths": {"a.io": {**_auth("me"), "identitytoken": "I-secret"}}})

    shown = repr(find("a.io/n"))

    assert "me" not in shown.replace("home", "")
    assert not any(secret in shown for secret in (SECRET, "I-secret"))
