"""A cell of the matrix: one wheel to build, or the reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from gpuwheel.model.archs import Arch, ArchTarget
    from gpuwheel.model.versions import DriverVersion

__all__ = ["Cell", "CellName", "Collapsed", "Coverage", "Decision"]

# One spelling for each number, no leading zeros: a name that reads back differently would select nothing.
_VERSION = r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
_NAME = re.compile(
    rf"(?P<mode>{'|'.join(mode.value for mode in Mode)})(?:-cu(?P<cuda>{_VERSION}))?(?:-torch(?P<torch>{_VERSION}))?"
    # One digit for the major, as in wheel tags (PEP 425): "310" is 3.10.
    r"(?:-cp(?P<major>[1-9])(?P<minor>0|[1-9]\d*))?-(?:any|linux_(?P<machine>[a-z0-9_]+))",
    re.ASCII,
)


@dataclass(frozen=True)
class CellName:
    """What tells a cell from the others of its project: `MODE[-cuX.Y][-torchX.Y][-cpXY]-PLATFORM`.

    Axes that make no difference are absent. This is what a plan lists, what `-C gpuwheel.only` and CI select by, and
    what kept folders are called: it reads back as what it was written from.
    """

    mode: Mode
    cuda: MinorVersion | None
    """The toolkit; `None`: nothing is compiled."""
    torch: MinorVersion | None
    """The oldest, or the only one; `None`: the wheel does without."""
    python: MinorVersion | None
    """The oldest, or the only one; `None`: any."""
    machine: str | None
    """CPU architecture of host code; `None`: it has none."""

    @classmethod
    def parse(cls, text: str) -> CellName:
        """From "embed-cu12.9-torch2.10-linux_x86_64".

        Raises:
            ValueError: `text` is not such a name.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not the identifier of a cell (expected MODE[-cuX.Y][-torchX.Y][-cpXY]-PLATFORM)"
            raise ValueError(msg)
        return cls(
            Mode(match["mode"]),
            MinorVersion.parse(match["cuda"]) if match["cuda"] else None,
            MinorVersion.parse(match["torch"]) if match["torch"] else None,
            MinorVersion(int(match["major"]), int(match["minor"])) if match["major"] else None,
            match["machine"],
        )

    def __str__(self) -> str:
        cuda = f"-cu{self.cuda}" if self.cuda else ""
        torch = f"-torch{self.torch}" if self.torch else ""
        python = f"-cp{self.python.major}{self.python.minor}" if self.python else ""
        return f"{self.mode.value}{cuda}{torch}{python}-{f'linux_{self.machine}' if self.machine else 'any'}"


@dataclass(frozen=True)
class Cell:
    """One wheel: which toolkit compiles it, what it runs on."""

    mode: Mode
    """That of its extensions, or `Mode.PYTHON` where it has none."""
    cuda: MinorVersion
    archs: tuple[ArchTarget, ...]
    torch_floor: MinorVersion
    driver_floor: DriverVersion
    compression: tuple[str, ...]
    """nvFatbin options that the driver floor allows."""
    machine: str | None
    """CPU architecture of host code: "x86_64"; `None`: it has none."""
    torch: TorchAbi = TorchAbi.STABLE
    """What the wheel asks of torch: any from the floor on, that minor alone, or nothing."""
    python: MinorVersion | None = None
    """The oldest Python of a module in the limited API, the only one of a module in the full API; `None`: any."""
    python_abi: PythonAbi = PythonAbi.NONE

    @property
    def name(self) -> CellName:
        """What tells it from other cells."""
        # An axis along which no file differs is not in its name.
        cuda = None if self.mode is Mode.PYTHON else self.cuda
        torch = None if self.torch is TorchAbi.NONE else self.torch_floor
        return CellName(self.mode, cuda, torch, self.python, self.machine)

    @property
    def identifier(self) -> str:
        """For example "embed-cu12.9-torch2.10-linux_x86_64"."""
        return str(self.name)

    @property
    def platform(self) -> str:
        """The platform that it is compiled for: "linux_x86_64", or "any"."""
        return f"linux_{self.machine}" if self.machine else "any"

    @property
    def python_tag(self) -> str:
        """The first two parts of the wheel's tag: "py3-none", "cp310-abi3", "cp311-cp311"."""
        if self.python is None:
            return "py3-none"
        number = f"cp{self.python.major}{self.python.minor}"
        return f"{number}-abi3" if self.python_abi is PythonAbi.ABI3 else f"{number}-{number}"

    @property
    def torch_range(self) -> SpecifierSet | None:
        """What its Requires-Dist asks of torch: `>=2.10`, `==2.13.*`; `None`: nothing."""
        if self.torch is TorchAbi.NONE:
            return None
        return SpecifierSet(f"=={self.torch_floor}.*" if self.torch is TorchAbi.EXACT else f">={self.torch_floor}")


@dataclass(frozen=True)
class Coverage:
    """Which image serves a compute capability that exists."""

    device: Arch
    served_by: str | None
    """"sm_80" (cubin), "compute_100" (PTX, compiled by the driver), or `None`: kernels do not run there."""


@dataclass(frozen=True)
class Collapsed:
    """An axis along which the sources need no wheel of their own for each value."""

    axis: str
    """"machine", "cuda", "torch" or "python"."""
    values: tuple[str, ...]
    """Those that the project names and that get none."""
    reason: str


@dataclass(frozen=True)
class Decision:
    """A candidate cell, accepted or rejected with its reason."""

    cell: Cell
    accepted: bool
    reason: str
    coverage: tuple[Coverage, ...] = ()
    notes: tuple[str, ...] = ()
    """What is true of an accepted cell and may surprise."""
    hint: str | None = None
    """What would get a rejected cell accepted."""
    collapsed: tuple[Collapsed, ...] = ()
    """Axes that the sources do not need."""
