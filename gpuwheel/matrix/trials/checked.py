"""Where a command runs that is watched on the pretend GPU: beside a finished wheel, or with a package that is here."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._environment import of_strangers
from gpuwheel._run import run_in_terminal
from gpuwheel.errors import AuditError, ConfigError, ToolchainError
from gpuwheel.matrix.environments import entered
from gpuwheel.matrix.trials.claims import Pair, claims_of
from gpuwheel.matrix.trials.clean_environments import place_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.matrix.trials.claims import Claims
    from gpuwheel.toolchain import Context

__all__ = ["CheckPlace", "place_of_package", "place_of_wheel"]


@dataclass(frozen=True)
class CheckPlace:
    """Where the command of a check runs."""

    subject: str
    """The wheel's file name, or the package with its version."""
    where: str
    """In words: which Python and which torch."""
    torch: tuple[str, ...]
    """Options of `gpuwheel.testing run` that say where its torch is; none: that of this Python, if there is one."""
    also: tuple[Path, ...]
    """Libraries that need NVIDIA's."""
    environ: Mapping[str, str]

    def run(self, words: Sequence[str], options: Sequence[str], *, quiet: bool) -> dict[str, Any]:
        """Run a command on the pretend GPU with our terminal; what `gpuwheel.testing run --report` wrote.

        Args:
            words: the command.
            options: of `gpuwheel.testing run`.
            quiet: its stdout is our stderr.

        Raises:
            ConfigError: there is no such program.
            ToolchainError: the pretend GPU does not start, for a reason that it wrote to stderr.
        """
        program = shutil.which(words[0], path=self.environ.get("PATH"))
        if program is None:
            msg = f"there is no program {words[0]} where {self.subject} is checked"
            raise ConfigError(msg, hint="programs of packages come by --with, e.g. --with pytest; others are on PATH")
        also = [word for library in self.also for word in ("--also", str(library))]
        with tempfile.TemporaryDirectory(prefix="gpuwheel-check-") as folder:
            report = Path(folder) / "report.json"
            more = [*self.torch, *also, *options, "--report", str(report), "--", program, *words[1:]]
            status = run_in_terminal(
                [sys.executable, "-I", "-m", "gpuwheel.testing", "run", *more], self.environ, quiet=quiet
            )
            if not report.exists():
                msg = f"the pretend GPU did not start for {self.subject} (exit status {status})"
                raise ToolchainError(msg, hint="the lines above say why")
            document: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
            return document


def place_of_package(name: str, context: Context) -> CheckPlace:
    """A package of this Python, where it is.

    Raises:
        ConfigError: it is not installed here.
    """
    try:
        found = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError) as error:
        msg = f"{name} is neither a wheel nor a package of this Python ({sys.executable})"
        raise ConfigError(msg, hint="name a file that ends in .whl, or install the package beside gpuwheel") from error
    version = ".".join(map(str, sys.version_info[:2]))
    environ = entered(Path(sys.executable), context.environ)
    subject = f"{found.name} {found.version}"
    return CheckPlace(subject, f"this Python {version}", (), (), environ)


@contextmanager
def place_of_wheel(
    wheel: Path, *, torch: str | None, python: str | None, requires: Sequence[str], context: Context
) -> Iterator[CheckPlace]:
    """A clean environment with a wheel, gone afterwards.

    Args:
        wheel: the file.
        torch: a release of those that the wheel admits; None: the newest that can be had here.
        python: likewise.
        requires: what else the command needs (PEP 508).
        context: environment, cache, reporter.

    Raises:
        ConfigError: the wheel admits no such Python and torch, or none of this machine.
        AuditError: it is no wheel, or cannot be installed.
        ToolchainError: there is no such Python or torch here.
    """
    claims = claims_of(wheel.absolute())
    if claims.foreign is not None:
        msg = f"{wheel.name} is for {claims.foreign}, and cannot run here"
        raise ConfigError(msg, hint="check it on a machine of that kind")
    pair = _pair(claims, torch, python)
    with place_for(claims, pair, ["gpuwheel", *requires], context) as place:
        has_torch = (place.site_packages / "torch").exists()
        if has_torch and not place.pretends:
            msg = f"torch of {pair} has no CUDA code here, or this machine has a GPU"
            raise AuditError(msg, hint="--torch names another release; on a GPU, run the command itself")
        environ = entered(place.python, of_strangers(context.environ))
        of_torch = ("--site-packages", str(place.site_packages)) if has_torch else ("--no-torch",)
        yield CheckPlace(wheel.name, str(pair), of_torch, place.also, environ)


def _pair(claims: Claims, torch: str | None, python: str | None) -> Pair:
    found = [
        pair
        for pair in claims.pairs
        if python in (None, pair.python) and (torch is None or (pair.torch or "").startswith(torch))
    ]
    own = ".".join(map(str, sys.version_info[:2]))
    here = [pair for pair in found if pair.python == own]
    if not found:
        asked = (
            f"torch {torch} and Python {python}"
            if torch and python
            else f"torch {torch}"
            if torch
            else f"Python {python}"
        )
        known = f"{claims.pairs[0]} to {claims.pairs[-1]}" if claims.pairs else "nothing that gpuwheel knows"
        msg = f"{claims.wheel.name} does not admit {asked} (it admits {known})"
        raise ConfigError(msg, hint="leave --torch and --python away for the newest that it admits")
    # The Python that runs is surely here; others have to be found.
    return (here or found)[-1]
