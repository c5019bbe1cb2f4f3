"""The index is the one that the user has told pip or uv."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.index.settings import DEFAULT_INDEX, IndexSettings, read_index_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home/.config/pip").mkdir(parents=True)
    (tmp_path / "home/.config/uv").mkdir(parents=True)
    return tmp_path / "home"


def _read(home: Path, **environ: str) -> IndexSettings:
    return read_index_settings({"HOME": str(home), **environ}, root=home.parent)


def _pip(home: Path, text: str) -> None:
    (home / ".config/pip/pip.conf").write_text(text, encoding="utf-8")


def _uv(home: Path, text: str) -> None:
    (home / ".config/uv/uv.toml").write_text(text, encoding="utf-8")


def test_pypi_is_the_default(home: Path) -> None:
    assert _read(home) == IndexSettings(indexes=(DEFAULT_INDEX,))


def test_the_order_is_ours_then_uv_then_pip(home: Path) -> None:
    _pip(home, "[global]\nindex-url = https://file.pip\n")
    assert _read(home).indexes == ("https://file.pip",)
    pip = {"PIP_INDEX_URL": "https://pip"}
    assert _read(home, **pip).indexes == ("https://pip",)
    _uv(home, 'index-url = "https://file.uv"')
    assert _read(home, **pip).indexes == ("https://file.uv",)
    uv = {"UV_DEFAULT_INDEX": "corp=https://uv/simple?a=b"}
    assert _read(home, **pip, **uv).indexes == ("https://uv/simple?a=b",)
    assert _read(home, **pip, UV_INDEX_URL="https://old.uv").indexes == ("https://old.uv",)
    assert _read(home, **pip, **uv, GPUWHEEL_INDEX_URL="https://ours").indexes == ("https://ours",)


def test_further_indexes_and_folders_of_both_are_kept(home: Path) -> None:
    _pip(home, "[global]\nextra-index-url =\n  https://one\n  https://two\n[install]\nfind_links = /wheels\n")
    _uv(home, '[[index]]\nurl = "https://three"\n[[index]]\nname = "main"\nurl = "https://four"\ndefault = true\n')
    settings = _read(home, UV_INDEX="five=https://five https://one", UV_FIND_LINKS="/a,/b")
    assert settings.indexes == ("https://four", "https://five", "https://one", "https://three", "https://two")
    assert settings.find_links == ("/a", "/b", "/wheels")


def test_pip_files_rise_in_precedence(home: Path) -> None:
    (home.parent / "etc").mkdir()
    (home.parent / "etc/pip.conf").write_text("[global]\nindex-url=https://system\ntimeout=7\n", encoding="utf-8")
    assert _read(home).indexes == ("https://system",)
    _pip(home, "[global]\nindex-url=https://user\n")
    assert _read(home).indexes == ("https://user",)
    chosen = home / "chosen.conf"
    chosen.write_text("[global]\nindex-url=https://chosen\n", encoding="utf-8")
    settings = _read(home, PIP_CONFIG_FILE=str(chosen))
    assert settings.indexes == ("https://chosen",)
    assert settings.timeout == 7.0
    assert _read(home, PIP_CONFIG_FILE=os.devnull).indexes == (DEFAULT_INDEX,)


def test_how_to_reach_it(home: Path) -> None:
    _pip(home, "[global]\ntrusted-host = one two:8080\nproxy = http://proxy:3128\nretries = 0\ncert = /pip.pem\n")
    settings = _read(home, SSL_CERT_FILE="/ssl.pem")
    assert settings.trusted_hosts == {"one", "two:8080"}
    assert settings.proxy == "http://proxy:3128"
    assert settings.retries == 0
    assert settings.ca_bundle == "/pip.pem"
    assert _read(home, PIP_CONFIG_FILE=os.devnull, SSL_CERT_FILE="/ssl.pem").ca_bundle == "/ssl.pem"
    assert _read(home, PIP_CONFIG_FILE=os.devnull, CURL_CA_BUNDLE="/curl.pem").ca_bundle == "/curl.pem"


@pytest.mark.parametrize("name", ["PIP_NO_INDEX", "UV_NO_INDEX"])
def test_no_index_leaves_the_folders(home: Path, name: str) -> None:
    settings = _read(home, PIP_FIND_LINKS="/wheels", **{name: "1"})
    assert settings.indexes == ()
    assert settings.find_links == ("/wheels",)
    assert _read(home, **{name: "false"}).indexes == (DEFAULT_INDEX,)


def test_uv_can_be_told_to_read_nothing(home: Path) -> None:
    _uv(home, "not toml")
    assert _read(home, UV_NO_CONFIG="1").indexes == (DEFAULT_INDEX,)
    with pytest.raises(ConfigError, match=r"uv\.toml cannot be read"):
        _read(home)


def test_files_that_cannot_be_parsed_are_named(home: Path) -> None:
    _pip(home, "index-url = x\n")
    with pytest.raises(ConfigError, match=r"pip\.conf cannot be read"):
        _read(home)


def test_a_number_that_is_none_is_named(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"retries is not a number \('many'"):
        _read(home, PIP_RETRIES="many")
