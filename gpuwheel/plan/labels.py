"""Local versions: what tells wheels apart that one version of a project has for several torches or toolkits.

The name of a wheel says Python and platform, and nothing of torch or CUDA (binary distribution format). Two wheels that
differ in these alone would be one file, and the second would replace the first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.model.cells import Cell, Decision

__all__ = ["local_labels"]


def local_labels(decisions: Sequence[Decision]) -> dict[str, str | None]:
    """Identifier of each accepted cell -> the local part of its version (PEP 440): "torch2.14.cu13.0", or none.

    A label names those of torch and CUDA in which wheels of one file name differ. Where any two wheels of the plan need
    labels, all get them: a release is asked for by one version on every Python. The dots make numbers of the minors, so
    that torch2.14 comes after torch2.9.

    Raises:
        PlanError: two cells would write one file in spite of their labels.
    """
    cells = [decision.cell for decision in decisions if decision.accepted]
    files: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        files[cell.python_tag, cell.platform].append(cell)
    with_torch = any(len({cell.name.torch for cell in same}) > 1 for same in files.values())
    with_cuda = any(len({cell.name.cuda for cell in same}) > 1 for same in files.values())
    labels = {cell.identifier: _label(cell, torch=with_torch, cuda=with_cuda) for cell in cells}
    taken: dict[tuple[str, str, str | None], Cell] = {}
    for cell in cells:
        other = taken.setdefault((cell.python_tag, cell.platform, labels[cell.identifier]), cell)
        if other is not cell:
            msg = (
                f"{other.identifier} and {cell.identifier} would write one file "
                f"(found the tag {cell.python_tag}-{cell.platform} twice, expected cells that differ in Python, "
                f"machine, torch or cuda)"
            )
            raise PlanError(msg, hint="give all extensions one mode, or split the project")
    return labels


def _label(cell: Cell, *, torch: bool, cuda: bool) -> str | None:
    name = cell.name
    parts = (f"torch{name.torch}" if torch and name.torch else "", f"cu{name.cuda}" if cuda and name.cuda else "")
    return ".".join(filter(None, parts)) or None
