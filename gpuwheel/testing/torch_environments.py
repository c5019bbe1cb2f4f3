"""Environments that hold one version of torch each, without its gigabytes of NVIDIA wheels; kept and shared.

With the stubs or the pretend GPU of this package a CUDA build of torch imports in them. "Loads in every torch of the
range" is then something a CI machine without a GPU runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import platformdirs

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["environments_folder", "torch_environment"]

# What torch imports (its NVIDIA pins and triton stay out), what this package imports, and numpy and pytest for tests.
_COMPANIONS = (
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "numpy",
    "platformdirs",
    "pyelftools",
    "pytest",
    "setuptools",
    "sympy",
    "typing_extensions",
)
_READY = ".ready"


def environments_folder(environ: Mapping[str, str]) -> Path:
    """Where they are kept: `GPUWHEEL_TEST_ENVIRONMENTS`, else in the user's cache folder."""
    chosen = environ.get("GPUWHEEL_TEST_ENVIRONMENTS")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("gpuwheel") / "test-environments"


def torch_environment(version: str, python: str = "3.11", *, environ: Mapping[str, str]) -> Path:
    """The Python program of an environment with torch `version`, made on the first call (0.5 to 0.9 GB to download).

    Several processes may ask at once: one makes it, the others wait. uv does the work if it is on PATH, else pip.

    Raises:
        ToolchainError: no such interpreter, or no such torch for it.
    """
    folder = environments_folder(environ) / f"torch-{version}-cp{python.replace('.', '')}"
    program = folder / "bin" / "python"
    if (folder / _READY).exists():
        return program
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not (folder / _READY).exists():
            try:
                _make(folder, program, version, python, environ)
            except (ProcessFailedError, FileNotFoundError) as error:
                shutil.rmtree(folder, ignore_errors=True)
                msg = f"no environment with torch {version} for Python {python} can be made"
                raise ToolchainError(
                    msg,
                    hint=f"install Python {python}, or uv, which brings it",
                    detail=error.completed.output if isinstance(error, ProcessFailedError) else str(error),
                ) from error
    return program


def _make(folder: Path, program: Path, version: str, python: str, environ: Mapping[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted call left
    uv = shutil.which("uv", path=environ.get("PATH"))
    if uv is not None:
        run([uv, "venv", "--quiet", "--python", python, folder], env=environ)
        install = [uv, "pip", "install", "--quiet", "--python", str(program)]
    else:
        run([f"python{python}", "-m", "venv", folder], env=environ)
        install = [str(program), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, *_COMPANIONS], env=environ)
    run([*install, "--no-deps", f"torch=={version}"], env=environ)
    (folder / _READY).touch()
