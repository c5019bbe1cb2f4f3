"""The marked places of a generated file: what people wrote into them outlives the next generation.

A place is what stands between `# gpuwheel: begin yours (NAME)` and the next `# gpuwheel: end yours`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["CI_FILES", "PLACES", "filled", "first_line", "place", "read_places", "reduced", "written_by"]

CI_FILES = {"github": ".github/workflows/wheels.yml", "gitlab": ".gitlab-ci.yml"}
"""Service -> the file, from the top of a repository."""

PLACES = ("env", "before sdist", "before build", "after build", "before tests", "before launches", "on gpu", "jobs")
"""Those that files of every service have."""
_BEGIN = re.compile(r"(?P<indent> *)# gpuwheel: begin yours \((?P<name>[a-z ]+)\)\s*")
_END = "# gpuwheel: end yours"
_FIRST = re.compile(r"# written by `gpuwheel ci (?P<service>[a-z]+)(?P<words>(?: [^` ]+)*)`; edit between the marks\s*")


def first_line(service: str, words: Sequence[str]) -> str:
    """What says who wrote a file, and with which options."""
    return f"# written by `{' '.join(['gpuwheel ci', service, *words])}`; edit between the marks"


def written_by(text: str) -> tuple[str, list[str]] | None:
    """The service and the options of the first line; `None` for a file that gpuwheel did not write."""
    match = _FIRST.fullmatch(text.partition("\n")[0])
    return (match["service"], match["words"].split()) if match else None


def place(name: str) -> str:
    """An empty place, to be indented as what goes into it."""
    return f"# gpuwheel: begin yours ({name})\n{_END}"


def read_places(text: str) -> dict[str, list[str]]:
    """By name: the lines in each place, indented as from its marks.

    Raises:
        WorkflowError: a mark is missing or there twice, so that nobody can tell what is whose.
    """
    places: dict[str, list[str]] = {}
    for name, lines, indent in _places(text.splitlines()):
        if name in places:
            msg = f"the place {name} is there twice (expected one)"
            raise WorkflowError(msg, hint="put the lines of both between one pair of marks")
        places[name] = [line.removeprefix(indent) for line in lines]
    return places


def reduced(text: str) -> str:
    """The first line and what is in places: all that a later `gpuwheel ci` needs, and all that templates hold.

    Raises:
        WorkflowError: as for `read_places`.
    """
    out = text.splitlines()[:1]
    for name, lines, indent in _places(text.splitlines()):
        if any(line.strip() for line in lines):
            out += [f"{indent}# gpuwheel: begin yours ({name})", *lines, f"{indent}{_END}"]
    return "\n".join(out) + "\n"


def filled(text: str, places: Mapping[str, Sequence[str]]) -> str:
    """`text` with these lines in its places.

    Raises:
        WorkflowError: it has no place for some of them.
    """
    left = {name for name, lines in places.items() if any(line.strip() for line in lines)}
    out = []
    for line in text.splitlines():
        out.append(line)
        match = _BEGIN.fullmatch(line)
        if match:
            left.discard(match["name"])
            out += [f"{match['indent']}{each}" if each.strip() else "" for each in places.get(match["name"], ())]
    if left:
        name = min(left)
        msg = f"the pipeline has no place {name} any more (found {len(places[name])} lines in it)"
        raise WorkflowError(msg, hint="move them into another place, or delete them")
    return "\n".join(out) + "\n"


def _places(lines: Sequence[str]) -> Iterator[tuple[str, list[str], str]]:
    inside: list[str] = []
    name, indent, begun = "", "", 0
    for number, line in enumerate(lines, 1):
        match = _BEGIN.fullmatch(line)
        if match or line.strip() == _END:
            if bool(match) == bool(begun):
                msg = f"line {number} does not follow its other mark ({line.strip()!r}, expected pairs of marks)"
                raise WorkflowError(msg, hint="each `# gpuwheel: begin yours (...)` has its `# gpuwheel: end yours`")
            if match:
                name, indent, inside, begun = match["name"], match["indent"], [], number
            else:
                yield name, inside, indent
                begun = 0
        elif begun:
            inside.append(line)
    if begun:
        msg = f"the place {name}, from line {begun} on, has no end (expected {_END!r})"
        raise WorkflowError(msg, hint="add that line below what is yours")
