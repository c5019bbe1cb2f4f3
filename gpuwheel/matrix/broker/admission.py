"""Who may start: the rules by themselves, without sockets, processes or clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Admission", "Ticket"]

_PASSED = 32
"""So many others may be let through before one that does not fit, or that is short; then all wait for it."""


@dataclass(eq=False)
class Ticket:
    """A command that wants to run, or runs."""

    cost: float
    """Seconds that it will probably take."""
    memory: int
    """Bytes that it will probably need, for each of its cores."""
    width: int = 1
    """Cores that it could use."""
    alone: bool = False
    """Nothing may run beside it: it was killed for want of memory once."""
    passed: int = 0
    """How many others were let through since it came."""
    cores: int = field(default=0, init=False)
    """Those that it was given; 0 while it waits."""
    holds: int = field(default=0, init=False)
    """Bytes that it was last seen to use."""

    @property
    def unused(self) -> int:
        """Bytes that it will still take, while it runs."""
        return max(0, self.memory * self.cores - self.holds)


class Admission:
    """Which of those who wait may start.

    - No more cores than there are; no more memory than is available, with what the running ones will still take, less
      a margin.
    - The longest first: what is left at the end is short. Where that does not fit, any other that does.
    - Where nothing runs, one does, whatever it needs.
    - Who was passed often enough is next, and others wait for it.
    """

    def __init__(self, cores: int, margin: int) -> None:
        """Take how many cores there are, and the bytes that are to stay free."""
        self._cores = max(1, cores)
        self.margin = margin
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []

    def ask(self, ticket: Ticket) -> None:
        """Let it wait."""
        ticket.cores = ticket.holds = 0
        self.waiting.append(ticket)

    def leave(self, ticket: Ticket) -> None:
        """It has ended, or waits no longer."""
        for tickets in (self.waiting, self.running):
            if ticket in tickets:
                tickets.remove(ticket)

    def admit(self, available: int | None) -> list[Ticket]:
        """Those that may start now, in order; `available`: bytes that are free now, `None` where nobody knows."""
        admitted = []
        while (ticket := self._next(available)) is not None:
            self.waiting.remove(ticket)
            for other in self.waiting:
                other.passed += 1
            ticket.cores = self._width(ticket, available)
            self.running.append(ticket)
            admitted.append(ticket)
        return admitted

    def to_stop(self, available: int | None, endable: Collection[Ticket]) -> Ticket | None:
        """Whom to stop, for a second try by itself, before the kernel chooses: the last one that started.

        Estimates of what was never seen may be too small. One that runs alone has all there is.

        Args:
            available: bytes; `None`: unknown.
            endable: those that have a process of their own; images are made inside of one that makes others too.
        """
        if available is None or len(self.running) < 2 or available >= self.margin * 3 // 4:  # noqa: PLR2004
            return None
        return next((ticket for ticket in reversed(self.running) if ticket in endable), None)

    @property
    def _free(self) -> int:
        return self._cores - sum(ticket.cores for ticket in self.running)

    def _room(self, available: int | None) -> int | None:
        """Bytes for others; less than none where it is tight already."""
        if available is None:
            return None
        return available - self.margin - sum(ticket.unused for ticket in self.running)

    def _next(self, available: int | None) -> Ticket | None:
        order = sorted(self.waiting, key=lambda one: (not one.alone, one.passed < _PASSED, -one.cost))
        if not order or self._free <= 0 or any(ticket.alone for ticket in self.running):
            return None
        if not self.running:
            return order[0]
        room = self._room(available)
        for ticket in order:
            if not ticket.alone and (room is None or ticket.memory <= room):
                return ticket
            if ticket.alone or ticket.passed >= _PASSED:
                return None  # the others wait for it
        return None

    def _width(self, ticket: Ticket, available: int | None) -> int:
        """How many cores: others who wait come before a second one."""
        if self.waiting or ticket.alone:
            return 1
        room = self._room(available)
        fitting = ticket.width if room is None or ticket.memory <= 0 else max(1, room // ticket.memory)
        return max(1, min(ticket.width, self._free, fitting))
