"""What a machine says of its remote: variables, a file of the user, and nothing of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel._environment import anchored, device_environment, tool_environment
from gpuwheel.compile.reuse.remote.machine_settings import (
    config_path,
    is_remote_set,
    read_remote,
    remote_requirements,
)
from gpuwheel.compile.reuse.remote.signing import SigningKey
from gpuwheel.config import load_config
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = SigningKey.new(), SigningKey.new()


def _said(tmp_path: Path, **variables: str) -> dict[str, str]:
    own = {f"GPUWHEEL_REMOTE_{name.upper()}".removesuffix("_URL"): text for name, text in variables.items()}
    return {"HOME": str(tmp_path), **own}


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ".config" / "gpuwheel" / "remote.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_there_is_none_unless_somebody_says_so(tmp_path: Path) -> None:
    assert not is_remote_set(_said(tmp_path))
    assert read_remote(_said(tmp_path)) is None
    assert remote_requirements(_said(tmp_path)) == []


def test_the_file_of_the_user(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        f"""url = "s3://bucket/prefix"
write = "main"
key-file = "main.key"
verify = 0.25
[trust]
release = ["{OTHER.public}"]
main = ["{KEY.public}", "{OTHER.public}"]
""",
    )
    (path.parent / "main.key").write_text(f"{KEY.secret}\n")
    settings = read_remote(_said(tmp_path))
    assert settings is not None
    assert settings.url == "s3://bucket/prefix"
    assert list(settings.trust) == ["release", "main"]
    assert settings.trust["main"] == {KEY.public, OTHER.public}
    assert settings.secret == KEY.secret
    assert settings.verify == 0.25
    assert KEY.secret not in repr(settings)


def test_a_variable_counts_more_than_the_file(tmp_path: Path) -> None:
    _file(tmp_path, f'url = "s3://bucket"\n[trust]\nmain = ["{KEY.public}"]\n')
    settings = read_remote(_said(tmp_path, url="https://other.example/x", trust=f"pr-1={OTHER.public}"))
    assert settings is not None
    assert settings.url == "https://other.example/x"
    assert settings.trust == {"pr-1": {OTHER.public}}, "both together would be trusted by nobody's word"
    assert read_remote(_said(tmp_path, url="off")) is None
    assert remote_requirements(_said(tmp_path, url="off")) == []


def test_a_relative_folder_of_settings_is_ignored(tmp_path: Path) -> None:
    assert config_path({"HOME": str(tmp_path), "XDG_CONFIG_HOME": "conf"}) == tmp_path / ".config/gpuwheel/remote.toml"
    assert config_path({"XDG_CONFIG_HOME": "/etc/xdg"}).as_posix() == "/etc/xdg/gpuwheel/remote.toml"


@pytest.mark.parametrize("home", [".", "conf", "~", ""])
def test_a_relative_home_does_not_make_a_project_the_user(home: str) -> None:
    assert config_path({"HOME": home, "XDG_CONFIG_HOME": home}).as_posix() == "/.config/gpuwheel/remote.toml"


@pytest.mark.parametrize("home", [".", "conf", "~"])
def test_no_more_does_it_in_a_build_where_relative_paths_mean_the_project(tmp_path: Path, home: str) -> None:
    for said in ({"HOME": home}, {"HOME": home, "XDG_CONFIG_HOME": "conf"}):
        once = anchored(said, tmp_path)
        assert config_path(once).as_posix() == "/.config/gpuwheel/remote.toml"
        assert anchored(once, tmp_path) == once
    assert config_path(anchored({"HOME": home, "XDG_CONFIG_HOME": "/x"}, tmp_path)).is_relative_to("/x")


def test_a_password_in_the_url_is_not_shown(tmp_path: Path) -> None:
    settings = read_remote(_said(tmp_path, url="https://user:hunter2@host/x", trust=f"main={KEY.public}"))
    assert settings is not None
    assert settings.shown == "https://host/x"


def test_where_a_job_sees_no_secrets_it_writes_nothing(tmp_path: Path) -> None:
    settings = read_remote(_said(tmp_path, url="s3://b", trust=f"main={KEY.public}", write="pr-7", key=""))
    assert settings is not None
    assert not settings.writes


MISTAKES = {
    "kind": {"url": "ftp://host/x", "trust": f"main={KEY.public}"},
    "no host": {"url": "s3://", "trust": f"main={KEY.public}"},
    "query": {"url": "https://host/x?token=hunter2", "trust": f"main={KEY.public}"},
    "nobody trusted": {"url": "s3://b"},
    "level": {"url": "s3://b", "trust": f"../main={KEY.public}"},
    "level with slash": {"url": "s3://b", "trust": f"a/b={KEY.public}"},
    "no key": {"url": "s3://b", "trust": "main"},
    "half a key": {"url": "s3://b", "trust": f"main={KEY.public[:-3]}"},
    "a private key": {"url": "s3://b", "trust": f"main={KEY.secret}"},
    "write": {"url": "s3://b", "write": "Main!", "key": KEY.secret},
    "public for private": {"url": "s3://b", "write": "main", "key": KEY.public},
    "cut secret": {"url": "s3://b", "write": "main", "key": KEY.secret[:-4]},
    "missing file": {"url": "s3://b", "write": "main", "key_file": "/nowhere/key"},
    "share": {"url": "s3://b", "trust": f"main={KEY.public}", "verify": "10%"},
    "share above one": {"url": "s3://b", "trust": f"main={KEY.public}", "verify": "2"},
    "share of nothing": {"url": "s3://b", "trust": f"main={KEY.public}", "verify": "nan"},
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_named_and_no_secret_is_shown(tmp_path: Path, mistake: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_remote(_said(tmp_path, **mistake))
    assert caught.value.hint
    said = caught.value.render()
    assert "hunter2" not in said
    assert KEY.secret.partition(":")[2][:12] not in said


@pytest.mark.parametrize(
    "text",
    [
        'url = "s3://b"\ntrusts = {}\n',
        'url = "s3://b"\ntrust = "main"\n',
        'url = "s3://b"\n[trust]\nmain = "ed25519:x"\n',
        'url = "s3://b"\n[trust]\nmain = [3]\n',
        "url = 3\n",
        'url = "s3://b"\nverify = true\n[trust]\n',
        "url = [",
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_remote(_said(tmp_path))
    assert str(path) in caught.value.message or "verified" in caught.value.message


def test_a_file_that_anybody_may_write_says_nothing(tmp_path: Path) -> None:
    path = _file(tmp_path, f'url = "s3://bucket"\n[trust]\nmain = ["{KEY.public}"]\n')
    path.chmod(0o666)
    with pytest.raises(ConfigError) as caught:
        read_remote(_said(tmp_path))
    assert "chmod o-w" in str(caught.value.hint)


SECRETS = {
    "GPUWHEEL_REMOTE_KEY": KEY.secret,
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "of the bucket",
    "AWS_SESSION_TOKEN": "token",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost",
}


def test_no_tool_of_a_build_sees_a_secret_of_the_remote() -> None:
    environ = {**SECRETS, "PATH": "/usr/bin"}
    assert tool_environment(environ).variables.keys() & SECRETS.keys() == set()
    assert device_environment(environ).keys() & SECRETS.keys() == set()


def test_who_compiles_through_a_bucket_of_sccache_keeps_its_credentials() -> None:
    seen = tool_environment({**SECRETS, "SCCACHE_BUCKET": "objects"}).variables
    assert seen.keys() & SECRETS.keys() == SECRETS.keys() - {"GPUWHEEL_REMOTE_KEY"}


@pytest.mark.parametrize("key", ["remote", "remote.url", "remote.trust"])
def test_a_project_has_no_say(tmp_path: Path, key: str) -> None:
    text = '[build-system]\nrequires = ["gpuwheel"]\nbuild-backend = "gpuwheel.backend"\n[project]\nname = "p"\n'
    text += 'version = "1"\nrequires-python = ">=3.10"\ndynamic = ["dependencies"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, environ={}, config_settings={f"gpuwheel.{key}": "s3://bucket"})
    assert "remote" in caught.value.message
    (tmp_path / "pyproject.toml").write_text(f'{text}[tool.gpuwheel]\n{key} = "s3://bucket"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, environ={}, config_settings={})
    assert "remote" in caught.value.message
