"""A CMake folder that stays: configured once, as for a wheel, and from then on Ninja compiles in it what changed.

Ninja sees the files that compilers read. What it cannot see is the folder's key, and makes it anew: settings, variables
that reach a compiler, the compilers themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._cache.file_state import state_in
from gpuwheel._run import ProcessFailedError, run, running
from gpuwheel.compile.cmake import inner
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.model.reporter import Reporter

__all__ = ["KeptBuild"]

_STEP = re.compile(r"\[(\d+)/(\d+)\] (.+)")
_PROGRAMS = ("cmake.define.CMAKE_CXX_COMPILER", "cmake.define.CMAKE_CUDA_COMPILER")
_ANYWHERE = {"build.tool-args"}
"""Settings that change nothing of what is compiled."""


class KeptBuild:
    """The CMake folder `work/build`."""

    def __init__(
        self, inside: inner.Inside, work: Path, settings: inner.ConfigSettings, variables: Mapping[str, str]
    ) -> None:
        """Take what a wheel is built with, and which variables have a say in it."""
        self.folder = work / "build"
        self._inside = inside
        self._settings = {**settings, "build-dir": str(self.folder)}
        self._stamp = work / "configured"
        said = {name: value for name, value in self._settings.items() if name not in _ANYWHERE}
        programs = [Path(str(settings[name])).resolve() for name in _PROGRAMS if name in settings]
        states = [[str(path), *state_in(path.stat())] for path in programs]
        # The environment too: CMake noted where its Python, and what packages brought, are.
        key = [said, sorted(variables.items()), states, os.path.realpath(sys.prefix), sys.version]
        self._key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    def update(self, out: Path, reporter: Reporter) -> bool:
        """Compile and link what changed; say whether anything did.

        Args:
            out: a folder that is gone afterwards.
            reporter: hears what is compiled, and what compilers warn of.

        Raises:
            CompileError: something does not compile. What was linked before stays as it was.
        """
        ninja = self._variables().get("CMAKE_MAKE_PROGRAM", "")
        if not self._is_configured() or not (self.folder / "build.ninja").is_file():
            self._stamp.unlink(missing_ok=True)  # a folder that is configured in part must not pass for a whole one
            shutil.rmtree(self.folder, ignore_errors=True)
            inner.build_wheel(self._inside, out, self._settings, editable=False)
            # Last: the stamp says that all before it is done.
            self._stamp.write_text(self._key, encoding="utf-8")
            return True
        arguments = self._settings.get("build.tool-args", [])
        words = [arguments] if isinstance(arguments, str) else arguments
        return _ninja([ninja, "-C", str(self.folder), *words], self._inside.environ, reporter)

    def installed(self, stage: Path) -> Iterator[tuple[str, Path]]:
        """What a wheel would hold of it: (member, file in `stage`), each file below the folder of modules.

        Raises:
            CompileError: CMake does not install it.
        """
        variables = self._variables()
        prefix = variables["CMAKE_INSTALL_PREFIX"]
        top = stage / variables.get("SKBUILD_PLATLIB_DIR", prefix).lstrip("/")
        words = [variables["CMAKE_COMMAND"], "--install", str(self.folder), "--prefix", prefix]
        try:
            # DESTDIR: absolute destinations land in the stage, too.
            run(words, cwd=self.folder, env={**self._inside.environ, "DESTDIR": str(stage)})
        except ProcessFailedError as error:
            msg = "CMake does not install what it built (cmake --install failed)"
            raise CompileError(msg, hint="see install() in CMakeLists.txt", detail=error.completed.output) from error
        for parent, _, names in os.walk(top):
            for name in sorted(names):
                file = Path(parent, name)
                yield file.relative_to(top).as_posix(), file

    @property
    def commands(self) -> Path:
        """The compilation database, for editors."""
        return self.folder / "compile_commands.json"

    def _is_configured(self) -> bool:
        """Whether it was configured as now, by programs that are still there."""
        if not self._stamp.is_file() or self._stamp.read_text(encoding="utf-8") != self._key:
            return False
        variables = self._variables()
        return all(Path(variables.get(name, "")).is_file() for name in ("CMAKE_COMMAND", "CMAKE_MAKE_PROGRAM"))

    def _variables(self) -> dict[str, str]:
        """CMakeCache.txt."""
        cache = self.folder / "CMakeCache.txt"
        if not cache.is_file():
            return {}
        lines = cache.read_text(encoding="utf-8", errors="replace").splitlines()
        pairs = (line.partition("=") for line in lines if not line.startswith(("#", "//")))
        return {name.partition(":")[0]: value for name, equals, value in pairs if equals}


def _ninja(words: list[str], environ: Mapping[str, str], reporter: Reporter) -> bool:
    """Run Ninja; whether it had something to do."""
    said: list[str] = []
    worked = False
    try:
        with running(words, stdin="", env=environ) as lines:
            for line in lines:
                step = _STEP.match(line)
                if step:
                    worked = True
                    reporter.info(f"{step[1]}/{step[2]} {step[3]}")
                elif not line.startswith("ninja: "):
                    said.append(line.rstrip())
    except ProcessFailedError as error:
        detail = "\n".join((*_without_commands(said), error.completed.stderr.rstrip()))
        msg = "the sources do not compile (the messages above say why); what was built before stays in place"
        raise CompileError(msg, detail=detail) from error
    for line in said:
        reporter.info(line)
    return worked


def _without_commands(lines: Iterable[str]) -> Iterator[str]:
    """Ninja's output without the command line that follows each "FAILED:"."""
    skipping = False
    for line in lines:
        if skipping:
            skipping = False
            continue
        skipping = line.startswith("FAILED:")
        if not skipping:
            yield line
