"""How many compilers run at once."""

from __future__ import annotations

import pytest

from gpuwheel.compile.cmake.memory import available_memory, nvcc_jobs


@pytest.mark.parametrize(
    ("jobs", "available", "expected"),
    [(8, 16, 8), (8, 6, 3), (8, 1, 1), (8, None, 8), (1, 100, 1)],
)
def test_no_more_than_there_is_memory_for_and_one_at_least(jobs: int, available: int | None, expected: int) -> None:
    assert nvcc_jobs(jobs, 2, available) == expected


def test_this_machine_has_some_memory() -> None:
    available = available_memory()
    assert available is None or available > 1 << 20
