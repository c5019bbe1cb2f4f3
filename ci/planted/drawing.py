"""Mutants of real kernels, drawn by seed: so many of each family, of the sources of a subject."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from mistakes import OPERATORS, Edit, edits

__all__ = ["HOST_MISTAKES", "SUBJECTS", "Mutant", "Subject", "draw", "everything"]

ROOT = Path(__file__).resolve().parent.parent.parent
# Mistakes of the code that launches, made by the bench (bench.py) at the n-th buffer or launch.
HOST_MISTAKES = {
    "short_buffer": "bound",
    "freed_buffer": "stale pointer",
    "moved_buffer": "stale pointer",
    "less_shared": "shared size",
    "no_wait_for_stream": "stream",
    "no_reset_before": "race",
}


@dataclass(frozen=True)
class Subject:
    """Kernels of one source, and the files whose mistakes its trial (trials.py) would meet."""

    name: str
    folder: str
    source: str
    mutated: tuple[str, ...]
    places: tuple[int, int] = (0, 0)
    """How many buffers its trial makes, and how many launches."""


def _subject(name: str, path: str, *headers: str, places: tuple[int, int]) -> Subject:
    folder, _, source = path.rpartition("/")
    return Subject(name, folder, source, (source, *headers), places)


_SAMPLE, _OWN = "sample_extension/csrc", "ci/planted/kernels"
SUBJECTS = (
    _subject("add_rms_norm", f"{_SAMPLE}/add_rms_norm.cu", "rows.cuh", places=(12, 4)),
    _subject("swiglu", f"{_SAMPLE}/swiglu.cu", "flat.cuh", places=(8, 3)),
    _subject("bias_gelu", f"{_SAMPLE}/bias_gelu.cu", "flat.cuh", "rows.cuh", places=(6, 2)),
    _subject("rotary_embedding", f"{_SAMPLE}/rotary_embedding.cu", "rows.cuh", places=(4, 1)),
    _subject("cross_entropy", f"{_SAMPLE}/cross_entropy.cu", places=(7, 2)),
    _subject("sum_partials", f"{_SAMPLE}/sum_partials.cu", places=(2, 1)),
    _subject("template_rms_norm", "templates/kernels/csrc/rms_norm.cu", places=(6, 2)),
    _subject("template_swiglu", "templates/kernels/csrc/swiglu.cu", places=(3, 1)),
    _subject("template_add_rms_norm", "templates/embed/csrc/add_rms_norm.cu", "rows.cuh", places=(9, 2)),
    _subject("pipeline", f"{_OWN}/pipeline.cu", places=(4, 2)),
    _subject("counting", f"{_OWN}/counting.cu", places=(11, 4)),
    _subject("phases", f"{_OWN}/phases.cu", places=(8, 4)),
)


@dataclass(frozen=True)
class Mutant:
    """One mistake in one place: an edit of a file, or what the host does wrong at its n-th buffer or launch."""

    subject: Subject
    family: str
    operator: str
    file: str = ""
    edit: Edit | None = None
    before: str = ""
    line: int = 0
    host: int = 0

    @property
    def name(self) -> str:
        """Stands for the place as long as the file stays: `add_rms_norm/rows.cuh:45:no_barrier@1834`."""
        if self.edit is None:
            return f"{self.subject.name}/host:{self.operator}@{self.host}"
        return f"{self.subject.name}/{self.file}:{self.line}:{self.operator}@{self.edit.start}"


def _of_source(subject: Subject) -> list[Mutant]:
    found = []
    for file in subject.mutated:
        text = (ROOT / subject.folder / file).read_text(encoding="utf-8")
        for operator in OPERATORS:
            for edit in edits(operator, text):
                line, before = text.count("\n", 0, edit.start) + 1, text[edit.start : edit.end]
                found.append(Mutant(subject, operator.family, operator.name, file, edit, before, line))
    return found


def _of_host(subject: Subject) -> list[Mutant]:
    buffers, launches = subject.places
    return [
        Mutant(subject, family, name, host=place)
        for name, family in HOST_MISTAKES.items()
        for place in range(buffers if "buffer" in name or "reset" in name else launches)
    ]


def everything() -> list[Mutant]:
    """All mutants that there are, in a fixed order."""
    return [mutant for subject in SUBJECTS for mutant in (*_of_source(subject), *_of_host(subject))]


def draw(seed: int, each: int) -> list[Mutant]:
    """All mutants in a drawn order by family, `each` of which are asked for: those that are no mutants are skipped."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    mutants, drawn = everything(), []
    for family in sorted({mutant.family for mutant in mutants}):
        members = [mutant for mutant in mutants if mutant.family == family]
        # Further ones stand by for those that do not compile, or that the trial never makes.
        drawn += chance.sample(members, min(len(members), 2 * each))
    return drawn
