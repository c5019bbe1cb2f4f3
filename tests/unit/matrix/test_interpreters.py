"""Which interpreter stands for a version: each is asked, and what answers wrongly or not at all is passed over."""

from __future__ import annotations

import json
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ToolchainError
from gpuwheel.matrix.interpreters import find_interpreter
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"platform": sysconfig.get_platform(), "abi": "cpython-39-x86_64-linux-gnu", "has_headers": True}


def _program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def _python(path: Path, version: str, **facts: object) -> Path:
    """A program that says it is a Python; 3.99 exists on no machine."""
    answer = {"program": str(path), "version": version, "release": f"{version}.0", **HERE, **facts}
    return _program(path, f"echo '{json.dumps(answer)}'")


def _environ(tmp_path: Path, *folders: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": ":".join([*(str(tmp_path / folder) for folder in folders), "/bin"])}


def test_the_running_one_stands_for_its_version(tmp_path: Path) -> None:
    found = find_interpreter(running_python(), {"PATH": "", "HOME": str(tmp_path)})

    assert found.version == running_python()
    assert found.program.samefile(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.mark.parametrize(
    "place",
    [
        "one/python3.99",
        "one/python3",
        ".pyenv/versions/3.99.1/bin/python3.99",
        ".local/share/uv/python/cpython-3.99.1-linux-x86_64-gnu/bin/python3.99",
    ],
)
def test_places_where_pythons_are_kept(tmp_path: Path, place: str) -> None:
    program = _python(tmp_path / place, "3.99")

    assert find_interpreter("3.99", _environ(tmp_path, "one")).program == program


@pytest.mark.parametrize(
    ("variable", "place"),
    [("PYENV_ROOT", "versions/3.99.1/bin"), ("UV_PYTHON_INSTALL_DIR", "cpython-3.99.1/bin")],
)
def test_folders_that_variables_name(tmp_path: Path, variable: str, place: str) -> None:
    program = _python(tmp_path / "moved" / place / "python3.99", "3.99")

    assert find_interpreter("3.99", {**_environ(tmp_path), variable: str(tmp_path / "moved")}).program == program


@pytest.mark.parametrize(
    "body",
    [
        "echo 'pyenv: python3.99: command not found' >&2; exit 127",
        "echo Python 3.99",
        "echo '[1, 2]'",
        "echo '{}'",
        "kill -SEGV $$",
    ],
    ids=["a shim", "no JSON", "a list", "no facts", "a crash"],
)
def test_what_is_no_python_is_passed_over(tmp_path: Path, body: str) -> None:
    _program(tmp_path / "one/python3.99", body)
    program = _python(tmp_path / "two/python3.99", "3.99")

    assert find_interpreter("3.99", _environ(tmp_path, "one", "two")).program == program


def test_a_program_that_cannot_start_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/python3.99").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "one/python3.99").chmod(0o755)
    (tmp_path / "one/python3").symlink_to(tmp_path / "nowhere")
    program = _python(tmp_path / "two/python3.99", "3.99")

    assert find_interpreter("3.99", _environ(tmp_path, "one", "two")).program == program


@pytest.mark.parametrize(
    "facts",
    [
        {"version": "3.98"},
        {"version": "3.99t"},
        {"version": "pypy3.99"},
        {"abi": "cpython-399d-x86_64-linux-gnu"},
        {"abi": "cpython-399-x86_64-linux-musl"},
        {"platform": "linux-i686"},
    ],
    ids=lambda facts: " ".join(facts.values()),
)
def test_a_python_of_another_kind_is_passed_over(tmp_path: Path, facts: dict[str, str]) -> None:
    _python(tmp_path / "one/python3.99", **{"version": "3.99", **facts})
    program = _python(tmp_path / "two/python3.99", "3.99")

    assert find_interpreter("3.99", _environ(tmp_path, "one", "two")).program == program


def test_a_python_with_its_headers_comes_first_and_one_without_is_better_than_none(tmp_path: Path) -> None:
    bare = _python(tmp_path / "one/python3.99", "3.99", has_headers=False)
    environ = _environ(tmp_path, "one", "two")
    assert find_interpreter("3.99", environ).program == bare

    whole = _python(tmp_path / "two/python3.99", "3.99")
    assert find_interpreter("3.99", environ).program == whole


def test_the_newest_release_of_a_kept_version_is_taken(tmp_path: Path) -> None:
    for release in ("3.99.2", "3.99.10", "3.99.9"):
        _python(tmp_path / f".pyenv/versions/{release}/bin/python3.99", "3.99")

    assert "3.99.10" in str(find_interpreter("3.99", _environ(tmp_path)).program)


def test_a_free_threaded_python_has_its_own_name(tmp_path: Path) -> None:
    program = _python(tmp_path / "one/python3.99t", "3.99t")

    assert find_interpreter("3.99t", _environ(tmp_path, "one")).program == program


def test_a_python_that_is_not_installed(tmp_path: Path) -> None:
    shim = _program(tmp_path / "one/python3.99", "echo 'not installed' >&2; exit 127")

    with pytest.raises(ToolchainError, match=r"Python 3\.99 is not installed") as caught:
        find_interpreter("3.99", _environ(tmp_path, "one"))

    assert "uv python install 3.99" in str(caught.value.hint)
    assert f"{shim}: no Python (exit status 127: not installed)" in str(caught.value.detail)


def test_an_interpreter_that_was_replaced_is_another(tmp_path: Path) -> None:
    program = _python(tmp_path / "one/python3.99", "3.99")
    environ = _environ(tmp_path, "one")
    before = find_interpreter("3.99", environ)
    first = before.identity
    program.write_text(program.read_text() + "\n")

    assert find_interpreter("3.99", environ) == before
    assert before.identity != first
