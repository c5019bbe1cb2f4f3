"""A machine from the options of a command: what they say, over what is here."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.cli.delivery.machine_here import machine_here, python_of_environment
from gpuwheel.compatibility import driver_of_cuda
from gpuwheel.compatibility.gpu_names import gpu_named
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.publish.selector.target_machine import CPUS, SYSTEMS, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gpuwheel.compatibility import Tables

__all__ = ["machine_options", "told_machine"]

_PYTHON = re.compile(r"(?P<version>3\.\d+(\.\d+)?)(?P<threads>t?)", re.ASCII)
_NONE = "none"


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell a machine, or a part of one."""
    options = [
        click.option("--python", metavar="VERSION|PATH", help="3.12, 3.14t (free-threaded), or an interpreter to ask."),
        click.option("--torch", metavar="VERSION", help="The torch that is or will be there."),
        click.option("--gpu", "gpus", metavar="GPU", multiple=True, help="9.0, or a name: H100, 'RTX 4090'; or none."),
        click.option("--driver", metavar="VERSION", help="Of NVIDIA: 580, 570.86.15."),
        click.option("--cuda", metavar="VERSION", help="What nvidia-smi shows as CUDA Version: instead of --driver."),
        click.option("--system", type=click.Choice(list(SYSTEMS)), help="Another system."),
        click.option("--cpu", metavar="NAME", help="x86_64 (amd64) or aarch64 (arm64)."),
        click.option("--glibc", metavar="VERSION", help="2.28, for example."),
        click.option("--musl", metavar="VERSION", help="1.2, for example: Alpine."),
        click.option("--pre", is_flag=True, help="Take pre-releases too."),
        click.option("--elsewhere", is_flag=True, help="Look at nothing here; what no option tells is not known."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def told_machine(told: Mapping[str, Any], environ: Mapping[str, str], tables: Tables) -> Machine:
    """What the options of `machine_options` say, over what is here.

    Raises:
        click.UsageError: an option is not of its form, or two exclude each other.
        PlatformError: an interpreter cannot be asked.
    """
    version = _PYTHON.fullmatch(told["python"] or "")
    if told["elsewhere"] or told["system"]:
        if version is None:
            _refuse("--python", told["python"], "a version, as 3.12, for another machine")
        machine = Machine(told["python"].rstrip("t"))
    else:
        interpreter = told["python"] if told["python"] and version is None else python_of_environment(environ)
        machine = machine_here(environ, interpreter)
    changes: dict[str, Any] = {"pre_releases": told["pre"]}
    if version is not None:
        # Another Python is another environment, and its torch is not this one's.
        changes |= {"python": version["version"], "free_threaded": bool(version["threads"])}
        changes |= {} if machine.python.startswith(f"{version['version']}.") else {"torch": None, "torch_cuda": None}
    if told["system"]:
        changes["system"] = told["system"]
    if told["cpu"]:
        changes["cpu"] = _parsed("--cpu", told["cpu"], _cpu, " or ".join(CPUS["linux"]))
    system = changes.get("system", machine.system)
    for libc in ("glibc", "musl"):
        if told[libc] and system != "linux":
            msg = f"--{libc} is of Linux alone (found {SYSTEMS[system]})"
            raise click.UsageError(msg)
    if told["torch"]:
        changes |= {"torch": _release(told["torch"]), "torch_cuda": None}
    return replace(machine, **changes, **_libc(told), **_gpus(told, tables))


def _cpu(text: str) -> str:
    """By any of its names: Windows and macOS have others."""
    spelled = {name: cpu for names in CPUS.values() for cpu, tag in names.items() for name in (cpu, tag)}
    if text.lower() not in spelled:
        raise ValueError(text)
    return spelled[text.lower()]


def _libc(told: Mapping[str, Any]) -> dict[str, Any]:
    if told["glibc"] and told["musl"]:
        msg = "--glibc and --musl are two C libraries (expected one)"
        raise click.UsageError(msg)
    for libc in ("glibc", "musl"):
        if told[libc]:
            release = _parsed(f"--{libc}", told[libc], MinorVersion.parse, "two numbers, as 2.28")
            return {"libc": libc, "release": (release.major, release.minor)}
    return {}


def _gpus(told: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """Driver and GPUs: of another machine where any of the options is there."""
    if told["driver"] and told["cuda"]:
        msg = "--driver and --cuda say the same of a machine (expected one)"
        raise click.UsageError(msg)
    if not told["gpus"] and not told["driver"] and not told["cuda"]:
        return {}
    driver = None
    if told["driver"]:
        driver = _parsed("--driver", told["driver"], DriverVersion.parse, "numbers, as 580 or 570.86.15")
    elif told["cuda"]:
        driver = driver_of_cuda(tables, _parsed("--cuda", told["cuda"], MinorVersion.parse, "two numbers, as 12.4"))
        if driver is None:
            _refuse("--cuda", told["cuda"], f"{next(iter(tables.cuda))} or newer")
    if told["gpus"] == (_NONE,):
        return {"gpus": (), "driver": driver}
    gpus = tuple(_parsed("--gpu", text, _gpu, "9.0, or a name as H100") for text in told["gpus"])
    return {"gpus": gpus or None, "driver": driver}


def _gpu(text: str) -> Arch:
    try:
        arch = Arch.parse(text)
    except ValueError:
        named = gpu_named(text)
        if named is None:
            raise
        return named
    return Arch(arch.major, arch.minor)


def _release(text: str) -> str:
    return str(_parsed("--torch", text, _version, "a version, as 2.14 or 2.14.1"))


def _version(text: str) -> str:
    from packaging.version import Version  # noqa: PLC0415  # InvalidVersion is a ValueError

    Version(text)
    return text


def _parsed(option: str, text: str, parse: Callable[[str], Any], expected: str) -> Any:  # noqa: ANN401  # of `parse`
    try:
        return parse(text)
    except ValueError:
        _refuse(option, text, expected)


def _refuse(option: str, text: str | None, expected: str) -> None:
    msg = f"{option} {text} is not understood (expected {expected})" if text else f"{option} is missing ({expected})"
    raise click.UsageError(msg)
