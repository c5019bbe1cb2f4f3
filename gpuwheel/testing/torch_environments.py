"""Environments that hold one version of torch each, without its gigabytes of NVIDIA wheels; kept and shared.

With the stubs or the pretend GPU of this package a CUDA build of torch imports in them. "Loads in every torch of the
range" is then something a CI machine without a GPU runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._cache import Cache, check_programs, index_problem
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["torch_environment"]

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
    "pytest",
    "setuptools",
    "sympy",
    "typing_extensions",
)


def torch_environment(
    version: str, python: str = "3.11", *, environ: Mapping[str, str], interpreter: Path | None = None
) -> Path:
    """The Python program of an environment with torch `version`, made on the first call (0.5 to 0.9 GB to download).

    It is kept in gpuwheel's cache, or in `GPUWHEEL_TEST_ENVIRONMENTS`. Several processes may ask at once: one makes it,
    the others wait. uv does the work if it is on PATH, else pip.

    Args:
        version: of torch.
        python: "3.12", "3.14t".
        environ: with what uv or pip are told.
        interpreter: the program of that Python; else it is looked for by that name.

    Raises:
        ToolchainError: no such interpreter, or no such torch for it.
        CacheError: the folder cannot be written.
    """
    chosen = environ.get("GPUWHEEL_TEST_ENVIRONMENTS")
    cache = Cache(Path(chosen).expanduser().absolute()) if chosen else Cache.from_environment(environ)

    def fill(folder: Path) -> None:
        try:
            _make(folder, version, str(interpreter or f"python{python}"), environ)
        except (ProcessFailedError, FileNotFoundError) as error:
            msg = f"no environment with torch {version} for Python {python} can be made"
            detail = error.completed.output if isinstance(error, ProcessFailedError) else str(error)
            raise ToolchainError(msg, hint=f"install Python {python}, or uv, which brings it", detail=detail) from error

    check_programs(cache.root, "a Python environment")
    folder = cache.publish_tree("toolchains", f"torch-{version}-cp{python.replace('.', '')}", fill, check=index_problem)
    return folder / "bin" / "python"


def _make(folder: Path, version: str, python: str, environ: Mapping[str, str]) -> None:
    """The folder is renamed afterwards: its Python does not mind, its other programs would (use `python -m`)."""
    program = str(folder / "bin" / "python")
    uv = shutil.which("uv", path=environ.get("PATH"))
    if uv is not None:
        run([uv, "venv", "--quiet", "--clear", "--python", python.removeprefix("python"), folder], env=environ)
        install = [uv, "pip", "install", "--quiet", "--python", program]
    else:
        run([python, "-m", "venv", folder], env=environ)
        install = [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, *_COMPANIONS], env=environ)
    # --no-deps: its pins are the gigabytes of NVIDIA's wheels that the stubs stand in for.
    run([*install, "--no-deps", f"torch=={version}"], env=environ)
