"""The widest interface that existing sources allow, for all extensions of a project together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.adopt.extensions import on_compat
from gpuwheel.adopt.leftover import Leftover
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.libraries import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.adopt.extensions import AdoptedExtension
    from gpuwheel.model.libraries import Survey

__all__ = ["widest"]

_SHOWN = 3
"""Lines of an extension that are named; the others are counted."""
_KEEPS = 'a wheel for each torch and Python, for abi = "compat" does not cover it'


def widest(extensions: Sequence[AdoptedExtension], left: list[Leftover]) -> list[AdoptedExtension]:
    """With `abi = "compat"` where no source stands in its way; else what does, in `left`.

    One extension that needs torch's C++ ABI ties the whole wheel to one torch, so that the others gain nothing.
    """
    exact = [extension for extension in extensions if extension.interface.torch is TorchAbi.EXACT]
    surveys = [extension.survey for extension in exact if extension.survey is not None]
    if exact and len(surveys) == len(exact) and all(survey.verdict is Verdict.WHOLE for survey in surveys):
        return [on_compat(extension) if extension in exact else extension for extension in extensions]
    for survey in surveys:
        left += _in_the_way(survey)
    return list(extensions)


def _in_the_way(survey: Survey) -> Iterator[Leftover]:
    # What nothing replaces first: it decides.
    lines = sorted(survey.lines, key=lambda line: line.edit is not None)
    for line in lines[:_SHOWN]:
        place = line.place.partition(" ")[0]
        yield Leftover(place, line.uses, f"{_KEEPS} ({line.why})" + (f": {line.edit}" if line.edit else ""))
    if len(lines) > _SHOWN:
        more = len(lines) - _SHOWN
        what = f"{more} more line{'s' if more > 1 else ''} of {survey.extension}"
        yield Leftover(lines[_SHOWN].place.partition(" ")[0], what, f"{_KEEPS}: gpuwheel plan --json names them")
