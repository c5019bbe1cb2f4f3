"""How many files this process may have open: a connection is one, and the usual limit is 1024."""

from __future__ import annotations

import resource
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["files_for"]

_OTHERS = 512
"""Files beside them: logs, pipes and wheels of cells."""


@contextmanager
def files_for(count: int) -> Iterator[None]:
    """Raise the soft limit of open files (getrlimit(2)) to hold `count` connections, as far as the hard one admits.

    No further: programs that close every number they could have would take long under a very large one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHERS if hard == resource.RLIM_INFINITY else min(count + _OTHERS, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        yield
        return
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
