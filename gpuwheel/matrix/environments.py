"""Where the cells of a matrix are built: for each Python, an environment with what the project's build requires.

It holds what a frontend of PEP 517 would install: `[build-system] requires`, and what the hook asks for beyond that.
But gpuwheel is the one that runs, whatever an index has. An environment is kept in the cache, named by its interpreter
and the exact versions in it, and serves every later build that comes to the same versions. Where the index cannot be
asked, that of the last time does.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel import __version__
from gpuwheel._cache import check_programs, index_problem
from gpuwheel._environment import without_secrets
from gpuwheel._run import run
from gpuwheel.config.project.build_system import read_build_system
from gpuwheel.errors import ConfigError, GpuwheelError, ToolchainError
from gpuwheel.matrix.direct_urls import local_digests
from gpuwheel.matrix.installers import Installer, find_installer, without_python
from gpuwheel.matrix.interpreters import find_interpreter
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache import Kind
    from gpuwheel.config.project.build_system import BuildSystem
    from gpuwheel.matrix.interpreters import Interpreter
    from gpuwheel.matrix.own_wheel import OwnWheel
    from gpuwheel.toolchain import Context

__all__ = ["BuildEnvironments", "entered"]

_BACKEND = "gpuwheel.backend"
_KIND: Kind = "environments"


class BuildEnvironments:
    """Those of one project; safe to ask from several threads and processes."""

    def __init__(self, root: Path, context: Context) -> None:
        """For the sources in `root`: an unpacked sdist."""
        self._root, self._context = root, context
        self._turns: dict[str, Lock] = {}
        self._found: dict[str, tuple[str, ...]] = {}
        self._turn = Lock()

    def python(self, version: str | None, settings: Mapping[str, str | list[str]]) -> Path:
        """The Python program of an environment in which a cell can be built: `python -I -m ...`.

        Args:
            version: of Python, as cells name it ("3.12", "3.14t"); `None`: any, so the running one.
            settings: `-C` of that build, with the cell that it makes.

        Raises:
            ConfigError: the project is not built by gpuwheel's own backend, or by another version of it.
            ToolchainError: no such Python, nothing that installs, or nothing that satisfies the requirements.
            GpuwheelError: what the hook raises that says what a cell requires.
        """
        with self._turn:
            base = self._base
        interpreter = find_interpreter(version or running_python(), self._context.environ)
        first = self._environment(interpreter, base)
        further = self._required(first, settings)
        return self._environment(interpreter, [*base, *further]) if further else first

    def of_gpuwheel(self, version: str) -> Path:
        """The Python of an environment that holds gpuwheel alone, of which the project says nothing.

        Raises:
            ToolchainError: no such Python, nothing that installs, or nothing that satisfies the requirements.
        """
        return self._environment(find_interpreter(version, self._context.environ), [self._own.requirement()])

    @cached_property
    def _base(self) -> list[str]:
        """What every build of the project requires."""
        system = read_build_system(self._root)
        _check(system)
        extras = frozenset(extra for one in system.gpuwheel for extra in one.extras)
        return [self._own.requirement(extras), *map(str, system.requires)]

    @cached_property
    def _own(self) -> OwnWheel:
        return own_wheel(self._context.cache)

    @cached_property
    def _installer(self) -> Installer:
        return find_installer(self._root, self._context)

    def _environment(self, interpreter: Interpreter, requirements: Sequence[str]) -> Path:
        """The Python of the environment for these requirements."""
        cache = self._context.cache
        wanted = _digest([interpreter.identity, sorted(requirements)])
        # Cells that need the same wait for the first; each asks the index once in a run, so that all get the same.
        with self._turns.setdefault(wanted, Lock()):
            if wanted not in self._found:
                self._found[wanted] = self._resolved(interpreter, requirements, wanted)
            resolved = self._found[wanted]
            key = self._key(interpreter, resolved)
            final = cache.place(_KIND, key)

            def fill(folder: Path) -> None:
                self._context.reporter.step(f"making an environment of Python {interpreter.release} to build in")
                self._installer.make(folder, interpreter, resolved, final)

            check_programs(cache.root, "a Python environment")
            folder = cache.publish_tree(_KIND, key, fill, check=index_problem)
        return folder / "bin" / "python"

    @staticmethod
    def _key(interpreter: Interpreter, resolved: Sequence[str]) -> str:
        facts = [interpreter.identity, resolved, local_digests(resolved)]
        return f"build-{interpreter.version}-{_digest(facts)[:32]}"

    def _resolved(self, interpreter: Interpreter, requirements: Sequence[str], wanted: str) -> tuple[str, ...]:
        cache, note = self._context.cache, f"resolved-{wanted[:32]}"
        try:
            resolved = self._installer.resolve(requirements, interpreter)
        except ToolchainError as error:
            last = cache.note(note)
            resolved = tuple(json.loads(last)) if last else ()
            if not resolved or cache.lookup(_KIND, self._key(interpreter, resolved)) is None:
                raise
            said = (error.detail or "").strip().splitlines()[-1:]
            self._context.reporter.warn(
                f"the environment of Python {interpreter.version} is that of the last build: "
                f"the index cannot be asked ({''.join(said) or error.message})"
            )
            return resolved
        cache.keep_note(note, json.dumps(resolved).encode())
        return resolved

    def _required(self, python: Path, settings: Mapping[str, str | list[str]]) -> list[str]:
        """What the hook for wheels asks for (PEP 517), as it runs in the environment."""
        words = [str(python), "-I", "-B", "-m", "gpuwheel.matrix.requires_worker"]
        request = json.dumps({"root": str(self._root), "settings": dict(settings)})
        environ = entered(python, without_secrets(self._context.environ))  # what it imports need not know them
        completed = run(words, env=environ, stdin=request)
        answer: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
        if "error" in answer:
            raise _as_raised(**answer["error"])
        # A lock names gpuwheel as the index has it; the one that runs is there already.
        return [text for text in answer["requires"] if canonicalize_name(Requirement(text).name) != "gpuwheel"]


def entered(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` inside the environment of `python`: its programs come first, as frontends have it."""
    inside = without_python(environ)
    inside["PATH"] = os.pathsep.join(filter(None, [str(python.parent), environ.get("PATH")]))
    return inside


def _check(system: BuildSystem) -> None:
    """See that gpuwheel, and this one, builds the project."""
    if system.backend != _BACKEND or system.backend_path:
        found = f"{system.backend!r}{f' from {list(system.backend_path)}' if system.backend_path else ''}"
        msg = f"build-backend is {found} (expected {_BACKEND!r}): a matrix is built without what wraps it"
        raise ConfigError(msg, hint="python -m build runs any backend, one wheel at a time (-C gpuwheel.only=ID)")
    for one in system.gpuwheel:
        if not one.specifier.contains(__version__, prereleases=True):
            msg = f"build-system.requires asks for {one} (found {__version__}, which runs)"
            raise ConfigError(msg, hint=f"pip install '{one}'")


def _as_raised(name: str, message: str, hint: str | None, detail: str | None) -> GpuwheelError:
    """What another process raised."""
    kinds = {kind.__name__: kind for kind in _below(GpuwheelError)}
    return kinds.get(name, GpuwheelError)(message, hint=hint, detail=detail)


def _below(kind: type[GpuwheelError]) -> list[type[GpuwheelError]]:
    return [each for direct in kind.__subclasses__() for each in [direct, *_below(direct)]]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
