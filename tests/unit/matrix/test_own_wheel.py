"""The running gpuwheel as a wheel: whole, the same bytes each time, and its version says which code it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename
from packaging.version import Version

import gpuwheel
from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.wheel.archive import check_record, read_members


def test_it_holds_every_file_that_runs(tmp_path: Path) -> None:
    made = own_wheel(Cache(tmp_path))
    members = read_members(made.path)
    package = Path(gpuwheel.__file__).parent
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    assert check_record(members) == []
    assert {path.relative_to(package.parent).as_posix() for path in files} <= members.keys()
    assert members["gpuwheel/backend.py"].data == (package / "backend.py").read_bytes()
    a_template = next(path for path in sorted(resource("templates").rglob("*")) if path.is_file())
    assert f"gpuwheel/templates/{a_template.relative_to(resource('templates')).as_posix()}" in members
    assert not any("__pycache__" in name for name in members)


def test_two_machines_make_the_same_bytes(tmp_path: Path) -> None:
    one, two = own_wheel(Cache(tmp_path / "one")), own_wheel(Cache(tmp_path / "two"))

    assert one.version == two.version
    assert one.path.read_bytes() == two.path.read_bytes()


def test_its_version_is_that_of_the_code_and_says_which(tmp_path: Path) -> None:
    made = own_wheel(Cache(tmp_path))
    name, version, _, _ = parse_wheel_filename(made.path.name)
    with zipfile.ZipFile(made.path) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        lines = archive.read(metadata).decode().splitlines()

    assert (name, str(version)) == ("gpuwheel", made.version)
    assert f"Version: {made.version}" in lines
    assert version.public == Version(__version__).public
    assert str(version.local).startswith("src")
