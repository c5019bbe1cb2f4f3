"""Extensions for torch's classic API, built as users build them, and as torch itself would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["SOURCES", "Built", "classic", "compat", "compat_cache", "recorded_now"]

SOURCES = Path(__file__).resolve().parent / "build" / "compat"
PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "{name}"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]

[tool.gpuwheel.extensions.{name}]
sources = [{sources}]
mode = "nvcc"
abi = "compat"
defines = {defines}
"""


@dataclass(frozen=True)
class Built:
    """A folder from which the module can be imported."""

    folder: Path

    def outcomes(self, script: str, *words: str) -> dict[str, Any]:
        """What a script of tests/build/compat printed, as JSON in its last line."""
        done = _run(sys.executable, str(SOURCES / script), str(self.folder), *words, cwd=self.folder)
        found: dict[str, Any] = json.loads(done.splitlines()[-1])
        return found


def recorded_now(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """What torch's own headers gave when that was recorded; with RECORD_CLASSIC set, `found`, which is recorded now."""
    if os.environ.get("RECORD_CLASSIC"):
        text = "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items()) + "\n}\n"
        path.write_text(text, encoding="utf-8")
    recorded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return recorded


@pytest.fixture(scope="session")
def compat_cache(cache: Path) -> Path:
    """One cache for the session, with the headers of no other torch; one of the user's is reused if named."""
    return cache if os.environ.get("GPUWHEEL_CACHE_DIR") else cache.with_name("compat-cache")


@pytest.fixture(scope="session")
def compat(tmp_path_factory: pytest.TempPathFactory, compat_cache: Path) -> Callable[..., Built]:
    """Build sources of tests/build/compat to a wheel, and unpack it: compat("name", "name.cpp")."""

    def build(name: str, *sources: str | Path, defines: Sequence[str] = ()) -> Built:
        root = tmp_path_factory.mktemp(name)
        for source in sources:
            (root / Path(source).name).write_bytes((SOURCES / source).read_bytes())
        listed = ", ".join(f'"{Path(source).name}"' for source in sources)
        (root / "pyproject.toml").write_text(
            PYPROJECT.format(name=name, sources=listed, defines=json.dumps(list(defines))), encoding="utf-8"
        )
        code = "from gpuwheel import backend; backend.build_wheel('out')"
        (root / "out").mkdir()
        _run(sys.executable, "-c", code, cwd=root, GPUWHEEL_CACHE_DIR=str(compat_cache))
        (wheel,) = (root / "out").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "installed")
        return Built(root / "installed")

    return build


@pytest.fixture(scope="session")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Built]:
    """Build a source of tests/build/compat against torch's own headers: the module to compare with. Takes a minute."""

    def build(name: str, source: str, *, optimise: str = "-O1") -> Built:
        folder = tmp_path_factory.mktemp(f"classic-{name}")
        spec = find_spec("torch")
        assert spec is not None
        torch = Path(spec.submodule_search_locations[0])  # type: ignore[index]
        includes = (torch / "include", torch / "include/torch/csrc/api/include", sysconfig.get_paths()["include"])
        _run(
            *("c++", "-std=c++20", optimise, "-fPIC", "-shared", f"-DTORCH_EXTENSION_NAME={name}"),
            *(f"-I{each}" for each in includes),
            str(SOURCES / source),
            *("-o", str(folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"), f"-L{torch / 'lib'}"),
            *("-lc10", "-ltorch", "-ltorch_cpu", "-ltorch_python", f"-Wl,-rpath,{torch / 'lib'}"),
            cwd=folder,
        )
        return Built(folder)

    return build


def _run(*words: str, cwd: Path, **environ: str) -> str:
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        words, cwd=cwd, env=_environ(environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **more}
