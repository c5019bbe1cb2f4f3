"""A wheel, built again from what it says it was built from, in an environment of its own and without credentials."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpuwheel._environment import of_strangers
from gpuwheel._run import run
from gpuwheel.errors import GpuwheelError, UnreadableError
from gpuwheel.index.pages import without_credentials
from gpuwheel.index.settings import read_index_settings
from gpuwheel.lock.file import LOCK_FILE
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.matrix.rebuild.differences import differences
from gpuwheel.matrix.rebuild.proofs import Recorded, check_files, recorded
from gpuwheel.matrix.snapshot import extracted
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.matrix.rebuild.differences import Difference
    from gpuwheel.toolchain import Context

__all__ = ["RebuildRequest", "Rebuilt", "checked", "rebuilt"]

_PYTHON = "cp"
# What a build needs of the machine. Nothing that names a person, a token, or an agent of either goes along.
_TRAVELS = ("PATH", "LANG", "LC_ALL", "TZ", "CXX", "MAX_JOBS", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True)
class RebuildRequest:
    """What is built again, and from what."""

    wheel: Path
    sdist: Path
    lock: Path
    settings: Mapping[str, str | list[str]] = field(default_factory=dict)
    """`-C` of the build: no wheel says them."""
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


def checked(request: RebuildRequest) -> Recorded:
    """What the wheel says of its build, where the files are those that it names.

    Raises:
        LockError: they are not, or it says nothing.
        AuditError: a file is not what its name says.
    """
    facts = recorded(request.wheel)
    check_files(request.wheel.name, facts, request.sdist, request.lock)
    return facts


def rebuilt(request: RebuildRequest, facts: Recorded, work: Path, context: Context) -> Rebuilt:
    """Build again and compare; this runs code of the sdist.

    Args:
        request: What to build.
        facts: As `checked` gave them.
        work: An empty folder.
        context: Of this process: its cache holds the environments.

    Raises:
        GpuwheelError: the build fails.
    """
    sources, out, home = (work / name for name in ("sources", "out", "home"))
    for folder in (sources, out, home):
        folder.mkdir()
    root = extracted(request.sdist, sources)
    shutil.copyfile(request.lock, root / LOCK_FILE)
    settings = {**request.settings, "gpuwheel.locked": "true"}
    environ = _environment(context.environ, home, facts.epoch)
    clean = replace(context, environ=environ)
    python = BuildEnvironments(root, clean).python(_python(request.wheel), settings)
    cache = context.cache.root if request.keep_cache else work / "cache"
    environ = entered(python, {**environ, "GPUWHEEL_CACHE_DIR": str(cache)})
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


def _environment(environ: Mapping[str, str], home: Path, epoch: int | None) -> dict[str, str]:
    """What the build runs in: of this machine what no secret is in, and the same indexes, without passwords."""
    kept = {name: environ[name] for name in _TRAVELS if name in environ}
    index = read_index_settings(environ)
    places = {
        "PIP_INDEX_URL": index.indexes[:1],
        "PIP_EXTRA_INDEX_URL": index.indexes[1:],
        "PIP_FIND_LINKS": index.find_links,
        "PIP_CERT": (index.ca_bundle,) if index.ca_bundle else (),
        "PIP_TRUSTED_HOST": tuple(sorted(index.trusted_hosts)),
    }
    told = {name: " ".join(map(without_credentials, found)) for name, found in places.items() if found}
    stamp = {} if epoch is None else {"SOURCE_DATE_EPOCH": str(epoch)}
    nothing_else = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}
    return {**of_strangers(kept), **told, **nothing_else, **stamp, "HOME": str(home), "TMPDIR": str(home)}


def _failed(wheel: str, events: str, words: str) -> GpuwheelError:
    for line in reversed(events.splitlines()):
        event = json.loads(line)
        if event.get("event") == "failed":
            error = GpuwheelError(event["message"], hint=event["hint"], detail=event["detail"])
            error.exit_code = event["exit_code"]
            return error
    msg = f"{wheel} cannot be built again (its build ended without a wheel; its words are above)"
    return UnreadableError(msg, hint="try `pip wheel` of the same sdist", detail=words[-4000:])
