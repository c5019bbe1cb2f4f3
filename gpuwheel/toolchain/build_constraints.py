"""Versions that the user holds build environments to, where a build backend can see them.

Containers set PIP_CONSTRAINT to the versions that their torch was built with. A pin of ours that such a file excludes
would end in the resolver: it is not asked for then, and what it stands for is fetched into the cache. Constraints on a
frontend's own command line are not visible to a build backend.

Sources: pip documentation, "Constraints Files", "Requirements File Format"; uv documentation, "Build constraints".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpuwheel._limits import CONFIG_FILE
from gpuwheel.index.settings import constraint_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.model.pins import Pin

__all__ = ["Excluded", "excluded_pins"]

_DEPTH = 8  # files that name files
_COMMENT = re.compile(r"(^|\s+)#.*$")
# What may follow a requirement on its line: --hash and its like (pip, "Requirements File Format").
_OPTIONS = re.compile(r"\s--?[a-z].*$")
_NESTED = re.compile(r"(?:-c|-r|--constraint|--requirement)[ =]?\s*(?P<path>\S+)")


@dataclass(frozen=True)
class Excluded:
    """A pin that a constraint does not allow."""

    pin: Pin
    constraint: Requirement
    origin: str
    """Who says so: "PIP_CONSTRAINT (/etc/pip/constraint.txt)"."""


def excluded_pins(pins: Iterable[Pin], environ: Mapping[str, str], root: Path = Path("/")) -> list[Excluded]:
    """The pins among `pins` that the constraints of pip or uv exclude.

    Args:
        pins: exact pins.
        environ: the environment; whose configuration files are read, too.
        root: for tests.
    """
    by_name = {canonicalize_name(pin.name): pin for pin in pins}
    found: dict[str, Excluded] = {}
    for origin, constraint in _constraints(environ, root):
        pin = by_name.get(canonicalize_name(constraint.name))
        applies = constraint.marker is None or constraint.marker.evaluate()
        if pin is not None and applies and not constraint.specifier.contains(pin.version, prereleases=True):
            found.setdefault(pin.name, Excluded(pin, constraint, origin))
    return list(found.values())


def _constraints(environ: Mapping[str, str], root: Path) -> Iterator[tuple[str, Requirement]]:
    """Every constraint, with who states it."""
    for setting in constraint_settings(environ, root):
        for place in setting.files:
            for line in _lines(place, _DEPTH):
                yield from _requirement(line, f"{setting.origin} ({place})")
        for line in setting.lines:
            yield from _requirement(line, setting.origin)


def _lines(place: str, depth: int) -> Iterator[str]:
    """The lines of a constraints file and of those that it names; of one at a URL, or that cannot be read, none."""
    path = Path(place.removeprefix("file://"))
    # Not fetched: a constraint that nobody could read is the resolver's to tell, and a build hook makes no request of
    # its own for it.
    if "://" in place.removeprefix("file://") or depth == 0 or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            text = file.read(CONFIG_FILE.value).decode(errors="replace")
    except OSError:
        return
    # A backslash at the end goes on with the line, before comments are looked for.
    for raw in text.replace("\\\n", " ").splitlines():
        line = _COMMENT.sub("", raw).strip()
        if nested := _NESTED.match(line):
            yield from _lines(str(path.parent / nested["path"]), depth - 1)
        elif line and not line.startswith("-"):
            yield _OPTIONS.sub("", line)


def _requirement(line: str, origin: str) -> Iterator[tuple[str, Requirement]]:
    try:
        yield origin, Requirement(line)
    except InvalidRequirement:
        return  # the frontend judges it
