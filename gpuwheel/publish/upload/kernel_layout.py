"""Where a wheel goes among Hugging Face kernels: the build variants that it serves, or why it can be none.

Their folders are named by torch, CUDA and machine (huggingface/kernels, docs of the builder, "Kernel requirements");
nothing is installed, a folder is imported as it lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.compatibility import serves
from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.findings import Found, Profile
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.publish.variants.properties import needed_driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.compatibility import Tables, TorchBuild
    from gpuwheel.compatibility.publishing import KernelsLibrary
    from gpuwheel.model.findings import Part
    from gpuwheel.publish.upload.release_files import ReleaseFile
    from gpuwheel.publish.wheel_facts import DeviceCode, WheelFacts

__all__ = ["KERNEL_CHECKS", "KernelBuild", "KernelCase", "builds_of"]

_NAME = re.compile(r"[a-z][-a-z0-9]*[a-z0-9]", re.ASCII)
_MACHINE = re.compile(r"manylinux_\d+_\d+_(?P<machine>\w+)", re.ASCII)
_STABLE_PYTHON = re.compile(r"cp3(?P<minor>\d+)-abi3", re.ASCII)
_NEEDS = "huggingface/kernels, Kernel requirements"
_SPECIAL = ("dist-info", "data")


@dataclass(frozen=True)
class KernelBuild:
    """One folder below `build/`."""

    variant: str
    """Its name: "torch-stable-abi210-cu130-x86_64-linux"."""
    backend: str
    """"cpu" or "cuda"."""
    archs: tuple[str, ...] = ()
    """What its device code runs on, as metadata.json says it: "8.0", "9.0+PTX"."""


@dataclass(frozen=True)
class KernelCase:
    """A wheel, as the `kernels` library would look at it."""

    file: ReleaseFile
    facts: WheelFacts
    library: KernelsLibrary
    tables: Tables

    @property
    def parts(self) -> frozenset[Part]:
        """Nothing of an audit."""
        return frozenset()

    @property
    def profile(self) -> Profile:
        """What gpuwheel promises of what it publishes."""
        return Profile.OWN

    @property
    def packages(self) -> tuple[str, ...]:
        """What the wheel puts into site-packages: packages, modules, folders of libraries."""
        tops = {name.partition("/")[0] for name in self.file.members}
        return tuple(sorted(top for top in tops if top.rpartition(".")[2] not in _SPECIAL))

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Without torch, and without those of extras."""
        found = [Requirement(text) for text in self.facts.requires_dist]
        return tuple(one for one in found if "extra" not in str(one.marker) and canonicalize_name(one.name) != "torch")

    @property
    def runtimes(self) -> tuple[int, ...]:
        """Majors of CUDA whose libraries must be there; empty: it asks the driver alone, or nobody."""
        required = any(canonicalize_name(one.name).startswith("nvidia-") for one in self.requirements)
        if self.facts.runtimes or not required or self.facts.cuda is None:
            return self.facts.runtimes
        # From 13 on the names of NVIDIA's packages do not say it.
        return (int(self.facts.cuda.partition(".")[0]),)

    @property
    def torchs(self) -> tuple[TorchBuild, ...]:
        """The torch releases of the tables that it is for, oldest first."""
        wanted = SpecifierSet(self.facts.torch or "")
        return tuple(
            row
            for version, row in self.tables.torch.items()
            if wanted.contains(row.release) and (self.facts.torch is not None or version >= self.tables.torch_floor)
        )

    @property
    def machines(self) -> tuple[str, ...]:
        """CPU architectures of its platform tags; empty for one without machine code."""
        return tuple(sorted({m["machine"] for tag in self.file.platforms if (m := _MACHINE.fullmatch(tag))}))


@rule(
    "kernel-python",
    needs=(),
    why="kernels have no folder for each Python: one that loads in another Python crashes or does not load",
    fix="build for the stable ABI of Python (operators by TORCH_LIBRARY need none; nanobind and Cython can)",
    source=_NEEDS,
)
def _kernel_python(case: KernelCase) -> Iterator[Found]:
    """The wheel is for one Python alone, or for newer ones than `kernels` runs on."""
    oldest = case.library.python
    for tag in case.facts.tags:
        python, abi, _ = tag.split("-")
        match = _STABLE_PYTHON.fullmatch(f"{python}-{abi}")
        if abi != "none" and (match is None or MinorVersion(3, int(match["minor"])) > oldest):
            expected = f"py3-none or cp3{oldest.minor}-abi3 and older"
            yield Found(case.file.path.name, f"is for some Pythons alone (found {python}-{abi}, expected {expected})")
            return


@rule(
    "kernel-package",
    needs=(),
    why="a kernel is one folder: what a wheel puts beside its package would not be found",
    fix="put everything into one package; link what `gpuwheel repair` would copy beside it statically",
    source=_NEEDS,
)
def _kernel_package(case: KernelCase) -> Iterator[Found]:
    """The wheel holds more than one package, or libraries beside it, or a name that kernels cannot have."""
    found = case.packages
    if len(found) != 1 or f"{found[0]}/__init__.py" not in case.file.members:
        yield Found(case.file.path.name, f"is not one package (found {cut(', '.join(found)) or 'none'}, expected one)")
    elif not found[0].isidentifier():
        yield Found(
            case.file.path.name, f"has a package that no module can have ({cut(ascii(found[0]))}, expected a name)"
        )
    if any(name.partition("/")[0].endswith(".data") for name in case.file.members):
        yield Found(case.file.path.name, "installs files outside of its package (found a .data folder, expected none)")
    if _NAME.fullmatch(case.file.project) is None:
        yield Found(case.file.path.name, f"has a name that no kernel has (found {case.file.project}, expected letters)")


@rule(
    "kernel-requires",
    needs=(),
    why="`kernels` installs nothing: what is required would be missing, or of any version",
    fix="remove the requirement, or make it an extra that the package does without",
    source="kernels/python_depends.json; `gpuwheel/data/publish.toml`",
)
def _kernel_requires(case: KernelCase) -> Iterator[Found]:
    """The wheel requires what kernels may not, and torch does not bring."""
    for requirement in case.requirements:
        name = canonicalize_name(requirement.name)
        if name not in case.library.requires and not _brought_by_torch(name, case):
            allowed = ", ".join(sorted(case.library.requires))
            yield Found(case.file.path.name, f"requires {cut(requirement)} (expected torch, what it brings, {allowed})")


@rule(
    "kernel-torch",
    needs=(),
    why="there is no folder in which it would be found",
    fix="name a torch that gpuwheel knows (docs/reference/compatibility.md), and one CUDA",
    source=_NEEDS,
)
def _kernel_torch(case: KernelCase) -> Iterator[Found]:
    """No torch, CUDA or machine is known that the wheel would be for."""
    if not case.torchs:
        yield Found(case.file.path.name, f"is for no torch that is known (found {case.facts.torch}, expected one)")
    if len(case.runtimes) > 1:
        found = " and ".join(map(str, case.runtimes))
        yield Found(case.file.path.name, f"needs libraries of several CUDAs (found {found}, expected one)")
    if not case.machines and case.file.platforms != ("any",):
        yield Found(case.file.path.name, f"is for no Linux (found {' '.join(case.file.platforms)}, expected manylinux)")


KERNEL_CHECKS = (_kernel_python, _kernel_package, _kernel_requires, _kernel_torch)


def _brought_by_torch(name: str, case: KernelCase) -> bool:
    """Whether every torch that the wheel is for, in builds for its CUDA, requires this library of NVIDIA's too."""
    component = re.sub(r"-cu\d+$", "", name.removeprefix("nvidia-").removeprefix("cuda-"))
    builds = [row for row in case.torchs if row.cuda.major in case.runtimes]

    def brings(row: TorchBuild) -> bool:
        found = [Requirement(text) for text in row.requires]
        names = {canonicalize_name(one.name) for one in found}
        extras = {extra for one in found if one.name == "cuda-toolkit" for extra in one.extras}
        return name in names or component in extras or f"cuda{component}" in extras

    return name.startswith("nvidia-") and bool(builds) and all(map(brings, builds))


def builds_of(case: KernelCase) -> tuple[KernelBuild, ...]:
    """The folders that a wheel, against which no check stands, is put into."""
    archs = _archs(case.facts)
    if not case.machines:
        # Without machine code: the same for every torch. What has device code says for itself where it runs.
        return KernelBuild("torch-cpu", "cpu"), KernelBuild("torch-cuda", "cuda", archs)
    found = []
    for torch in _torch_words(case):
        for machine in case.machines:
            if not case.runtimes:
                found.append(KernelBuild(f"{torch}-cpu-{machine}-linux", "cpu"))
            if case.facts.code or case.runtimes:
                for cuda in _cudas(case):
                    word = f"cu{cuda.major}{cuda.minor}"
                    found.append(KernelBuild(f"{torch}-{word}-{machine}-linux", "cuda", archs))
    return tuple(found)


def _torch_words(case: KernelCase) -> Iterator[str]:
    """One for all from the oldest on where nothing ends the range; else one for each minor."""
    rows = case.torchs
    open_ended = SpecifierSet(case.facts.torch or "").contains(f"{rows[-1].version.major}.9999")
    if open_ended:
        yield f"torch-stable-abi{_digits(rows[0].version)}"
        return
    for row in rows:
        yield f"torch{_digits(row.version)}-{'cxx11' if row.cxx11_abi else 'cxx98'}"


def _digits(version: MinorVersion) -> str:
    return f"{version.major}{version.minor}"


def _cudas(case: KernelCase) -> Iterator[MinorVersion]:
    """The oldest CUDA of each major whose torch it runs beside: `kernels` takes later minors of a major for it."""
    facts = case.facts
    if case.runtimes:
        stated = MinorVersion.parse(facts.cuda) if facts.cuda and "." in facts.cuda else None
        yield stated or MinorVersion(case.runtimes[0], 0)
        return
    # It asks the driver alone: beside any CUDA whose drivers load it.
    floor = needed_driver(facts, case.tables) or DriverVersion((0,))
    for major in sorted({version.major for version in case.tables.cuda}):
        rows = [row for version, row in case.tables.cuda.items() if version.major == major]
        fitting = [row for row in rows if row.driver is not None and row.driver >= floor]
        if fitting:
            first = fitting[0].version
            yield MinorVersion(major, 0) if floor <= fitting[0].driver_floor else first


def _archs(facts: WheelFacts) -> tuple[str, ...]:
    """Targets for whose own GPU all of its code is there."""
    codes = [_targets(code) for code in facts.code if not code.further]
    together = sorted({target for targets in codes for target in targets})
    return tuple(str(one) for one in together if all(serves(targets, _device(one.arch)) for targets in codes))


def _device(arch: Arch) -> Arch:
    return Arch(arch.major, arch.minor)


def _targets(code: DeviceCode) -> Sequence[ArchTarget]:
    cubins = [ArchTarget(Arch.parse(arch)) for arch in code.cubins]
    return [*cubins, *(ArchTarget(Arch.parse(ptx.arch), ptx=True) for ptx in code.ptx)]
