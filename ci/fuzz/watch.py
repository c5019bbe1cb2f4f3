"""Judging one call of a reader: what it may raise, how long it may take, and how much memory."""

from __future__ import annotations

import base64
import resource
import signal
import time
import traceback
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel.errors import BugError, GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from targets import Target

__all__ = ["MEGABYTES", "SECONDS", "Tally"]

SECONDS = 10
"""Of one input."""
MEGABYTES = 256
"""More than before it."""
_KEPT = 20
"""Failures that are written down for each reader; the rest is counted."""
_SHOWN = 16_384
"""Bytes of a failing input that are written down."""


class TookTooLongError(BaseException):
    """An input takes more than its time."""


@dataclass
class Tally:
    """What came of one reader by one engine."""

    reader: str
    engine: str
    inputs: int = 0
    refused: int = 0
    """By an error of ours; the others were read."""
    slowest: float = 0.0
    """Seconds of the slowest input."""
    grown: float = 0.0
    """Megabytes that memory grew at most in one input."""
    failed: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)

    def try_one(self, target: Target, data: bytes) -> None:
        """Call the reader and judge what it does."""
        before, start = _peak(), time.perf_counter()
        try:
            with _at_most(SECONDS):
                target.read(data)
        except BugError as error:
            self._fail(data, error)
        except GpuwheelError:
            self.refused += 1
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # anything else is what is looked for
            self._fail(data, error)
        self.inputs += 1
        self.slowest = max(self.slowest, time.perf_counter() - start)
        grown = (_peak() - before) / 1024
        self.grown = max(self.grown, grown)
        if grown > MEGABYTES:
            self._fail(data, MemoryError(f"{grown:.0f} MB more"))

    def add(self, other: dict[str, Any]) -> None:
        """Take in what an earlier or another process counted."""
        self.inputs += other["inputs"]
        self.refused += other["refused"]
        self.slowest = max(self.slowest, other["slowest"])
        self.grown = max(self.grown, other["grown"])
        self.failed += other["failed"]
        self.failures = (self.failures + other["failures"])[:_KEPT]

    def as_json(self) -> dict[str, Any]:
        """For the result, and for going on later."""
        return asdict(self)

    def _fail(self, data: bytes, error: BaseException) -> None:
        self.failed += 1
        place = traceback.extract_tb(error.__traceback__)
        words = f"{type(error).__name__}: {str(error)[:300]}"
        where = f"{place[-1].filename.rpartition('/')[2]}:{place[-1].lineno}" if place else ""
        if len(self.failures) < _KEPT and where not in {failure["where"] for failure in self.failures}:
            shown = base64.b64encode(data[:_SHOWN]).decode()
            self.failures.append({"error": words, "where": where, "bytes": str(len(data)), "input": shown})


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TookTooLongError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
