"""A wheel, built again from what it says it was built from, in an environment of its own and without credentials."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import Cache
from gpuwheel._environment import of_strangers, travelling
from gpuwheel._run import run
from gpuwheel.errors import GpuwheelError, UnreadableError
from gpuwheel.lock.file import LOCK_FILE
from gpuwheel.lock.resolve import index_environment
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.matrix.rebuild.differences import differences
from gpuwheel.matrix.rebuild.proofs import Recorded, check_files, check_given, recorded
from gpuwheel.matrix.snapshot import extracted
from gpuwheel.toolchain.python_headers import running_python
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.matrix.rebuild.differences import Difference
    from gpuwheel.matrix.tasks import Settings
    from gpuwheel.toolchain import Context

__all__ = ["RebuildRequest", "Rebuilt", "checked", "rebuilt"]

_PYTHON = "cp"
# What a build needs of the machine. Nothing that names a person, a token, or an agent of either goes along.
_TRAVELS = ("PATH", "LANG", "LC_ALL", "TZ", "CXX", "MAX_JOBS")


@dataclass(frozen=True)
class RebuildRequest:
    """What is built again, and from what."""

    wheel: Path
    sdist: Path
    lock: Path
    settings: Mapping[str, str | list[str]] = field(default_factory=dict)
    """`-C` beside those that the wheel records, and ahead of them."""
    keep_cache: bool = False
    """Whether compiled code may be taken from the cache of this machine; else each file is compiled anew."""


@dataclass(frozen=True)
class Rebuilt:
    """What came out."""

    wheel: Path
    """The new file."""
    facts: Recorded
    differences: tuple[Difference, ...]

    @property
    def same_content(self) -> bool:
        """Whether what is installed is equal, however it is packed."""
        return not any(one.is_content for one in self.differences)


def checked(request: RebuildRequest, environ: Mapping[str, str]) -> Recorded:
    """What the wheel says of its build, where the files are those that it names.

    Raises:
        LockError: they are not, it says nothing, or what shaped its build is in neither the wheel nor the request.
        AuditError: a file is not what its name says.
    """
    facts = recorded(request.wheel)
    check_files(request.wheel.name, facts, request.sdist, request.lock)
    check_given(request.wheel.name, facts, request.settings, environ)
    return facts


def rebuilt(request: RebuildRequest, facts: Recorded, work: Path, context: Context) -> Rebuilt:
    """Build again and compare; this runs code of the sdist.

    What the build takes from an index is downloaded before, by the digests of the lock and with the user's credentials.
    The build itself has neither these nor an index.

    Args:
        request: What to build.
        facts: As `checked` gave them.
        work: An empty folder.
        context: Of this process: its cache holds the environments.

    Raises:
        GpuwheelError: the build fails.
    """
    sources, out, home, wheels = (work / name for name in ("sources", "out", "home", "wheels"))
    for folder in (sources, out, home, wheels):
        folder.mkdir()
    root = extracted(request.sdist, sources)
    shutil.copyfile(request.lock, root / LOCK_FILE)
    settings = {**facts.settings, **request.settings, "gpuwheel.locked": "true"}
    version = _python(request.wheel)
    cache = context.cache if request.keep_cache else Cache(work / "cache")
    words = _words(context.environ, facts)
    context.reporter.step(f"downloading what {request.lock.name} names")
    _fetch(root, wheels, version, settings, words, replace(context, cache=cache))
    environ = _environment(context.environ, home, wheels) | words
    python = BuildEnvironments(root, replace(context, cache=cache, environ=environ)).python(version, settings)
    environ = entered(python, {**environ, "GPUWHEEL_CACHE_DIR": str(cache.root)})
    order = json.dumps({"root": str(root), "out": str(out), "settings": settings})
    done = run([python, "-I", "-B", "-m", "gpuwheel.matrix.worker"], env=environ, stdin=order, check=False)
    made = sorted(out.glob("*.whl"))
    if done.returncode != 0 or len(made) != 1:
        raise _failed(request.wheel.name, done.stdout, done.stderr)
    if made[0].name != request.wheel.name:
        context.reporter.info(f"the rebuild is named {made[0].name}")
    return Rebuilt(made[0], facts, differences(request.wheel, made[0]))


def _python(wheel: Path) -> str | None:
    """The Python of a tag, as cells name it: "3.12"; `None`: any."""
    tag = parse_wheel_name(wheel.name).tag
    if tag.abi in {"none", "abi3"} or not tag.python.startswith(_PYTHON):
        return None
    digits = tag.python.removeprefix(_PYTHON)
    return f"{digits[0]}.{digits[1:]}{'t' if tag.abi.endswith('t') else ''}"


def _words(environ: Mapping[str, str], facts: Recorded) -> dict[str, str]:
    """The variables that shaped the build: as recorded; where only the name is, as they are here (`check_given`)."""
    recorded = dict(each.partition("=")[::2] for each in facts.environment)
    stamp = {} if facts.epoch is None else {"SOURCE_DATE_EPOCH": str(facts.epoch)}
    return {**recorded, **{name: environ[name] for name in facts.withheld if name in environ}, **stamp}


def _fetch(
    root: Path, wheels: Path, version: str | None, settings: Settings, words: Mapping[str, str], context: Context
) -> None:
    """Bring what the build downloads into the cache, and what its environment holds into the folder `wheels`.

    Raises:
        GpuwheelError: something cannot be had, or is not what the lock names.
    """
    python = Path(sys.executable)
    if version not in {None, running_python()}:
        told = index_environment(context.environ)
        python = BuildEnvironments(wheels, replace(context, environ=told)).of_gpuwheel(version)
    shaping = travelling(context.environ)  # of another build: the user's shell says nothing about this one
    environ = {name: value for name, value in context.environ.items() if name not in shaping} | dict(words)
    environ = entered(python, {**of_strangers(environ), "GPUWHEEL_CACHE_DIR": str(context.cache.root)})
    order = json.dumps({"root": str(root), "wheels": str(wheels), "settings": settings})
    done = run([python, "-I", "-B", "-m", "gpuwheel.matrix.rebuild.fetch_worker"], env=environ, stdin=order)
    failed = json.loads(done.stdout.splitlines()[-1]).get("failed")
    if failed is not None:
        raise _as_raised(failed)


def _environment(environ: Mapping[str, str], home: Path, wheels: Path) -> dict[str, str]:
    """What the build runs in: of this machine what no secret is in, and of packages those that were downloaded."""
    kept = {name: environ[name] for name in _TRAVELS if name in environ}
    told = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    told |= {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(wheels), "UV_NO_CONFIG": "1"}
    told["UV_PYTHON_DOWNLOADS"] = "never"
    return {**of_strangers(kept), **told, "HOME": str(home), "TMPDIR": str(home)}


def _as_raised(facts: Mapping[str, Any]) -> GpuwheelError:
    """What another process raised."""
    error = GpuwheelError(facts["message"], hint=facts["hint"], detail=facts["detail"])
    error.exit_code = facts["exit_code"]
    return error


def _failed(wheel: str, events: str, words: str) -> GpuwheelError:
    for line in reversed(events.splitlines()):
        event = json.loads(line)
        if event.get("event") == "failed":
            return _as_raised(event)
    msg = f"{wheel} cannot be built again (its build ended without a wheel; its words are above)"
    return UnreadableError(msg, hint="try `pip wheel` of the same sdist", detail=words[-4000:])
