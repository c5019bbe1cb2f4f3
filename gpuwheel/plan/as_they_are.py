"""Existing sources on torch's stable ABI, unedited or nearly so: what that would save, and what stands in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.libraries import NarrowLine, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.specifiers import SpecifierSet

    from gpuwheel.config.model import Settings
    from gpuwheel.model.libraries import Survey

__all__ = ["because", "collapses", "on_compat", "survey_lines", "tied_lines"]

_SHOWN = 3
"""Lines that a sentence names; the others are counted."""


def collapses(settings: Settings, surveys: Sequence[Survey]) -> Verdict:
    """Whether all extensions on torch's C++ ABI would do with `abi = "compat"`: one without keeps the wheel narrow."""
    exact = {name for name, one in settings.extensions.items() if one.abi is TorchAbi.EXACT}
    verdicts = {survey.verdict for survey in surveys if survey.extension in exact}
    # Sources that nobody could read are those of the project's own CMake.
    read = exact <= {survey.extension for survey in surveys} and settings.cmake is None
    if not exact or not read or Verdict.CANNOT in verdicts:
        return Verdict.CANNOT
    return Verdict.LINES if Verdict.LINES in verdicts else Verdict.WHOLE


def on_compat(settings: Settings, floor: SpecifierSet) -> Settings:
    """With the headers that stand in for torch's, and the Python module that goes with them."""
    changed = {
        name: replace(one, abi=TorchAbi.COMPAT, python=PythonAbi.NONE)
        for name, one in settings.extensions.items()
        if one.mode is Mode.NVCC and one.abi is TorchAbi.EXACT
    }
    return replace(settings, extensions={**settings.extensions, **changed}, torch=(floor,))


def because(surveys: Sequence[Survey]) -> str:
    """What a sentence says first."""
    lines = [line for survey in surveys for line in survey.lines]
    if not lines:
        return "no source uses what gpuwheel's headers lack"
    first = ", ".join(f"{line.place} uses {line.uses}" for line in lines[:_SHOWN])
    more = len(lines) - _SHOWN
    return f"in the way: {first}" + (f" and {more} more line{'s' if more > 1 else ''}" if more > 0 else "")


def tied_lines(surveys: Sequence[Survey]) -> tuple[NarrowLine, ...]:
    """The lines, as those of other changes are told."""
    return tuple(
        NarrowLine(survey.extension, line.place, line.uses, torch=True, python=False, conditional=line.conditional)
        for survey in surveys
        for line in survey.lines
    )


def survey_lines(surveys: Sequence[Survey], most: int | None = None) -> Iterator[str]:
    """Each extension's verdict, with the lines behind it; at most `most` of them."""
    for survey in surveys:
        name, lines = survey.extension, survey.lines
        match survey.verdict:
            case Verdict.WHOLE:
                yield f'{name} collapses as it is: abi = "compat"'
            case Verdict.LINES:
                yield f'{name} collapses with abi = "compat" but for {len(lines)} line{"s" if len(lines) > 1 else ""}:'
            case Verdict.CANNOT:
                # What nothing replaces first: it decides.
                lines = (*(each for each in lines if not each.edit), *(each for each in lines if each.edit))
                uses = ", ".join(dict.fromkeys(each.uses for each in lines if not each.edit))
                yield f'{name} cannot collapse (it uses {uses}): abi = "exact"'
        for line in lines[:most]:
            yield f"  {line.text}" + (f"; instead: {line.edit}" if line.edit else "")
        if most is not None and len(lines) > most:
            yield f"  and {len(lines) - most} more line{'s' if len(lines) - most > 1 else ''}: gpuwheel plan --json"
