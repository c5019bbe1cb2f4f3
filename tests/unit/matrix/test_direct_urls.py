"""Requirements by URL: as pip's report tells of them, and what lies at those of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from gpuwheel.matrix.direct_urls import local_digests, url_of
from gpuwheel.matrix.environments import BuildEnvironments
from gpuwheel.matrix.installers import _exact
from gpuwheel.matrix.interpreters import find_interpreter
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "41b1e1ee0ebbe9c0b4ee4ee1b2ed1e3ff5ac5d6a"
SHA = "ab" * 32


@pytest.mark.parametrize(
    ("told", "url"),
    [
        (
            {
                "url": "https://example.org/ops.git",
                "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT},
                "subdirectory": "python/ops",
            },
            f"git+https://example.org/ops.git@{COMMIT}#subdirectory=python/ops",
        ),
        (
            {"url": "ssh://git@example.org/ops", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"git+ssh://git@example.org/ops@{COMMIT}",
        ),
        (
            {
                "url": "https://example.org/ops.zip",
                "archive_info": {"hash": f"sha256={SHA}", "hashes": {"sha256": SHA}},
                "subdirectory": "ops",
            },
            f"https://example.org/ops.zip#sha256={SHA}&subdirectory=ops",
        ),
        # pip before 22.3 knew one hash; and there may be none.
        (
            {"url": "file:///a/ops-1.tar.gz", "archive_info": {"hash": f"sha256={SHA}"}},
            f"file:///a/ops-1.tar.gz#sha256={SHA}",
        ),
        ({"url": "file:///a/ops-1.tar.gz", "archive_info": {}}, "file:///a/ops-1.tar.gz"),
        ({"url": "file:///a/ops", "dir_info": {}}, "file:///a/ops"),
    ],
    ids=["git", "ssh", "archive", "one hash", "no hash", "folder"],
)
def test_what_is_installed_again_is_what_was_resolved(told: dict[str, object], url: str) -> None:
    assert url_of(told) == url
    assert Requirement(f"ops @ {url_of(told)}").url == url


def test_a_line_of_pips_report_keeps_commit_and_folder() -> None:
    info = {"url": "https://example.org/ops.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}, "subdirectory": "a"}
    metadata = {"name": "ops", "version": "1"}

    direct = _exact({"metadata": metadata, "is_direct": True, "download_info": info})

    assert direct == f"ops @ git+https://example.org/ops.git@{COMMIT}#subdirectory=a"
    assert _exact({"metadata": metadata, "is_direct": False, "download_info": info}) == "ops==1"


def test_an_environment_is_named_by_the_content_of_local_files(tmp_path: Path) -> None:
    interpreter, wheel = find_interpreter(running_python(), {}), tmp_path / "ops-1-py3-none-any.whl"
    named = [f"ops @ {wheel.as_uri()}"]
    wheel.write_bytes(b"1")
    before = BuildEnvironments._key(interpreter, named)  # noqa: SLF001  (what makes one asks the network)

    assert BuildEnvironments._key(interpreter, named) == before  # noqa: SLF001
    wheel.write_bytes(b"2")
    assert BuildEnvironments._key(interpreter, named) != before  # noqa: SLF001


def test_another_content_under_one_path_is_another_environment(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "a b-1.whl", tmp_path / "sources"
    wheel.write_bytes(b"1")
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "code.py").write_text("1")
    named = [f"a @ {wheel.as_uri()}", f'b @ {folder.as_uri()} ; python_version >= "3"', "c==1"]

    before = local_digests(named)
    assert list(before) == named[:2]
    assert local_digests(named) == before

    wheel.write_bytes(b"2")
    assert local_digests(named)[named[0]] != before[named[0]]
    (folder / "inner" / "code.py").rename(folder / "inner" / "other.py")
    assert local_digests(named)[named[1]] != before[named[1]]
    wheel.unlink()
    assert local_digests(named)[named[0]] == ""


def test_a_commit_of_a_repository_on_this_machine_says_itself_what_is_there(tmp_path: Path) -> None:
    assert local_digests([f"a @ git+{tmp_path.as_uri()}@{COMMIT}"]) == {}
