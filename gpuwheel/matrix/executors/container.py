"""Cells in containers of this machine, one each: cibuildwheel starts them, and builds and repairs in them.

What a cell needs from here comes through mounts and variables that the engine is told, so that every option of
cibuildwheel stays what the project says: the running gpuwheel as a wheel, and its cache, which all cells share.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import sha256_of, write_if_changed
from gpuwheel._run import ProcessFailedError, run, running, unleashed
from gpuwheel.config.reading.variables import other_variables
from gpuwheel.errors import ToolchainError
from gpuwheel.matrix.executors import CellFailedError, Made
from gpuwheel.matrix.executors.engines import find_engine
from gpuwheel.matrix.executors.leashed import LeashedExecutor, tail
from gpuwheel.matrix.executors.manylinux_images import identifier_of, image_of
from gpuwheel.matrix.own_wheel import own_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.matrix.executors import Heard
    from gpuwheel.matrix.executors.engines import Engine
    from gpuwheel.matrix.own_wheel import OwnWheel
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task
    from gpuwheel.toolchain import Context

__all__ = ["ContainerExecutor", "Surroundings", "surroundings"]

_INSTALL = "pip install 'gpuwheel[containers]' (Python 3.11 or newer), or pipx install cibuildwheel"
_CACHE, _OWN, _WHEEL = "/gpuwheel/cache", "/gpuwheel/own", "/gpuwheel/wheel"
"""Where containers find the cache, the constraints, and the wheel of gpuwheel."""
_CONSTRAINTS = "constraints.txt"
_LABEL = "org.gpuwheel.cell"
# Of this machine's variables, those that mean the same in a container. Of gpuwheel's own that are no settings,
# few do: keys of a remote, and files that are only here, stay here.
_PASSED_OWN = {"GPUWHEEL_DEBUG", "GPUWHEEL_INDEX_URL"}
_PASSED = re.compile(
    r"GPUWHEEL_\w+|TORCH_CUDA_ARCH_LIST|MAX_JOBS|(?i:https?_proxy|no_proxy|all_proxy)"
    r"|(?:PIP|UV)_(?:DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST)"
)
_STEP = re.compile(r"[A-Z][\w ]+\.\.\.")
"""A line by which cibuildwheel says what it begins."""
_USED = re.compile(r"usage_usec (\d+)")
"""CPU time of a container, in microseconds (kernel, Control Group v2, cpu.stat)."""
_SAID = re.compile(r"^[ \t]*(?:error|Error): (.+)\n(?:[ \t]*hint: (.+)\n)?", re.MULTILINE)
_PURE = "pure Python wheel was generated"


@dataclass(frozen=True)
class Surroundings:
    """What all containers of a build have in common."""

    engine: Engine
    sdist: Path
    """What is built."""
    own: OwnWheel
    """The running gpuwheel."""
    cache: Path
    """gpuwheel's cache on this machine."""
    place: str
    """The platform or the image, as `--in` names it."""
    program: tuple[str, ...]
    """Words that start cibuildwheel."""


def surroundings(snapshot: Snapshot, place: str, context: Context) -> Surroundings:
    """What containers of this machine are given.

    Raises:
        ToolchainError: nothing runs containers here, cibuildwheel is not installed, or gpuwheel cannot be made a wheel.
        CacheError: the cache cannot be written.
    """
    return Surroundings(
        engine=find_engine(snapshot.root, context.environ),
        program=_cibuildwheel(context.environ),
        sdist=snapshot.sdist,
        own=own_wheel(context.cache),
        cache=context.cache.root,
        place=place,
    )


class ContainerExecutor(LeashedExecutor):
    """Starts cibuildwheel for each cell."""

    def __init__(
        self,
        around: Surroundings,
        environ: Mapping[str, str],
        heard: Heard,
        *,
        slots: int,
        seconds: float | None = None,
    ) -> None:
        """Build from an sdist.

        Args:
            around: engine, sources, and what containers are given.
            environ: of cibuildwheel.
            heard: is told what happens.
            slots: how many cells at once.
            seconds: that a cell may take before it counts as hung.
        """
        super().__init__(slots, seconds)
        self._around, self._environ, self._heard = around, environ, heard

    def build(self, task: Task, out: Path, log: Path) -> Made:
        """Documented by the Protocol."""
        label = f"{_LABEL}={uuid.uuid4()}"
        words = [
            *self._around.program,
            "--only",
            identifier_of(task),
            "--output-dir",
            str(out),
            str(self._around.sdist),
        ]
        used = 0.0
        try:
            with (
                self._leash(log),
                tempfile.TemporaryDirectory(prefix="gpuwheel-own-") as own,
                self._removed_unless_done(label),
                running(words, stdin="", env=self._variables(task, Path(own), label), errors=log) as lines,
                log.open("a", buffering=1, encoding="utf-8") as file,  # in order with what goes to stderr
            ):
                for line in lines:
                    file.write(line)
                    if _STEP.fullmatch(line.strip()):
                        self._heard(task, {"event": "step", "time": round(time.time(), 3), "text": line.strip()})
                    if match := _USED.fullmatch(line.strip()):
                        used = int(match[1]) / 1e6
        except ProcessFailedError as error:
            raise _why(error, log) from error
        made = sorted(out.glob("*.whl"))
        if len(made) != 1:
            msg = f"cibuildwheel left {len(made)} wheels (expected one)"
            raise CellFailedError(msg, exit_code=1, detail=tail(log))
        with made[0].open("rb") as wheel:
            return Made(made[0], sha256_of(wheel), used)

    def _variables(self, task: Task, own: Path, label: str) -> dict[str, str]:
        wheel = self._around.own.path
        here = f"file://{_WHEEL}/{wheel.name.replace('+', '%2B')}"
        write_if_changed(own / _CONSTRAINTS, f"gpuwheel @ {here}\n".encode())
        # What frontends install as gpuwheel is what runs here, whatever an index has.
        inside = {
            "GPUWHEEL_CACHE_DIR": _CACHE,
            "PIP_CONSTRAINT": f"{_OWN}/{_CONSTRAINTS}",
            "UV_CONSTRAINT": f"{_OWN}/{_CONSTRAINTS}",
        }
        engine = [
            f"--label={label}",
            f"--volume={self._cache()}:{_CACHE}",
            f"--volume={own}:{_OWN}:ro",
            f"--volume={wheel.parent}:{_WHEEL}:ro",
            *(f"--env={name}={value}" for name, value in inside.items()),
            # By name alone: the engine reads the value, which may be a secret, from its own environment.
            *(f"--env={name}" for name in sorted(self._environ) if _passes(name)),
        ]
        return {
            **self._environ,
            "PYTHONUNBUFFERED": "1",  # what it says and what the engine says, in their order
            **image_of(task, self._around.place, self._environ),
            "CIBW_CONTAINER_ENGINE_LINUX": self._around.engine.option(engine),
            "CIBW_CONFIG_SETTINGS_LINUX": _settings(task),
            "CIBW_REPAIR_WHEEL_COMMAND_LINUX": _repair(wheel.name),
        }

    def _cache(self) -> Path:
        """The cache, or one beside it where containers write as another user, who would leave files that stay."""
        cache = self._around.cache
        is_other = os.getuid() != 0 and self._around.engine.name == "docker"
        folder = cache.with_name(f"{cache.name}-containers") if is_other else cache
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _removed_unless_done(self, label: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._remove(label)
            raise

    def _remove(self, label: str) -> None:
        """Remove the container of a cibuildwheel that ended before it could do so."""
        name = self._around.engine.name
        with unleashed(), suppress(OSError):
            listed = run([name, "ps", "--all", "--quiet", "--filter", f"label={label}"], env=self._environ, check=False)
            if found := listed.stdout.split():
                run([name, "rm", "--force", *found], env=self._environ, check=False)


def _why(error: ProcessFailedError, log: Path) -> CellFailedError:
    """What gpuwheel said in the container as it ended there, or the engine."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if _PURE in text:
        msg = "a wheel for every machine comes out of the container"
        return CellFailedError(msg, exit_code=1, hint="build it without --in: nothing of a machine is in it")
    said = _SAID.findall(text)
    message, hint = said[-1] if said else (f"cibuildwheel ended with {error.completed.returncode}", "")
    return CellFailedError(message, exit_code=error.completed.returncode, hint=hint or None, detail=tail(log))


def _passes(name: str) -> bool:
    return name in _PASSED_OWN or (_PASSED.fullmatch(name) is not None and name not in other_variables())


def _cibuildwheel(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Of the environment that gpuwheel runs in, or on PATH."""
    if importlib.util.find_spec("cibuildwheel") is not None:
        return (sys.executable, "-m", "cibuildwheel")
    try:
        run(["cibuildwheel", "--help"], env=environ, check=False)
    except FileNotFoundError as error:
        msg = "cibuildwheel is not installed (it starts the containers)"
        raise ToolchainError(msg, hint=_INSTALL) from error
    return ("cibuildwheel",)


def _settings(task: Task) -> str:
    words = []
    for key, value in task.settings.items():
        words += [f"{key}={one}" for one in ([value] if isinstance(value, str) else value)]
    return shlex.join(words)


def _repair(wheel: str) -> str:
    """By the gpuwheel that built the wheel, in an environment apart; images of manylinux have auditwheel."""
    folder = "/tmp/gpuwheel-repair"  # noqa: S108 (in a container of our own)
    file = f"{_WHEEL}/{shlex.quote(wheel)}"
    by_uv = f"uv venv --quiet {folder} && env -u UV_CONSTRAINT uv pip install --quiet --python {folder} {file}"
    by_pip = f"python -m venv {folder} && env -u PIP_CONSTRAINT {folder}/bin/python -m pip install --quiet {file}"
    steps = [
        # uv does it in a second, pip in ten; not every image has uv.
        f"if command -v uv >/dev/null; then {by_uv}; else {by_pip}; fi",
        f"{folder}/bin/gpuwheel repair --wheel-dir {{dest_dir}} {{wheel}}",
    ]
    used = "cat /sys/fs/cgroup/cpu.stat 2>/dev/null"
    return f"{' && '.join(steps)}; status=$?; {used}; exit $status"
