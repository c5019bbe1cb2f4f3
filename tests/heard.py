"""A reporter that keeps what it was warned of."""

from __future__ import annotations

from gpuwheel.model.reporter import SilentReporter

__all__ = ["Heard"]


class Heard(SilentReporter):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)
