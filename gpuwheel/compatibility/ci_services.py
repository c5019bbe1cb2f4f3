"""`load_ci_services`: actions, images and machines of CI services, as typed rows of `ci.toml`.

Apart from the other tables: only generated pipelines need it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility.parsing import Reader

__all__ = ["Action", "CiServices", "Image", "load_ci_services"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"v\d+\.\d+\.\d+")
_PINNED = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9_.-]+)+@sha256:[0-9a-f]{64}")
_NAMED = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9_.-]+)+(?::[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})")
_CORES = range(1, 257)
_MINUTES = range(10, 6 * 60 + 1)


@dataclass(frozen=True)
class Action:
    """One action of GitHub's."""

    uses: str
    """Repository and folder: "actions/cache/restore"."""
    version: str
    """The tag that people know it by."""
    commit: str
    """What that tag means: a tag can be moved, a commit cannot."""

    def __str__(self) -> str:
        return f"{self.uses}@{self.commit} # {self.version}"


@dataclass(frozen=True)
class Image:
    """A container image of one platform, by machine."""

    version: str
    """The tag that people know it by."""
    references: Mapping[str, str]
    """Machine -> repository with digest; of CUDA images with a tag, where no digest is known."""


@dataclass(frozen=True)
class CiServices:
    """What generated pipelines name of the outside world."""

    actions: Mapping[str, Action]
    images: Mapping[str, Image]
    """By platform: "manylinux_2_28"."""
    cuda_images: Mapping[MinorVersion, Mapping[str, Image]]
    """By CUDA toolkit, then by platform: for nvcc that no package index has."""
    cores: Mapping[str, int]
    """Service -> cores of its machines."""
    limits: Mapping[str, int]
    """Service -> minutes that a job may take."""
    runners: Mapping[str, Mapping[str, str]]
    """Service -> machine -> label of what runs its jobs."""


@cache
def load_ci_services() -> CiServices:
    """The table.

    Raises:
        DataError: the file is damaged, or an action or an image is named by what can be moved.
    """
    with read_table("ci.toml") as file:
        keys = ("actions", "images", "cuda-images", "cores", "limits", "runners")
        file.require_sources(file.table("sources").strings(), *keys)
        return CiServices(
            actions={name: _action(row) for name, row in file.named_tables("actions", str)},
            images={name: _image(row, _PINNED) for name, row in file.named_tables("images", str)},
            cuda_images={
                cuda: {platform: _image(rows.table(platform), _NAMED) for platform in rows.names()}
                for cuda, rows in file.named_tables("cuda-images", MinorVersion.parse)
            },
            cores=_numbers(file.table("cores"), _CORES),
            limits=_numbers(file.table("limits"), _MINUTES),
            runners={service: row.strings() for service, row in file.named_tables("runners", str)},
        )


def _action(row: Reader) -> Action:
    with row:
        action = Action(row.text("uses"), row.text("version"), row.text("commit"))
        if not _COMMIT.fullmatch(action.commit) or not _VERSION.fullmatch(action.version):
            row.fail(f"is not pinned ({action}, expected a whole commit and a whole version)")
        return action


def _image(row: Reader, form: re.Pattern[str]) -> Image:
    with row:
        image = Image(row.text("version"), {machine: row.text(machine) for machine in row.names()})
        wrong = [text for machine, text in image.references.items() if not form.fullmatch(text) or machine not in text]
        if wrong or not image.references:
            row.fail(f"is not pinned ({', '.join(wrong) or 'nothing'}, expected a digest for each machine)")
        return image


def _numbers(row: Reader, sensible: range) -> dict[str, int]:
    with row:
        numbers = {name: row.integer(name) for name in row.names()}
        odd = [f"{name} {number}" for name, number in numbers.items() if number not in sensible]
        if odd:
            row.fail(f"is out of range ({', '.join(odd)}, expected {sensible.start} to {sensible.stop - 1})")
        return numbers
