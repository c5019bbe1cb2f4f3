"""uv or pip, whichever is there: they resolve requirements for an interpreter, and fill environments.

Each reads its own configuration, files and variables, as it always does; only variables that would lead an install
somewhere else are taken from it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from gpuwheel._cache import refusal
from gpuwheel._environment import of_strangers
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ToolchainError
from gpuwheel.matrix.direct_urls import url_of
from gpuwheel.toolchain.probes.programs import find_uv, has_pip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.matrix.interpreters import Interpreter
    from gpuwheel.toolchain import Context

__all__ = ["Installer", "find_installer", "without_python"]

_OLDEST_PIP = Version("22.3")
"""The first with both --python and --report (pip, "News")."""
_PYTHON = frozenset({"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"})
_ELSEWHERE = frozenset(
    [
        *("PIP_DRY_RUN", "PIP_PREFIX", "PIP_PYTHON", "PIP_REPORT", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT", "PIP_TARGET"),
        *("PIP_USER", "UV_BREAK_SYSTEM_PACKAGES", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_VENV_CLEAR", "UV_VENV_SEED"),
    ]
)


def without_python(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a Python in an environment of its own: nothing in it leads to the packages of another."""
    return {name: value for name, value in environ.items() if name not in _PYTHON}


@dataclass(frozen=True)
class Installer:
    """One of the two, called in a folder whose configuration it reads."""

    uv: Path | None
    """`None`: pip, as a module of the running Python."""
    context: Context
    folder: Path
    """The project's: uv reads `[tool.uv]` of its pyproject.toml."""
    environ: dict[str, str] = field(repr=False)

    def resolve(self, requirements: Sequence[str], interpreter: Interpreter) -> tuple[str, ...]:
        """Every distribution that satisfies `requirements` there, each as one exact requirement; sorted.

        Raises:
            ToolchainError: nothing does, or the index cannot be asked; with the words of the tool.
        """
        with self.context.cache.scratch() as scratch:
            wanted = scratch / "requirements.txt"
            wanted.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
            python = str(interpreter.program)
            try:
                if self.uv is not None:
                    found = scratch / "resolved.txt"  # what it prints may have colours
                    options = ["--quiet", "--no-header", "--no-annotate", f"--python={python}", *self._no_index]
                    self._run([self.uv, "pip", "compile", *options, f"--output-file={found}", wanted])
                    lines = found.read_text(encoding="utf-8").splitlines()
                    return tuple(sorted(line.strip() for line in lines if line[:1].isalnum()))
                options = ["--quiet", "--dry-run", "--ignore-installed", "--no-user", f"--report={scratch / 'report'}"]
                self._run([*_pip(python), "install", *options, f"--requirement={wanted}"])
                report = json.loads((scratch / "report").read_text(encoding="utf-8"))
                return tuple(sorted(map(_exact, report["install"])))
            except ProcessFailedError as error:
                msg = (
                    f"what a build requires cannot be had for Python {interpreter.version} ({', '.join(requirements)})"
                )
                raise ToolchainError(msg, hint=_HINT, detail=error.completed.output) from error

    def make(self, folder: Path, interpreter: Interpreter, resolved: Sequence[str], final: Path) -> None:
        """Make an environment in the empty `folder`, which is renamed to `final` afterwards.

        Raises:
            ToolchainError: something that was resolved cannot be installed.
        """
        python = str(folder / "bin" / "python")
        wanted = folder.with_name(f"{folder.name}.txt")
        wanted.write_text("".join(f"{line}\n" for line in resolved), encoding="utf-8")
        try:
            if self.uv is not None:
                base = f"--python={interpreter.program}"
                self._run([self.uv, "venv", "--quiet", "--no-project", base, folder])
                options = ["--quiet", "--no-deps", "--compile-bytecode", f"--python={python}", *self._no_index]
                self._run([self.uv, "pip", "install", *options, f"--requirement={wanted}"])
            else:
                self._run([interpreter.program, "-I", "-m", "venv", "--without-pip", folder])
                options = ["--quiet", "--no-deps", "--no-user", "--no-warn-script-location"]
                self._run([*_pip(python), "install", *options, f"--requirement={wanted}"])
        except ProcessFailedError as error:
            msg = f"the environment of Python {interpreter.version} that builds cannot be made"
            raise ToolchainError(msg, hint=_HINT, detail=error.completed.output) from error
        finally:
            wanted.unlink(missing_ok=True)
        _settle(folder, final)

    @property
    def _no_index(self) -> list[str]:
        """For uv, which reads no variable of that name, as `index.settings` does."""
        return ["--no-index"] if self.environ.get("UV_NO_INDEX") == "1" else []

    def _run(self, words: Sequence[str | Path]) -> str:
        self.context.reporter.command([str(word) for word in words])
        # pip reads nothing of a project, and `python -m` would import what lies in it.
        return run(words, env=self.environ, cwd=self.folder if self.uv else self.context.cache.root).stdout


_HINT = "the messages above say what is in the way; an index is named as pip or uv is told of it, whichever runs"


def find_installer(folder: Path, context: Context) -> Installer:
    """Uv from beside the running Python or from PATH, else pip.

    Args:
        folder: where it runs: a project.
        context: environment, cache (for scratch space), reporter.

    Raises:
        ToolchainError: there is neither.
    """
    environ = {
        name: value for name, value in without_python(of_strangers(context.environ)).items() if name not in _ELSEWHERE
    }
    environ.setdefault("HOME", "/")  # as containers have it for a user whom nobody knows; pip does not start without
    uv = find_uv(environ)
    if uv is not None:
        home = environ.get("XDG_CACHE_HOME") or f"{environ['HOME']}/.cache"
        if refusal(Path(environ.get("UV_CACHE_DIR") or f"{home}/uv")) is not None:
            environ["UV_NO_CACHE"] = "1"  # else it ends
        return Installer(uv, context, folder, environ)
    if has_pip(_OLDEST_PIP):
        environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        return Installer(None, context, folder, environ)
    msg = f"nothing here installs what a build requires (looked for uv, and for pip {_OLDEST_PIP} or newer)"
    raise ToolchainError(msg, hint="pip install uv")


def _pip(python: str) -> list[str]:
    return [sys.executable, "-m", "pip", f"--python={python}"]


def _exact(entry: Mapping[str, Any]) -> str:
    """One line of pip's report (Installation Report, version 1) as a requirement."""
    metadata = entry["metadata"]
    if entry.get("is_direct"):
        return f"{metadata['name']} @ {url_of(entry['download_info'])}"
    return f"{metadata['name']}=={metadata['version']}"


def _settle(folder: Path, final: Path) -> None:
    """Let the programs of an environment name the path that it will have; installers write it into their first line."""
    before, after = os.fsencode(folder), os.fsencode(final)
    for program in (folder / "bin").iterdir():
        if program.is_symlink() or not program.is_file():
            continue
        with program.open("rb") as file:
            is_script = file.read(2) == b"#!"
        if is_script:
            program.write_bytes(program.read_bytes().replace(before, after))
