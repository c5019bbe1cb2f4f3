"""How the stages talk: through this Protocol, never by printing."""

from __future__ import annotations

import shlex
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Prefixed", "Progress", "Reporter", "SilentReporter"]


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


_TURN = threading.RLock()  # of all that talk at once; one who talks through two wrappers waits for nobody


class Prefixed:
    """One of several that talk at once: each of its lines is told whole, and says whose it is."""

    # Documented by the Protocol.
    # ruff: noqa: D102

    def __init__(self, reporter: Reporter, prefix: str) -> None:
        """Talk to `reporter`, which all may share, with `prefix` ahead of every line."""
        self._reporter, self._prefix = reporter, prefix

    def _whole(self, text: str) -> str:
        return "\n".join(f"{self._prefix}{line}" for line in text.split("\n"))

    def step(self, text: str) -> None:
        with _TURN:
            self._reporter.step(self._whole(text))

    def info(self, text: str) -> None:
        with _TURN:
            self._reporter.info(self._whole(text))

    def warn(self, text: str) -> None:
        with _TURN:
            self._reporter.warn(self._whole(text))

    def command(self, argv: Sequence[str]) -> None:
        self.info(f"> {shlex.join(argv)}")  # what is ahead of a program is no word of its

    def progress(self, label: str, total: int | None, unit: str = "B") -> AbstractContextManager[Progress]:
        return _InTurn(self._reporter.progress(self._whole(label), total, unit))


class _InTurn:
    """Progress that waits until nobody else talks."""

    def __init__(self, work: AbstractContextManager[Progress]) -> None:
        self._work = work

    def __enter__(self) -> Progress:
        with _TURN:
            self._progress = self._work.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        with _TURN:
            self._work.__exit__(kind, error, place)

    def advance(self, amount: int) -> None:
        """Documented by the Protocol."""
        with _TURN:
            self._progress.advance(amount)
