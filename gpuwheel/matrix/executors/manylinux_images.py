"""Which image of manylinux a cell is built in, and which of its Pythons builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.ci_services import load_ci_services
from gpuwheel.errors import PlanError
from gpuwheel.model.cells import CellName
from gpuwheel.model.choices import Mode
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.matrix.tasks import Task

__all__ = ["identifier_of", "image_of"]


def identifier_of(task: Task) -> str:
    """Cibuildwheel's name for the Python and the platform of a cell: "cp312-manylinux_x86_64".

    Raises:
        PlanError: the cell is for every machine.
    """
    machine = _name(task).machine
    return f"cp{(task.python or running_python()).replace('.', '')}-manylinux_{machine}"


def image_of(task: Task, place: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variable of cibuildwheel that names the image for a cell; one that the environment has stays.

    Args:
        task: the cell.
        place: a platform ("manylinux_2_28"), another name that cibuildwheel knows, or an image of its own.
        environ: in which cibuildwheel starts.

    Raises:
        PlanError: the cell needs nvcc of a toolkit that neither an index nor a known image of this platform has, or is
            for every machine.
    """
    name = _name(task)
    variable = f"CIBW_MANYLINUX_{str(name.machine).upper()}_IMAGE"
    if stated := environ.get(variable):
        return {variable: stated}
    services = load_ci_services()
    if place not in services.images:
        return {variable: place}
    images = services.images[place].references
    if name.mode is Mode.NVCC and name.cuda is not None and not load_tables().cuda[name.cuda].has_nvcc:
        platforms = services.cuda_images.get(name.cuda, {})
        if place not in platforms:
            known = ", ".join(str(version) for version, found in services.cuda_images.items() if place in found)
            msg = (
                f"{task.identifier} needs nvcc {name.cuda}, which no index and no image of {place} has (known: {known})"
            )
            raise PlanError(
                msg, hint=f"{variable} names an image that has it, or set `cuda` to a toolkit that is known"
            )
        images = platforms[place].references
    return {variable: images[str(name.machine)]}


def _name(task: Task) -> CellName:
    name = CellName.parse(task.identifier)
    if name.machine is None:
        msg = f"{task.identifier} is for every machine, and needs no container (expected host code in it)"
        raise PlanError(msg, hint="build it without --in")
    return name
