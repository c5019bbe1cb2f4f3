"""Trials of finished wheels: installed into clean environments of the oldest and the newest that they claim."""

from gpuwheel.matrix.trials.verdicts import Level, Trial, check_trials, try_wheel

__all__ = ["Level", "Trial", "check_trials", "try_wheel"]
