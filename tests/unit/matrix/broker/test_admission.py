"""Which of the commands that wait may start."""

from __future__ import annotations

import random

import pytest

from gpuwheel.matrix.broker.admission import Admission, Ticket

GIB = 1 << 30


def _admission(*tickets: Ticket, cores: int = 2) -> Admission:
    admission = Admission(cores, margin=GIB // 4)
    for ticket in tickets:
        admission.ask(ticket)
    return admission


def test_no_more_run_than_there_are_cores() -> None:
    admission = _admission(*(Ticket(1, 0) for _ in range(5)))
    assert len(admission.admit(None)) == 2
    assert admission.admit(None) == []
    admission.leave(admission.running[0])
    assert len(admission.admit(None)) == 1


def test_the_longest_comes_first_and_of_equal_ones_the_one_that_came_first() -> None:
    short, long, other = Ticket(1, 0), Ticket(9, 0), Ticket(1, 0)
    admission = _admission(short, long, other)
    assert admission.admit(None) == [long, short]


def test_another_that_fits_runs_where_the_first_does_not() -> None:
    large, larger, small = Ticket(9, 3 * GIB), Ticket(8, 4 * GIB), Ticket(1, GIB)
    admission = _admission(large, larger, small)
    assert admission.admit(5 * GIB) == [large, small]


def test_what_running_ones_will_still_take_is_not_free() -> None:
    first, second = Ticket(9, 4 * GIB), Ticket(1, 2 * GIB)
    admission = _admission(first)
    admission.admit(6 * GIB)
    admission.ask(second)
    first.holds = GIB
    assert admission.admit(5 * GIB) == []  # 3 GiB are to be used yet
    first.holds = 4 * GIB
    assert admission.admit(3 * GIB) == [second]


def test_no_new_one_starts_where_memory_is_short_whatever_was_thought() -> None:
    first = Ticket(9, GIB)
    admission = _admission(first)
    admission.admit(6 * GIB)
    first.holds = 5 * GIB  # far more than was thought
    admission.ask(Ticket(1, 1))
    assert admission.admit(GIB // 8) == []


def test_the_last_one_is_stopped_before_the_kernel_chooses() -> None:
    first, second = Ticket(9, GIB), Ticket(1, GIB)
    admission = _admission(first, second)
    admission.admit(6 * GIB)
    assert admission.to_stop(GIB, [first, second]) is None
    assert admission.to_stop(None, [first, second]) is None
    assert admission.to_stop(GIB // 8, [first, second]) is second
    assert admission.to_stop(GIB // 8, [first]) is first  # the other is a part of a process that does more
    assert admission.to_stop(GIB // 8, []) is None
    admission.leave(second)
    assert admission.to_stop(0, [first, second]) is None  # one alone has all there is


def test_one_runs_whatever_it_needs_where_nothing_else_does() -> None:
    ticket = Ticket(1, 100 * GIB)
    assert _admission(ticket).admit(GIB) == [ticket]
    assert _admission(ticket).admit(0) == [ticket]


def test_who_was_killed_runs_by_itself() -> None:
    running, again, other = Ticket(1, 0), Ticket(1, 0, alone=True), Ticket(99, 0)
    admission = _admission(running)
    admission.admit(None)
    admission.ask(again)
    admission.ask(other)
    assert admission.admit(None) == []  # it waits for the machine, and others for it
    admission.leave(running)
    assert admission.admit(None) == [again]
    assert admission.admit(None) == []
    admission.leave(again)
    assert admission.admit(None) == [other]


def test_nobody_waits_for_ever() -> None:
    large = Ticket(9, 5 * GIB)
    admission = _admission(Ticket(10, GIB))
    admission.admit(6 * GIB)
    admission.ask(large)
    for count in range(200):
        admission.ask(Ticket(1, GIB))
        admission.admit(6 * GIB)
        if large.cores:
            break
        admission.leave(admission.running[count % len(admission.running)])
    assert large.cores
    short = Ticket(1, 0)
    admission = _admission(short, cores=1)
    for _ in range(200):
        admission.ask(Ticket(9, 0))
        admission.admit(None)
        if short.cores:
            break
        admission.leave(admission.running[0])
    assert short.cores


def test_nvcc_gets_cores_that_nobody_else_wants() -> None:
    wide, other = Ticket(1, GIB, width=4), Ticket(2, 0)
    admission = _admission(wide, cores=3)
    admission.admit(None)
    assert wide.cores == 3
    admission = _admission(wide, other, cores=3)
    admission.admit(None)
    assert (other.cores, wide.cores) == (1, 2)
    admission = _admission(wide, cores=3)
    admission.admit(2 * GIB)
    assert wide.cores == 1  # there is memory for one


@pytest.mark.parametrize("seed", range(20))
def test_memory_is_kept_and_cores_are_used_with_any_sources(seed: int) -> None:
    """A machine on which each holds what was thought: never over, and idle only where nothing fits."""
    chance = random.Random(seed)  # noqa: S311
    every = 6 * GIB
    waiting = [Ticket(chance.uniform(1, 60), chance.randrange(GIB // 8, 3 * GIB)) for _ in range(60)]
    admission = _admission(*waiting, cores=chance.choice([2, 4, 8]))
    ends: dict[Ticket, float] = {}
    now = 0.0
    while admission.waiting or admission.running:
        held = sum(ticket.holds for ticket in admission.running)
        for ticket in admission.admit(every - held):
            ends[ticket] = now + ticket.cost
        assert sum(ticket.cores for ticket in admission.running) <= admission._cores  # noqa: SLF001
        assert sum(ticket.memory for ticket in admission.running) <= every - GIB // 4
        assert admission.running
        ended = min(admission.running, key=ends.__getitem__)
        now = ends[ended]
        for ticket in admission.running:  # at any moment of its life
            ticket.holds = chance.randrange(ticket.memory)
        admission.leave(ended)
    assert len(ends) == len(waiting)
