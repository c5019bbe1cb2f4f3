"""The lock file: what it holds, what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from packaging.pylock import Pylock, is_valid_pylock_path

from gpuwheel import __version__
from gpuwheel._resources import resource
from gpuwheel._toml import parse_toml
from gpuwheel.errors import LockError, ToolchainError
from gpuwheel.lock.check import (
    BuildInputs,
    check_inputs,
    check_installed,
    check_requirements,
    locked_requirements,
    make_lock,
    pin_digests,
)
from gpuwheel.lock.fetch import fetch_packages
from gpuwheel.lock.file import LOCK_FILE, Lock, parse_lock, read_lock, render_lock
from gpuwheel.lock.resolve import resolve
from gpuwheel.model.toolchain import HostCompiler

if TYPE_CHECKING:
    from package_index import IndexServer

    from gpuwheel.model.pins import HeadersPin, Pin
    from gpuwheel.toolchain import Context

HOST = HostCompiler(Path("/usr/bin/c++"), 'g++ "14" (Ä 14.2) 14.2', "x86_64-linux-gnu", "PATH")
"""With what a TOML string must escape."""


@pytest.fixture
def inputs(pins: tuple[Pin, ...], torch_pin: HeadersPin) -> BuildInputs:
    return BuildInputs(pins, (torch_pin,), HOST, {"link stubs": "0" * 64})


@pytest.fixture
def requirements(index: IndexServer, pins: tuple[Pin, ...]) -> list[str]:
    for version in ("4.1", "4.4"):
        index.publish("cmake", version, {"cmake/__init__.py": b""})
    return ["cmake>=3.26", *(pin.requirement for pin in pins)]


@pytest.fixture
def lock(requirements: list[str], inputs: BuildInputs, context: Context) -> Lock:
    packages = resolve(requirements, machines=["x86_64"], oldest_python="3.10", context=context)
    return parse_lock(render_lock(make_lock(packages, inputs)).encode(), LOCK_FILE)


def test_its_name_is_one_that_installers_take() -> None:
    assert is_valid_pylock_path(Path(LOCK_FILE))


def test_it_holds_everything_with_digests(lock: Lock, pins: tuple[Pin, ...], torch_pin: HeadersPin) -> None:
    packages = {package.name: package for package in lock.packages.packages}
    assert packages.keys() == {"cmake", *(pin.name for pin in pins)}
    assert str(packages["cmake"].version) == "4.4"
    for pin in pins:
        (wheel,) = packages[pin.name].wheels or ()
        assert (wheel.filename, wheel.hashes["sha256"]) == (pin.files[0].filename, pin.files[0].sha256)
    assert lock.headers == {torch_pin.requirement: torch_pin.digest}
    assert (lock.host.identity, lock.host.target) == (HOST.identity, HOST.target)
    assert lock.version == __version__


def test_the_text_is_a_lock_file_as_pep_751_says(lock: Lock) -> None:
    document = parse_toml(render_lock(lock).encode())
    assert {str(package.name) for package in Pylock.from_dict(document).packages} == {
        package.name for package in lock.packages.packages
    }
    schema = json.loads(resource("data", "lock.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document["tool"]["gpuwheel"], schema)


def test_the_same_lock_gives_the_same_text(lock: Lock) -> None:
    text = render_lock(lock)
    again = parse_lock(text.encode(), LOCK_FILE)
    assert render_lock(again) == text
    assert again.digest == lock.digest


def test_pip_resolves_where_there_is_no_uv(
    requirements: list[str],
    inputs: BuildInputs,
    context: Context,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    packages = resolve(requirements, machines=["x86_64"], oldest_python="3.10", context=context)
    assert packages.environments is not None
    lock = parse_lock(render_lock(make_lock(packages, inputs)).encode(), LOCK_FILE)
    check_inputs(lock, inputs)
    assert "cmake==4.4" in locked_requirements(lock)


def test_requirements_that_nothing_satisfies(context: Context, requirements: list[str]) -> None:
    with pytest.raises(ToolchainError, match="no set of packages") as caught:
        resolve([*requirements, "cmake>=99"], machines=["x86_64"], oldest_python="3.10", context=context)
    assert "99" in str(caught.value.detail)


def test_a_build_that_uses_what_it_names_is_allowed(
    lock: Lock, inputs: BuildInputs, requirements: list[str], pins: tuple[Pin, ...]
) -> None:
    check_inputs(lock, inputs)
    check_requirements(lock, requirements)
    check_installed(lock, without=pins, version={"cmake": "4.4"}.get)
    assert locked_requirements(lock) == sorted(["cmake==4.4", *(pin.requirement for pin in pins)])


def test_the_environments_of_a_matrix_hold_the_gpuwheel_that_is_locked(
    requirements: list[str], index: IndexServer, inputs: BuildInputs, pins: tuple[Pin, ...], context: Context
) -> None:
    index.publish("gpuwheel", "0.7", {"gpuwheel/__init__.py": b""})
    packages = resolve([*requirements, "gpuwheel"], machines=["x86_64"], oldest_python="3.10", context=context)
    lock = parse_lock(render_lock(make_lock(packages, inputs)).encode(), LOCK_FILE)

    check_installed(lock, without=pins, version={"cmake": "4.4", "gpuwheel": "0.7+src12ab"}.get)
    with pytest.raises(LockError, match=r"gpuwheel is 0\.8 \(the lock says 0\.7\)"):
        check_installed(lock, without=pins, version={"cmake": "4.4", "gpuwheel": "0.8+src12ab"}.get)


def test_another_file_of_a_pin_is_refused(lock: Lock, inputs: BuildInputs) -> None:
    pin = inputs.pins[1]
    file = replace(pin.files[0], sha256="f" * 64)
    other = replace(inputs, pins=(inputs.pins[0], replace(pin, files=(file,)), *inputs.pins[2:]))
    with pytest.raises(LockError) as caught:
        check_inputs(lock, other)
    assert f"{file.filename} has sha256 {'f' * 64} (the lock says {pin.files[0].sha256})" in caught.value.message
    assert "gpuwheel lock" in str(caught.value.hint)


def test_every_difference_is_named(lock: Lock, inputs: BuildInputs, crt_pin: HeadersPin) -> None:
    torch = replace(inputs.headers[0], digest="e" * 64)
    other = BuildInputs(
        (replace(inputs.pins[0], version="12.9.2"), *inputs.pins[1:]),
        (torch, crt_pin),
        replace(HOST, identity="g++ 15"),
        {"link stubs": "1" * 64},
    )
    with pytest.raises(LockError) as caught:
        check_inputs(replace(lock, version="0.0.1"), other)
    assert "and 5 more, listed above" in caught.value.message
    detail = str(caught.value.detail)
    assert f"gpuwheel is {__version__} (the lock says 0.0.1)" in detail
    assert "cuda-bindings==12.9.2 is used (the lock says 12.9.1)" in detail
    assert f"the digest of the headers of torch==9.9 is {'e' * 64} (the lock says" in detail
    assert f"nvidia-cuda-nvcc-cu12==12.9.2 is {crt_pin.digest} (the lock says nothing)" in detail
    assert f"the digest of link stubs is {'1' * 64} (the lock says {'0' * 64})" in detail
    assert "the C++ compiler is g++ 15 for x86_64-linux-gnu (the lock says g++" in detail


@pytest.mark.parametrize(("found", "said"), [({"cmake": "4.1"}, "4.1"), ({}, "not installed")])
def test_an_environment_of_other_packages_is_refused(
    lock: Lock, pins: tuple[Pin, ...], found: dict[str, str], said: str
) -> None:
    with pytest.raises(LockError) as caught:
        check_installed(lock, without=pins, version=found.get)
    assert f"cmake is {said} (the lock says 4.4)" in caught.value.message
    assert f"pip install -r {LOCK_FILE}" in str(caught.value.hint)


def test_new_build_requirements_make_a_lock_old(lock: Lock) -> None:
    with pytest.raises(LockError, match=r"numpy>=2 is required \(the lock says nothing\)"):
        check_requirements(lock, ["cmake", "numpy>=2", "tomli; python_version < '3'"])


def test_an_index_with_another_file_under_a_pinned_name_is_refused(
    index: IndexServer, requirements: list[str], inputs: BuildInputs, context: Context
) -> None:
    pin = inputs.pins[1]
    index.projects[pin.name] = {}
    index.publish(pin.name, pin.version, {"other": b"content"})
    packages = resolve(requirements, machines=["x86_64"], oldest_python="3.10", context=context)
    with pytest.raises(LockError, match="does not have what gpuwheel pins"):
        make_lock(packages, inputs)


def test_files_that_only_the_cache_holds_are_locked_by_name(
    lock: Lock, inputs: BuildInputs, crt_pin: HeadersPin
) -> None:
    (file,) = crt_pin.files
    assert pin_digests([crt_pin]) == {file.filename: file.sha256}
    with pytest.raises(LockError, match=f"the digest of {file.filename} is {file.sha256}"):
        check_inputs(lock, replace(inputs, digests=pin_digests([crt_pin])))


def test_there_is_no_lock(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="does not exist"):
        read_lock(tmp_path / LOCK_FILE)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("not toml", "is not a lock file"),
        ('lock-version = "1.0"', "is not a lock file"),
        ('lock-version = "1.0"\ncreated-by = "pip"\npackages = []', "lacks 'tool'"),
        (
            'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n[tool.gpuwheel]\nschema = 99',
            "was written by another gpuwheel",
        ),
    ],
)
def test_a_file_that_is_no_lock_of_ours(text: str, wrong: str) -> None:
    with pytest.raises(LockError, match=wrong) as caught:
        parse_lock(text.encode(), LOCK_FILE)
    assert "gpuwheel lock" in str(caught.value.hint)


def test_its_packages_are_fetched_by_digest(lock: Lock, index: IndexServer, context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    fetch_packages(lock, folder, context)
    names = {wheel.filename for package in lock.packages.packages for wheel in package.wheels or ()}
    assert {path.name for path in folder.iterdir()} == names
    asked = len([request for request in index.requests if request.startswith("/files")])
    fetch_packages(lock, folder, context)
    assert len([request for request in index.requests if request.startswith("/files")]) == asked
