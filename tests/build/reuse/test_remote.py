"""A remote beneath the cache of real builds: what comes of it, and what never does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from object_server import http_store, swift, swift_is_installed

from gpuwheel._cache import Cache
from gpuwheel.compile.reuse.remote.envelope import sealed_envelope
from gpuwheel.compile.reuse.remote.signing import SigningKey
from gpuwheel.compile.reuse.store import ContentStore, Stored, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]
MAIN, PULL, OTHER = SigningKey.new(), SigningKey.new(), SigningKey.new()
TRUST = f"main={MAIN.public}"
LIBRARY, BILL = "told/_C.so", "told-1.0.dist-info/sboms/gpuwheel.cdx.json"


@dataclass
class Wheel:
    status: int
    log: str
    members: dict[str, bytes]

    @property
    def library(self) -> bytes:
        return self.members[LIBRARY]

    @property
    def origins(self) -> list[dict[str, Any]]:
        """What the bill of materials says that came from a remote."""
        return [one for one in json.loads(self.members[BILL])["components"] if one["type"] == "file"]

    @property
    def compiled(self) -> bool:
        return "Building CXX object" in self.log


class Machine:
    """One that has downloaded what builds need, and has compiled nothing."""

    def __init__(self, project: Project, folder: Path) -> None:
        folder.mkdir()
        self.root, self.cache, self.folder = folder / "project", folder / "cache", folder
        shutil.copytree(project.root, self.root)
        for place in [project.cache / "v1" / "sdk", *(project.cache / "v1" / "toolchains").glob("stubs-*")]:
            shutil.copytree(place, self.cache / place.relative_to(project.cache), copy_function=_linked, symlinks=True)

    def build(self, **said: str) -> Wheel:
        """Build as a frontend does; `said`: of the remote, or whole variables."""
        out = self.folder / "dist"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        own = {name if name.isupper() else f"GPUWHEEL_REMOTE_{name.upper()}": text for name, text in said.items()}
        environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(self.cache), "XDG_CONFIG_HOME": str(self.folder), **own}
        code = f"from gpuwheel import backend; backend.build_wheel({str(out)!r})"
        done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
            [sys.executable, "-c", code],
            cwd=self.root,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        wheels = list(out.glob("*.whl"))
        if not wheels:
            return Wheel(done.returncode, done.stdout, {})
        with zipfile.ZipFile(wheels[0]) as archive:
            return Wheel(done.returncode, done.stdout, {name: archive.read(name) for name in archive.namelist()})


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


@pytest.fixture
def project(project: Project) -> Project:
    """It, built once, so that what it takes is downloaded; without a remote."""
    project.write("csrc/more.cpp", "int more(int value) { return value + 1; }\n")
    project.build()
    return project


@pytest.fixture(params=["folder", "http", pytest.param("swift", marks=pytest.mark.swift)])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables that name one of each kind."""
    if request.param == "folder":
        (tmp_path / "remote").mkdir()
        yield {"GPUWHEEL_REMOTE": (tmp_path / "remote").as_uri()}
    elif request.param == "http":
        with http_store() as server:
            yield {"GPUWHEEL_REMOTE": server.url}
    elif not swift_is_installed():
        pytest.skip("OpenStack Swift is not installed")
    else:
        with swift(tmp_path / "swift", "objects") as variables:
            yield {**variables, "GPUWHEEL_REMOTE": "s3://objects/gpuwheel"}


def test_a_machine_without_a_cache_compiles_nothing(project: Project, tmp_path: Path, remote: dict[str, str]) -> None:
    first, second = Machine(project, tmp_path / "first"), Machine(project, tmp_path / "second")
    made = first.build(**remote, write="main", key=MAIN.secret)
    assert made.status == 0, made.log
    assert made.compiled
    assert "3 of 3 entries" in made.log
    assert made.origins == []

    reused = second.build(**remote, trust=TRUST)
    assert reused.status == 0, reused.log
    assert not reused.compiled
    assert "warning: the remote" not in reused.log
    differing = {name for name in made.members if made.members[name] != reused.members[name]}
    assert differing == {BILL, "told-1.0.dist-info/RECORD"}
    (origin,) = reused.origins
    assert {one["name"]: one["value"] for one in origin["properties"]} == {
        "gpuwheel:level": "main",
        "gpuwheel:signer": MAIN.public,
    }

    verified = Machine(project, tmp_path / "third").build(**remote, trust=TRUST, verify="1")
    assert verified.compiled
    assert verified.members == made.members, "the same file as without a remote"
    release = second.build(**{**remote, "GPUWHEEL_REMOTE": "off"}, trust=TRUST)
    assert release.compiled, "its cache has only what came from the remote"
    assert release.members == made.members


def _hostile(data: bytes) -> bytes:
    """An entry that is whole in itself, with another text in its code."""
    stored = read_entry(data.partition(b"\n")[2])
    cache = Cache(Path(os.environ["PYTEST_HOSTILE"]))
    changed = Stored(stored.facts, stored.content.replace(b"told:one", b"told:bad") + b"\0")
    ContentStore(cache, "libraries").save("a", changed)
    entry = cache.read("libraries", "a")
    assert entry is not None
    return entry


def _place(path: Path) -> tuple[str, str, str]:
    return path.parts[-4], path.parts[-2], path.name


HARMS = {
    "forged": lambda path, data: sealed_envelope(_hostile(data), _place(path), OTHER),
    "edited": lambda _, data: data.partition(b"\n")[0] + b"\n" + _hostile(data),
    "unsigned": lambda _, data: _hostile(data),
    "cut": lambda _, data: data[: len(data) // 2],
    "moved": lambda _, data: sealed_envelope(_hostile(data), ("main", "libraries", "0" * 64), MAIN),
    "of another level": lambda path, data: sealed_envelope(_hostile(data), ("pr-7", *_place(path)[1:]), MAIN),
    "of a pull request": lambda path, data: sealed_envelope(_hostile(data), _place(path), PULL),
}


def test_nothing_that_is_not_signed_for_its_place_reaches_a_wheel(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_HOSTILE", str(tmp_path / "hostile"))
    remote = tmp_path / "remote"
    remote.mkdir()
    honest = Machine(project, tmp_path / "first").build(GPUWHEEL_REMOTE=remote.as_uri(), write="main", key=MAIN.secret)
    kept = {path: path.read_bytes() for path in remote.rglob("*") if path.is_file()}
    assert len(kept) == 3
    reader = Machine(project, tmp_path / "reader")
    for name, harm in HARMS.items():
        shutil.rmtree(reader.cache / "v1" / "libraries", ignore_errors=True)
        for path, data in kept.items():
            path.write_bytes(harm(path, data))
        made = reader.build(GPUWHEEL_REMOTE=remote.as_uri(), trust=f"{TRUST} pr-7={PULL.public}")
        assert made.status == 0, made.log
        assert made.members == honest.members, name
        assert "warning: an entry of the remote" in made.log, name


def test_a_signer_who_lies_is_found_by_compiling_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_HOSTILE", str(tmp_path / "hostile"))
    remote = tmp_path / "remote"
    remote.mkdir()
    Machine(project, tmp_path / "first").build(GPUWHEEL_REMOTE=remote.as_uri(), write="main", key=MAIN.secret)
    for path in [path for path in remote.rglob("*") if path.is_file()]:
        path.write_bytes(sealed_envelope(_hostile(path.read_bytes()), _place(path), MAIN))
    said: Mapping[str, str] = {"GPUWHEEL_REMOTE": remote.as_uri(), "trust": TRUST}
    trusting = Machine(project, tmp_path / "trusting").build(**said)
    assert b"told:bad" in trusting.library, "who is trusted is believed"
    made = Machine(project, tmp_path / "release").build(**said, verify="1")
    assert made.status == 9
    assert made.members == {}
    assert f"signed by {MAIN.public} for main" in made.log


def test_an_older_entry_serves_only_where_what_it_was_made_from_is_there(project: Project, tmp_path: Path) -> None:
    header = tmp_path / "include" / "word.h"
    header.parent.mkdir()
    project.write("csrc/told.h", "#include <word.h>\n")
    remote = tmp_path / "remote"
    remote.mkdir()
    said = {"GPUWHEEL_REMOTE": remote.as_uri(), "CPLUS_INCLUDE_PATH": str(header.parent)}
    header.write_text('#define TOLD "old"\n')
    time.sleep(2.1)  # what changed a moment before a build is not believed
    old = Machine(project, tmp_path / "first").build(**said, write="main", key=MAIN.secret)
    assert b"told:old" in old.library
    header.write_text('#define TOLD "new"\n')
    time.sleep(2.1)
    made = Machine(project, tmp_path / "second").build(**said, trust=TRUST)
    assert b"told:new" in made.library
    header.write_text('#define TOLD "old"\n')
    time.sleep(2.1)
    again = Machine(project, tmp_path / "third").build(**said, trust=TRUST)
    assert not again.compiled
    assert again.library == old.library


@pytest.mark.parametrize(
    ("behaviour", "words", "most"),
    [
        ("hangs", "takes too long", 14),
        pytest.param("drips", "takes too long", 14, marks=pytest.mark.heavy),
        ("refuses", "refuses access", 6),
        pytest.param("breaks", "does not answer", 10, marks=pytest.mark.heavy),
    ],
)
def test_a_remote_that_does_not_work_costs_nothing_but_the_reuse(
    project: Project, tmp_path: Path, behaviour: str, words: str, most: float
) -> None:
    machine = Machine(project, tmp_path / "machine")
    with http_store("full") as server:
        start = time.monotonic()
        plain = machine.build(GPUWHEEL_REMOTE=server.url, write="main", trust=TRUST, key=MAIN.secret)
        usual = time.monotonic() - start
        assert plain.status == 0, plain.log
        assert plain.log.index("sha256") < plain.log.index("nothing more is shared"), "the wheel is there first"
        shutil.rmtree(machine.cache / "v1" / "libraries")
        server.behaviour = behaviour
        start = time.monotonic()
        made = machine.build(GPUWHEEL_REMOTE=server.url, write="main", trust=TRUST, key=MAIN.secret)
        took = time.monotonic() - start
    assert made.status == 0, made.log
    assert made.members == plain.members
    assert made.log.count("warning: the remote") == 1
    assert words in made.log
    assert took - usual < most


def test_no_program_of_a_build_sees_a_secret(project: Project, tmp_path: Path) -> None:
    seen, compiler = tmp_path / "seen", tmp_path / "c++"
    compiler.write_text(f'#!/bin/sh\nenv >> {seen}\nexec {shutil.which("c++")} "$@"\n')
    compiler.chmod(0o755)
    (tmp_path / "remote").mkdir()
    made = Machine(project, tmp_path / "machine").build(
        GPUWHEEL_REMOTE=(tmp_path / "remote").as_uri(),
        write="main",
        key=MAIN.secret,
        CXX=str(compiler),
        AWS_SECRET_ACCESS_KEY="of-the-bucket",  # noqa: S106
    )
    assert made.status == 0, made.log
    assert "PATH=" in seen.read_text()
    assert MAIN.secret not in seen.read_text() + made.log
    assert "of-the-bucket" not in seen.read_text() + made.log
