"""What became of a wheel in its trials."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from gpuwheel.config import load_config
from gpuwheel.errors import AuditError, GpuwheelError, ToolchainError
from gpuwheel.matrix.trials.claims import Pair, claims_of
from gpuwheel.matrix.trials.clean_environments import place_for
from gpuwheel.matrix.trials.tried import own_tests, smoke

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpuwheel.config.model import TrialSettings
    from gpuwheel.matrix.trials.claims import Claims
    from gpuwheel.toolchain import Context

__all__ = ["PATIENCE", "Level", "Trial", "check_trials", "try_wheel"]

_TAIL = 40
"""Lines of output that are kept."""
PATIENCE = 1800.0
"""Seconds that one program of a trial may take, unless told otherwise."""


class Level(Enum):
    """How much is tried."""

    NONE = "none"
    SMOKE = "smoke"
    """It installs, its packages import, its libraries load, its operators are there."""
    FULL = "full"
    """And the project's own tests pass, one at least."""


@dataclass(frozen=True)
class Trial:
    """One wheel in one environment."""

    python: str
    """For example "3.12"."""
    torch: str | None
    """The release; `None`: the wheel does without."""
    level: str
    passed: bool | None
    """`None`: it could not be tried here, and `output` says why."""
    seconds: float
    output: str
    """The last lines that were printed, or the reason."""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        return str(Pair(self.torch, self.python))


@dataclass(frozen=True)
class _Trials:
    """Those of one wheel."""

    claims: Claims
    level: Level
    settings: TrialSettings
    sources: Path
    context: Context
    seconds: float

    def one(self, pair: Pair) -> Trial:
        """Try it with one pair."""
        started = time.monotonic()
        passed: bool | None
        self.context.reporter.step(f"trying {self.claims.wheel.name} with {pair}")
        requires = ["pytest", *self.settings.requires] if self.level is Level.FULL else []
        try:
            with place_for(self.claims, pair, requires, self.context, seconds=self.seconds) as place:
                passed, output = smoke(place, self.claims.distribution, seconds=self.seconds)
                if passed and self.level is Level.FULL:
                    passed, output = own_tests(place, self.sources, self.settings, seconds=self.seconds)
        except ToolchainError as error:
            passed, output = None, "\n".join(filter(None, [error.message, error.detail]))
        except GpuwheelError as error:
            passed, output = False, error.render()
        lines = output.splitlines()
        tail = "\n".join(lines[:_TAIL] if passed is None else lines[-_TAIL:])
        return Trial(pair.python, pair.torch, self.level.value, passed, round(time.monotonic() - started, 1), tail)


def try_wheel(
    wheel: Path, sources: Path, level: Level, context: Context, *, seconds: float = PATIENCE
) -> tuple[Trial, ...]:
    """Try a wheel with the oldest torch and Python that it claims, and with the newest, of those that are here.

    Those that should have been tried and cannot be had stand in the result too.

    Args:
        wheel: finished.
        sources: of the project: an unpacked sdist.
        level: how much.
        context: environment, cache, reporter.
        seconds: that one program may take; it counts as failed then.

    Raises:
        AuditError: it is no wheel.
        ConfigError: the project's configuration cannot be read.
    """
    if level is Level.NONE:
        return ()
    claims = claims_of(wheel)
    if claims.foreign is not None:
        return (Trial("", None, level.value, None, 0.0, f"it is for {claims.foreign}, and cannot run here"),)
    settings = load_config(sources, environ=context.environ).settings.test
    trials = _Trials(claims, level, settings, sources, context, seconds)
    done: dict[Pair, Trial] = {}
    for pairs in (claims.pairs, claims.pairs[::-1]):
        for pair in pairs:
            if pair not in done:
                done[pair] = trials.one(pair)
            if done[pair].passed is False:  # nobody needs to know more
                return tuple(done.values())
            if done[pair].passed:
                break
    if not done:
        return (Trial("", None, level.value, None, 0.0, "no Python and torch that gpuwheel knows is claimed"),)
    return tuple(done.values())


def check_trials(wheel: Path, trials: Sequence[Trial]) -> None:
    """See that a wheel passed: every trial that took place, and one at least.

    Raises:
        AuditError: it failed one, whose output goes with the message; or none could take place.
    """
    for trial in trials:
        if trial.passed is False:
            msg = f"{wheel.name} failed its trial with {trial} (--test {trial.level})"
            hint = "install it there to look at it; --test none builds without trials"
            raise AuditError(msg, hint=hint, detail=trial.output)
    if trials and not any(trial.passed for trial in trials):
        # Else a build that was to be tested would look as if it was.
        msg = f"{wheel.name} could not be tried anywhere (--test {trials[0].level})"
        reasons = "\n".join(f"{trial}: {trial.output}" for trial in trials)
        raise AuditError(msg, hint="--test none builds without trials", detail=reasons)
