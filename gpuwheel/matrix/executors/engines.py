"""What runs containers on this machine, as cibuildwheel takes it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._run import run
from gpuwheel._toml import parse_toml
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Engine", "find_engine"]

_VARIABLES = ("CIBW_CONTAINER_ENGINE_LINUX", "CIBW_CONTAINER_ENGINE")
_KNOWN = ("docker", "podman")
_SECONDS = 60
_STAND_INS = (
    'without containers, `platform = "manylinux_2_28"` in [tool.gpuwheel.wheel] links against stand-ins for that glibc'
)


@dataclass(frozen=True)
class Engine:
    """docker or podman, and how containers are made by it (cibuildwheel, option `container-engine`)."""

    name: str
    create_args: tuple[str, ...] = ()
    """Words for `docker create`."""
    others: tuple[str, ...] = ()
    """Further parts of the option as they are written: "disable_host_mount: true"."""

    @classmethod
    def parse(cls, text: str) -> Engine:
        """From the option as the variable has it: "podman; create_args: --volume=/a:/a; disable_host_mount: true"."""
        name, *parts = (part.strip() for part in text.split(";"))
        words = [part.partition(":") for part in parts if part]
        own = [shlex.split(value) for key, _, value in words if key.replace("-", "_") == "create_args"]
        others = tuple(f"{key}:{value}" for key, _, value in words if key.replace("-", "_") != "create_args")
        return cls(name, tuple(word for each in own for word in each), others)

    def option(self, further: Sequence[str]) -> str:
        """The option, with `further` words for `docker create`."""
        return "; ".join([self.name, f"create_args: {shlex.join([*self.create_args, *further])}", *self.others])


def find_engine(root: Path, environ: Mapping[str, str]) -> Engine:
    """The engine that the environment names, or the project's [tool.cibuildwheel]; else the first that runs.

    Raises:
        ToolchainError: none can be used.
    """
    stated = next((environ[name] for name in _VARIABLES if environ.get(name)), None) or _of_project(root)
    if stated is not None:
        engine = Engine.parse(stated)
        if problem := _problem(engine.name, environ):
            msg = f"{engine.name} cannot be used ({problem}, expected it to answer `{engine.name} info`)"
            raise ToolchainError(msg, hint=f"start it, or name another in {_VARIABLES[-1]}; {_STAND_INS}")
        return engine
    problems = {name: _problem(name, environ) for name in _KNOWN}
    usable = [name for name, problem in problems.items() if problem is None]
    if not usable:
        found = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        msg = f"no engine runs containers on this machine ({found})"
        raise ToolchainError(msg, hint=f"start docker or install podman; {_STAND_INS}")
    return Engine(usable[0])


def _of_project(root: Path) -> str | None:
    """`container-engine` of [tool.cibuildwheel], which is a text or a table."""
    table: Any = parse_toml((root / "pyproject.toml").read_bytes())
    for key in ("tool", "cibuildwheel"):
        table = table.get(key, {}) if isinstance(table, dict) else {}
    linux = table.get("linux", {}) if isinstance(table, dict) else {}
    value = next((each["container-engine"] for each in (linux, table) if "container-engine" in each), None)
    if not isinstance(value, dict):
        return value if isinstance(value, str) else None
    words = value.get("create-args", [])
    parts = [str(value.get("name", _KNOWN[0])), f"create_args: {shlex.join(map(str, words))}"]
    if "disable-host-mount" in value:
        parts.append(f"disable_host_mount: {str(value['disable-host-mount']).lower()}")
    return "; ".join(parts)


def _problem(name: str, environ: Mapping[str, str]) -> str | None:
    """Why an engine does not run; `None`: it does. A client without its daemon answers `version`, but not this."""
    try:
        done = run([name, "info"], env=environ, check=False, timeout=_SECONDS)
    except FileNotFoundError:
        return "not installed"
    except (PermissionError, TimeoutError) as error:
        return str(error)
    return None if done.returncode == 0 else done.output.strip().splitlines()[-1].strip()
