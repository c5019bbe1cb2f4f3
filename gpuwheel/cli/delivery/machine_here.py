"""This machine, as whoever chooses a wheel sees it: its driver, its GPUs, and the Python of the environment in use."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import PlatformError
from gpuwheel.model.versions import MinorVersion
from gpuwheel.publish.selector.target_machine import CPUS, Machine
from gpuwheel.toolchain.probes.driver import probe_driver
from gpuwheel.toolchain.probes.machine import probe_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["machine_here", "python_of_environment"]

_PATIENCE = 20.0  # seconds
_SYSTEMS = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX")
# Nothing is imported that may be large: torch's toolkit stands in a file of its own.
_ASKED = """
import importlib.metadata, json, re, sys, sysconfig
found = {"python": "%d.%d.%d" % sys.version_info[:3], "threads": bool(sysconfig.get_config_var("Py_GIL_DISABLED"))}
try:
    torch = importlib.metadata.distribution("torch")
    found["torch"] = torch.version
    text = open(torch.locate_file("torch/version.py"), encoding="utf-8").read()
    cuda = re.search(r"^cuda[^=]*= *'([0-9.]+)'", text, re.M)
    found["cuda"] = cuda and cuda[1]
except (importlib.metadata.PackageNotFoundError, OSError):
    pass
print(json.dumps(found))
"""


def python_of_environment(environ: Mapping[str, str]) -> str:
    """The interpreter of the active environment, else this one: gpuwheel may be installed apart from it."""
    for variable in _VARIABLES:
        folder = environ.get(variable)
        if folder:
            found = Path(folder, "Scripts/python.exe" if sys.platform == "win32" else "bin/python")
            if found.is_file():
                return str(found)
    return sys.executable


def machine_here(environ: Mapping[str, str], python: str) -> Machine:
    """What is here, for wheels that `python`, an interpreter, would load.

    Raises:
        PlatformError: that interpreter cannot be asked.
    """
    asked = _ask(python, environ)
    facts = probe_platform()
    system = _SYSTEMS.get(facts.system, "linux")
    driver = probe_driver(environ)
    spelled = {tag: cpu for cpu, tag in CPUS["windows"].items()}
    cpu = facts.machine.lower()
    release = facts.libc_version if system == "linux" else platform.mac_ver()[0] if system == "macos" else ""
    version = _minor(release)
    torch, cuda = asked.get("torch"), asked.get("cuda")
    return Machine(
        python=asked["python"],
        free_threaded=asked["threads"],
        system=system,
        cpu=spelled.get(cpu, cpu),
        libc=facts.libc or "glibc",
        release=None if version is None else (version.major, version.minor),
        torch=torch if torch and _is_version(torch) else None,
        torch_cuda=cuda if cuda and _minor(cuda) else None,
        # A driver that cannot be used says nothing of GPUs; none at all says that there is none.
        gpus=tuple(device.arch for device in driver.devices) if driver.devices or driver.problem is None else None,
        driver=driver.release,
    )


def _minor(text: str) -> MinorVersion | None:
    try:
        return MinorVersion.parse(text)
    except ValueError:
        return None


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _ask(python: str, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(run([python, "-I", "-c", _ASKED], env=environ, timeout=_PATIENCE).stdout)
    except (ProcessFailedError, TimeoutError, ValueError, OSError) as error:
        msg = f"{python} cannot be asked which Python it is ({error})"
        raise PlatformError(msg, hint="--python 3.12 names a version, or --python PATH another interpreter") from error
    return answer
