"""Libraries of the driver, of torch and of the CUDA toolkit that a wheel carries with it, or needs twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.compatibility.sonames import load_sonames, stem
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.audit.closure.closures import Chosen

__all__ = ["CARRIED_RULES"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
# The eight digits are those that auditwheel, and scripts like it, put into names of what they copy.
_UNIQUE = re.compile(r"[-.][0-9a-f]{8}(?=\.so)")
_STUBS = re.compile(r"(?:.*/)?stubs/[^/]+")
_TORCH = re.compile(r"lib(?:torch(?:_(?:cpu|cuda|python|cuda_linalg|global_deps|hip))?|c10(?:_cuda)?|shm)\.so")


@rule(
    "vendored-driver",
    needs={Part.MEMBERS, Part.LIBRARIES},
    why="it must match the kernel module of each machine",
    fix="exclude it from the wheel (auditwheel repair --exclude)",
    source="CUDA Compatibility: libcuda.so is installed by the driver, with its kernel module",
)
def _vendored_driver(case: WheelCase) -> Iterator[Found]:
    """The wheel holds a library of the NVIDIA driver."""
    table, sonames = load_sonames(), {library.name: library.soname for library in case.wheel.libraries}
    for member in case.wheel.members:
        # What it is called on disk says little: copies have names of their own, and keep the SONAME, or the reverse.
        names = [name for name in _names(member, sonames.get(member)) if table.is_of_driver(name)]
        if not names:
            continue
        if _STUBS.fullmatch(member):
            problem = f"is a stub of {names[0]}, a part of the NVIDIA driver (found in the wheel, expected nowhere)"
            why = "it is there to link with: a process that loads it in place of the driver has no GPU"
            fix = "leave the folder of stubs out of the wheel"
            yield Found(member, problem, why, fix, Severity.WARNING, {"soname": names[0]})
        else:
            problem = f"is {names[0]}, a part of the NVIDIA driver (found in the wheel, expected on the machine only)"
            yield Found(member, problem, facts={"soname": names[0]})


@rule(
    "vendored-torch",
    needs=_NEEDS,
    why="two copies of torch in one process register the same operators, and crash or disagree about tensors",
    fix="exclude torch's libraries from the wheel (auditwheel repair --exclude 'libtorch*' --exclude 'libc10*')",
    source="PyTorch documentation, Custom C++ and CUDA Operators: an extension uses the torch that is installed",
)
def _vendored_torch(case: WheelCase) -> Iterator[Found]:
    """The wheel holds a copy of torch's libraries, beside the torch that is installed."""
    if case.wheel.name.partition("-")[0].lower() == "torch":
        return
    for library in case.wheel.libraries:
        if names := [name for name in _names(library.name, library.soname) if _TORCH.fullmatch(stem(name))]:
            yield Found(library.name, f"is a copy of torch's {names[0]} (found in the wheel, expected in torch alone)")


@rule(
    "doubled-library",
    needs=_NEEDS,
    why="both are loaded into one process: twice the memory, and handles and plans of one mean nothing to the other",
    fix="exclude the copy from the wheel, and use the one that is required (a search path to its folder)",
    source="`gpuwheel/data/releases.toml`",
    severity=Severity.WARNING,
)
def _doubled_library(case: WheelCase) -> Iterator[Found]:
    """The wheel holds a library of the CUDA toolkit that a requirement brings too."""
    if not case.closure.libraries:
        return
    worlds = [chosen for chosen in case.closure.worlds if chosen.how == "newest"]
    never = load_sonames()
    for library in case.closure.libraries:
        for name in _names(library.name, library.soname):
            if not never.is_never_copied(name) or never.is_of_driver(name) or _TORCH.fullmatch(stem(name)):
                continue
            brought = sorted({place[0] for chosen in worlds for place in chosen.world.folders.get(name, ())})
            if brought:
                problem = f"is {name}, which Requires-Dist brings too ({', '.join(brought)}; expected once)"
                yield Found(library.name, problem, facts={"soname": name, "brought_by": brought})
                break


@rule(
    "two-cuda-majors",
    needs=_NEEDS,
    why="two CUDA runtimes in one process share neither streams, nor events, nor handles of libraries",
    fix="require libraries of one CUDA major: that of the torch which Requires-Dist admits",
    source="`gpuwheel/data/releases.toml`; CUDA Compatibility: SONAMEs carry the major",
    severity=Severity.WARNING,
)
def _two_cuda_majors(case: WheelCase) -> Iterator[Found]:
    """Libraries of two CUDA majors come into one process: of a requirement's and torch's, or of two requirements'."""
    for chosen in case.closure.worlds:
        if chosen.how != "newest":
            continue
        runtimes = _runtimes(chosen)
        if len(runtimes) > 1:
            told = " and ".join(f"{name} of {by}" for name, by in sorted(runtimes.items()))
            problem = f"has two CUDA runtimes beside it ({told}, expected one)"
            yield Found(case.wheel.name, problem, facts={"runtimes": dict(runtimes)}, cause="runtimes")


@rule(
    "driver-needed",
    needs=_NEEDS,
    why="where no NVIDIA driver is installed (a machine that tests, a container without --gpus), it does not load",
    fix="look its functions up at run time (dlopen, or cudaGetDriverEntryPoint of the runtime), and drop -lcuda",
    source="CUDA Compatibility: libcuda.so is installed by the driver",
    severity=Severity.WARNING,
)
def _driver_needed(case: WheelCase) -> Iterator[Found]:
    """A library needs one of the NVIDIA driver just to be loaded."""
    table, own = load_sonames(), case.closure.loader.by_name
    for library in case.closure.libraries:
        for name in library.needed:
            if table.is_of_driver(name) and name not in own:
                yield Found(
                    library.name, f"needs {name} (DT_NEEDED), which the NVIDIA driver installs", facts={"soname": name}
                )


def _names(member: str, soname: str | None) -> tuple[str, ...]:
    """SONAME and file, without what auditwheel adds."""
    names = (soname or "", member.rpartition("/")[2])
    return tuple(dict.fromkeys(_UNIQUE.sub("", name) for name in names if name))


def _runtimes(chosen: Chosen) -> Mapping[str, str]:
    files = {file: places for file, places in chosen.world.folders.items() if stem(file) == "libcudart.so"}
    return {file: places[0][0] for file, places in files.items()}


CARRIED_RULES = (_vendored_driver, _vendored_torch, _doubled_library, _two_cuda_majors, _driver_needed)
"""About a whole wheel (`WheelCase`)."""
