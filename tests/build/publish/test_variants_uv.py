"""Variants of `gpuwheel variants`, chosen by the real uv for a table of drivers and GPUs; pip and old uv beside it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hostile import container, entry
from made_wheels import made
from packaging.version import Version

from gpuwheel._run import run
from gpuwheel.toolchain.probes.programs import find_uv
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLDEST = Version("0.13.6")
"""The first uv that has NVIDIA's provider."""
FORCED = ("NV_VARIANT_PROVIDER_FORCE_CUDA_DRIVER_VERSION", "NV_VARIANT_PROVIDER_FORCE_SM_ARCH")
# Driver's CUDA, GPU -> the variant that is installed; "plain": the wheel without a label.
BY_DRIVER = [
    ("13.5", "9.0", "cu130"),
    ("13.2", "12.0", "cu130"),
    ("13.0", "7.5", "cu130"),
    ("12.9", "9.0", "cu120"),
    ("12.8", "8.0", "cu120"),
    ("12.0", "9.0", "cu120"),
    ("11.8", "8.0", "null"),
    ("11.0", "7.5", "null"),
    (None, None, "null"),
]
# With --sm-arch, of a wheel for 8.0 and 9.0: what has neither, nor a later minor of one, gets none.
BY_GPU = [("13.2", "8.0", "yes"), ("13.2", "8.9", "yes"), ("12.4", "9.0", "yes"), ("13.2", "12.0", "null"), ("13.2", "7.5", "null")]  # fmt: skip # noqa: E501


def _make(folder: Path, toolkit: str | None, driver: str = "525", archs: tuple[int, ...] = (75,)) -> Path:
    groups = {"fused": {"archs": [f"sm_{arch}" for arch in archs], "ptx": []}}
    declared = {"schema": 1, "toolkit": toolkit, "driver_floor": driver, "groups": groups}
    code = container(b"".join(entry(bytes(64), arch=arch) for arch in archs))
    wheel = made(code=code if toolkit else b"", requires="six; extra == 'never'")
    members = {name: member for name, member in wheel.members().items() if name != "ops/_kernels.json"}
    if toolkit:
        members["ops/_kernels.json"] = Member("ops/_kernels.json", json.dumps(declared).encode())
    folder.mkdir()
    write_wheel(folder / wheel.name, members.values())
    return folder / wheel.name


def _variants(out: Path, *words: object) -> Path:
    command = [sys.executable, "-m", "gpuwheel", "variants", *map(str, words), "-w", out]
    done = run(command, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.output
    return out


@pytest.fixture
def uv() -> str:
    found = find_uv(os.environ)
    if found is None or Version(run([found, "--version"], env=dict(os.environ)).stdout.split()[1]) < OLDEST:
        pytest.skip(f"no uv from {OLDEST} on, which chooses variants")
    return str(found)


@pytest.fixture
def by_driver(tmp_path: Path) -> Path:
    made_by = [_make(tmp_path / "a", "12.9"), _make(tmp_path / "b", "13.0", "580"), _make(tmp_path / "c", None)]
    return _variants(tmp_path / "variants", *made_by)


def _installed(uv: str, places: list[str], driver: str | None, arch: str | None, *flags: str) -> str:
    """What uv installs there: a label, "plain", or "nothing"."""
    target = f"{os.environ['TMPDIR']}/t"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "NV_VARIANT"))}
    forced = zip(FORCED, (driver, arch), strict=True)
    environ |= {name: value for name, value in forced if value}
    words = ["pip", "install", "--target", target, "--no-deps", "--no-cache", "--reinstall", "-p", sys.executable]
    done = run([uv, *words, *flags, *places, "ops"], env=environ, check=False)
    if done.returncode:
        return "nothing"
    document = f"{target}/ops-1.dist-info/variant.json"
    if not os.path.exists(document):  # noqa: PTH110
        return "plain"
    with open(document, encoding="utf-8") as file:  # noqa: PTH123
        (label,) = json.load(file)["variants"]
    return str(label)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


FLAG = ("--preview-features", "wheel-variants")


def test_uv_takes_from_a_folder_what_the_driver_allows(uv: str, by_driver: Path) -> None:
    places = ["--no-index", "--find-links", str(by_driver)]
    found = {(driver, arch): _installed(uv, places, driver, arch, *FLAG) for driver, arch, _ in BY_DRIVER}
    assert found == {(driver, arch): label for driver, arch, label in BY_DRIVER}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name in the standard library
        del format, args


@pytest.fixture
def served(by_driver: Path, tmp_path: Path) -> Iterator[str]:
    """A static index, by `gpuwheel index`, with the variants, what tells them apart, and the plain wheel."""
    root = tmp_path / "site"
    root.mkdir()
    for path in [*by_driver.iterdir(), *(tmp_path / "a").glob("*.whl")]:
        shutil.copy(path, root)
    done = run([sys.executable, "-m", "gpuwheel", "index", root], env=dict(os.environ), check=False)
    assert done.returncode == 0, done.output
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        server.shutdown()


def test_uv_takes_over_http_what_the_driver_allows(uv: str, served: str) -> None:
    places = ["--index-url", served]
    found = {(driver, arch): _installed(uv, places, driver, arch, *FLAG) for driver, arch, _ in BY_DRIVER}
    assert found == {(driver, arch): label for driver, arch, label in BY_DRIVER}


def test_who_does_not_know_variants_takes_the_plain_wheel(uv: str, served: str, tmp_path: Path) -> None:
    assert _installed(uv, ["--index-url", served], "13.2", "9.0") == "plain"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    words = ["install", "--no-deps", "--no-cache-dir", "--target", str(tmp_path / "pip"), "--index-url", served, "ops"]
    done = run([sys.executable, "-m", "pip", *words], env=environ, check=False)
    assert done.returncode == 0, done.output
    assert not (tmp_path / "pip" / "ops-1.dist-info" / "variant.json").exists()


def test_uv_takes_what_the_gpu_allows_where_that_is_stated(uv: str, tmp_path: Path) -> None:
    wheels = [_make(tmp_path / "a", "12.9", archs=(80, 90)), _make(tmp_path / "c", None)]
    out = _variants(tmp_path / "variants", "--sm-arch", *wheels)
    places = ["--no-index", "--find-links", str(out)]
    label = {"yes": "cu120_sm90_80", "null": "null"}
    found = {(driver, arch): _installed(uv, places, driver, arch, *FLAG) for driver, arch, _ in BY_GPU}
    assert found == {(driver, arch): label[word] for driver, arch, word in BY_GPU}


def test_without_a_null_variant_the_plain_wheel_serves_the_rest(uv: str, tmp_path: Path) -> None:
    plain = _make(tmp_path / "a", "13.0", "580")
    out = _variants(tmp_path / "variants", plain)
    places = ["--no-index", "--find-links", str(out)]
    assert _installed(uv, places, "12.8", "9.0", *FLAG) == "nothing"
    assert _installed(uv, [*places, "--find-links", str(plain.parent)], "12.8", "9.0", *FLAG) == "plain"
