"""What a build of all cells will take, from what earlier builds recorded; what nobody saw is unknown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.model.cells import Cell

__all__ = ["BuiltBefore", "Forecast", "Recorded", "forecast"]


@dataclass(frozen=True)
class BuiltBefore:
    """What building a cell took, the last time."""

    seconds: float
    """By the clock on the wall."""
    size: int
    """Bytes of the wheel."""


@dataclass(frozen=True)
class Recorded:
    """What earlier builds of a project recorded."""

    sources: Mapping[str, float]
    """Path below the project -> CPU seconds that it took; a library, which is linked for each cell, by its name."""
    cells: Mapping[str, BuiltBefore]
    """By identifier."""


@dataclass(frozen=True)
class Forecast:
    """What a build of all cells takes where nothing is kept."""

    wheels: int
    cores: int
    seconds: float | None
    """By the clock on the wall; `None`: unknown."""
    size: int | None
    """Bytes of all wheels; `None`: unknown."""
    sources: int
    """That the project names."""
    unknown: tuple[str, ...]
    """Those that were never compiled here."""
    cells: Mapping[str, BuiltBefore]
    """Of those that were built before."""

    @property
    def says_something(self) -> bool:
        """Whether there is anything to compile, or was anything built: Python files alone take no time."""
        return bool(self.wheels and (self.sources or self.cells))

    @property
    def text(self) -> str:
        """For people: "about 12 min of compiling on 2 cores if nothing is kept, 3 wheels, about 41 MB"."""
        wheels = f"{self.wheels} wheel{'' if self.wheels == 1 else 's'}"
        size = "size unknown: none was built here" if self.size is None else f"about {shown_size(self.size)}"
        if self.seconds is not None:
            cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
            return f"about {shown_time(self.seconds)} of compiling on {cores} if nothing is kept, {wheels}, {size}"
        if not self.sources:
            return f"time unknown: gpuwheel does not know the sources, {wheels}, {size}"
        never = f"{len(self.unknown)} of {self.sources} sources were never compiled here"
        return f"time unknown: {never}, {wheels}, {size}"

    def of(self, identifier: str) -> str:
        """For people: what one cell took the last time."""
        before = self.cells.get(identifier)
        if before is None:
            return "never built here: time and size unknown"
        return f"built before in {shown_time(before.seconds)}, {shown_size(before.size)}"


def forecast(
    cells: Sequence[Cell], sources: Mapping[str, tuple[bool, bool]], recorded: Recorded, *, cores: int
) -> Forecast:
    """What all `cells` take together, each source compiled as often as they have to differ in it.

    Args:
        cells: those that are accepted.
        sources: path below the project -> whether it reads headers of torch, and of Python.
        recorded: what is known.
        cores: that compile at once.
    """
    unknown = tuple(sorted(set(sources) - set(recorded.sources)))
    seconds = None
    if sources and not unknown:
        work = sum(recorded.sources[source] * _times(cells, *reads) for source, reads in sources.items())
        linked = sum(_links(recorded.sources).values()) * len(cells)
        longest = max(recorded.sources[source] for source in sources)
        seconds = max(longest, (work + linked) / cores)
    known = {one.identifier: recorded.cells[one.identifier] for one in cells if one.identifier in recorded.cells}
    # Wheels of one project are much alike: those that were never built are taken for the average of the others.
    size = sum(one.size for one in known.values()) * len(cells) // len(known) if known else None
    return Forecast(len(cells), cores, seconds, size, len(sources), unknown, known)


def _links(costs: Mapping[str, float]) -> dict[str, float]:
    """Library -> what linking it took; its name has a tag for each Python, "_C.cpython-312-x86_64-linux-gnu.so"."""
    libraries: dict[str, float] = {}
    for name, spent in costs.items():
        if name.endswith(".so"):
            stem = name.partition(".")[0]
            libraries[stem] = max(spent, libraries.get(stem, 0.0))
    return libraries


def _times(cells: Sequence[Cell], torch: bool, python: bool) -> int:  # noqa: FBT001 (a pair)
    """How many objects of a source there are: one a toolkit and machine, and torch and Python where it reads them."""
    return len({(cell.cuda, cell.machine, torch and cell.torch_floor, python and cell.python) for cell in cells})


def shown_time(seconds: float) -> str:
    """For people: "41 s", "12 min", "3 h 20 min"."""
    minutes = round(seconds / 60)
    if minutes < 2:  # noqa: PLR2004 (a minute and a half is better said in seconds)
        return f"{max(1, round(seconds))} s"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def shown_size(size: int) -> str:
    """For people: "430 kB", "4.1 MB", "41 MB"."""
    if size < 10**6:
        return f"{size // 1000} kB"
    return f"{size / 10**6:.{0 if size >= 10**7 else 1}f} MB"
