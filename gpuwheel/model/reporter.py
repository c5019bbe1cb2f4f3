"""How the stages talk: through this Protocol, never by printing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Progress", "Reporter", "SilentReporter"]


class Progress(Protocol):
    """One piece of long work under way."""

    def advance(self, amount: int) -> None:
        """`amount` more units are done."""


class Reporter(Protocol):
    """What the layers below the edges may say to a person."""

    def step(self, text: str) -> None:
        """A stage begins."""

    def info(self, text: str) -> None:
        """A fact worth a line."""

    def warn(self, text: str) -> None:
        """Something the user should know, that does not stop the work."""

    def command(self, argv: Sequence[str]) -> None:
        """A program is about to run."""

    def progress(self, label: str, total: int | None, unit: str = "B") -> AbstractContextManager[Progress]:
        """Long work of `total` units (`None`: unknown); unit "B" is shown as bytes."""


class _Nothing:
    def advance(self, amount: int) -> None:
        del amount


class SilentReporter:
    """Says nothing: for library use and tests."""

    # Documented by the Protocol.
    # ruff: noqa: D102

    def step(self, text: str) -> None:
        del text

    def info(self, text: str) -> None:
        del text

    def warn(self, text: str) -> None:
        del text

    def command(self, argv: Sequence[str]) -> None:
        del argv

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[Progress]:
        del label, total, unit
        yield _Nothing()
