"""Virtual environments on top of those that `gpuwheel.testing` keeps, one torch each: tests install into a layer, and
the kept environment below stays as it is.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from gpuwheel._run import Completed, run
from gpuwheel.testing.native_code import find_c_compiler
from gpuwheel.testing.stubs import write_stubs
from gpuwheel.testing.torch_environments import torch_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Layer", "environment_with", "layer_on", "release_that_pip_finds"]


@dataclass(frozen=True)
class Layer:
    """A virtual environment that sees the packages of one with torch."""

    python: Path
    below: Path
    """site-packages of the environment with torch."""
    stubs: Path | None
    """NVIDIA's libraries as stubs; None for a CPU build of torch, which asks for none."""

    def install(self, *words: str | Path) -> None:
        """Install into this layer, with uv."""
        run([find_uv_bin(), "pip", "install", "--quiet", "--python", self.python, *words], env=_environ())

    def run(
        self, *words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None, check: bool = True
    ) -> Completed:
        """Run its Python in `cwd`; nothing of the surrounding Python is seen."""
        env = {**_environ(), "PYTHONDONTWRITEBYTECODE": "1", **(environ or {})}
        if self.stubs is not None:
            env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(self.stubs), env.get("LD_LIBRARY_PATH")]))
        return run([self.python, *words], cwd=cwd, env=env, check=check)


def environment_with(release: str, version: str, interpreter: Path, environ: Mapping[str, str]) -> Path:
    """The Python of the kept environment with a release of torch, for the Python `version` (as "3.13t") that
    `interpreter` is. Made if it is not there, with what `environ` tells uv.
    """
    path = os.pathsep.join([str(Path(find_uv_bin()).parent), environ.get("PATH", "")])
    return torch_environment(release, version, environ={**environ, "PATH": path}, interpreter=interpreter)


def release_that_pip_finds(release: str, version: str, scratch: Path) -> tuple[str, dict[str, str]]:
    """The release that pip would install for the Python `version`, and variables with which uv takes the same file.

    A CPU build ("2.13.0+cpu") is found where pip is told of an index or a folder that has it, and uv does not read
    pip's configuration.
    """
    pip = [sys.executable, "-m", "pip"]
    wanted = ["--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={version}", f"torch=={release}"]
    target = ["--target", scratch / "none", "--ignore-installed"]
    report = run([*pip, "install", "--dry-run", "--report", "-", *target, *wanted]).stdout
    found = json.loads(report[report.index("{") : report.rindex("}") + 1])  # pip may print warnings around it
    release = str(found["install"][0]["metadata"]["version"])
    run([*pip, "download", "--dest", scratch, *wanted])
    return release, {**os.environ, "UV_FIND_LINKS": str(scratch)}


def layer_on(python: Path, folder: Path) -> Layer:
    """A fresh layer in `folder`, on the environment whose Python is `python`."""
    (below,) = python.parent.parent.glob("lib/python*/site-packages")
    run([find_uv_bin(), "venv", "--quiet", "--python", python, folder / "layer"], env=_environ())
    (own,) = (folder / "layer").glob("lib/python*/site-packages")
    (own / "below.pth").write_text(f"{below}\n", encoding="utf-8")
    stubs = None
    if (below / "torch" / "lib" / "libtorch_cuda.so").exists():
        stubs = folder / "stubs"
        write_stubs(below, stubs, find_c_compiler(os.environ))
    return Layer(folder / "layer" / "bin" / "python", below, stubs)


def _environ() -> dict[str, str]:
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in hidden}
