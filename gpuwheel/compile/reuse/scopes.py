"""How far compiled code serves: what read nothing of a torch or of a Python is the same for all of them.

Which of them a source reads, only its compiler knows; a key is needed before it runs. So there is a key for each
answer, in which the torch and the Python stand that were read, and those that were not do not. Facts beside the objects
have to hold as ever: a name that was looked for among torch's headers in vain must be in none of another torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from gpuwheel.compile.reuse.store import content_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Scope", "narrowest", "scopes"]


@dataclass(frozen=True)
class Scope:
    """A key, and whom it is for."""

    key: str
    read: frozenset[str]
    """Of the places that differ from one cell of a project to another, those of which files were read."""


def scopes(parts: Mapping[str, Any], differing: Mapping[str, object]) -> tuple[Scope, ...]:
    """The keys of one thing that is compiled; the last one is for what reads of everything.

    Args:
        parts: what it is made from, whatever it reads.
        differing: place, as facts name it -> what is there.
    """
    chosen = (names for count in range(len(differing) + 1) for names in combinations(sorted(differing), count))
    return tuple(
        Scope(content_key({**parts, "reads": {name: differing[name] for name in names}}), frozenset(names))
        for names in chosen
    )


def narrowest(choices: Iterable[Scope], read: Iterable[str]) -> Scope:
    """The scope of what has read these files, named as facts name them."""
    places = {name[1:].partition(">")[0] for name in read if name.startswith("<")}
    *_, widest = choices = tuple(choices)
    return next((scope for scope in choices if scope.read == places & widest.read), widest)
