"""What the configuration allows to build: machines x CUDA x torch x Python, less the axes that the sources do not need.

The best cell is one that nobody has to build. An axis collapses where one file serves all of its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.model.cells import Collapsed
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import LoadedConfig, Settings

__all__ = ["Candidate", "candidates", "floor_of", "pythons_of_torch", "widest_abis"]


@dataclass(frozen=True)
class Candidate:
    """One way to build the project that its configuration allows."""

    mode: Mode
    cuda: MinorVersion
    torch: SpecifierSet
    python: MinorVersion | None
    machine: str | None
    collapsed: tuple[Collapsed, ...]


def candidates(config: LoadedConfig, tables: Tables, machine: str) -> Iterator[Candidate]:
    """Every way, the preferred one first: in the order of the configuration.

    Args:
        config: what the project asks for.
        tables: which Pythons there are.
        machine: the CPU architecture to build for where the project names none.
    """
    used: set[Mode] = {extension.mode for extension in config.settings.extensions.values()}
    for mode in [mode for mode in Mode if mode in used] or [Mode.PYTHON]:
        machines, no_machine = _machines(mode, config.settings, machine)
        cudas, no_cuda = _cudas(mode, config.settings)
        torchs, no_torch = _torchs(config.settings)
        pythons, no_python = _pythons(config, tables)
        found = tuple(each for each in (no_machine, no_cuda, no_torch, no_python) if each is not None)
        for one, cuda, torch, python in product(machines, cudas, torchs, pythons):
            yield Candidate(mode, cuda, torch, python, one, found)


def widest_abis(settings: Settings) -> tuple[TorchAbi, PythonAbi]:
    """The most that any extension asks of torch and of Python; operators in Python ask for a torch."""
    torch = {_asked(extension.abi) for extension in settings.extensions.values()} or {TorchAbi.STABLE}
    python = {extension.python for extension in settings.extensions.values()} | {PythonAbi.NONE}
    return (
        next(abi for abi in (TorchAbi.EXACT, TorchAbi.STABLE, TorchAbi.NONE) if abi in torch),
        next(abi for abi in (PythonAbi.VERSION, PythonAbi.ABI3, PythonAbi.NONE) if abi in python),
    )


def _asked(abi: TorchAbi) -> TorchAbi:
    """What a wheel with such an extension asks of the torch it meets."""
    return TorchAbi.STABLE if abi is TorchAbi.COMPAT else abi


def floor_of(torch: SpecifierSet) -> MinorVersion:
    """The version in `>=X.Y` and in `==X.Y.*`, the only forms that the configuration takes."""
    (specifier,) = torch
    return MinorVersion.parse(specifier.version)


def pythons_of_torch(torch: SpecifierSet | None, tables: Tables) -> tuple[MinorVersion, ...]:
    """Pythons with a wheel of some torch that `torch` admits, oldest first; of any torch, where it is `None`."""
    rows = (row for row in tables.torch.values() if torch is None or torch.contains(row.release))
    # "3.14t" is the free-threaded build of 3.14: to requires-python they are one version.
    return tuple(sorted({MinorVersion.parse(python.rstrip("t")) for row in rows for python in row.pythons}))


def _machines(mode: Mode, settings: Settings, here: str) -> tuple[tuple[str | None, ...], Collapsed | None]:
    if mode in {Mode.EMBED, Mode.NVCC}:
        # Host code is machine code: this axis never collapses.
        return settings.machines or (here,), None
    return (None,), _collapsed("machine", settings.machines or (), "the wheel has no host code")


def _cudas(mode: Mode, settings: Settings) -> tuple[tuple[MinorVersion, ...], Collapsed | None]:
    first, *others = settings.cuda
    match mode:
        case Mode.NVCC:
            # The toolkit's headers and runtime are compiled in, and tie the library to a major.
            return settings.cuda, None
        case Mode.PYTHON:
            return (first,), _collapsed("cuda", others, "nothing is compiled")
        case Mode.EMBED | Mode.KERNELS:
            return (first,), _collapsed("cuda", others, f"images of cuda {first} run on newer drivers too")


def _torchs(settings: Settings) -> tuple[tuple[SpecifierSet, ...], Collapsed | None]:
    abi, _ = widest_abis(settings)
    lowest, *others = sorted(settings.torch, key=floor_of)
    match abi:
        case TorchAbi.EXACT:
            # C++ symbols of torch carry no versions and change with any minor.
            return settings.torch, None
        case TorchAbi.STABLE | TorchAbi.COMPAT:
            reason = f"the stable ABI serves every torch from {floor_of(lowest)} on"
            return (lowest,), _collapsed("torch", others, reason)
        case TorchAbi.NONE:
            return (lowest,), _collapsed("torch", others, "no extension uses torch")


def _pythons(config: LoadedConfig, tables: Tables) -> tuple[tuple[MinorVersion | None, ...], Collapsed | None]:
    named = tuple(sorted(config.settings.pythons or ()))
    torch_abi, abi = widest_abis(config.settings)
    match abi:
        case PythonAbi.NONE:
            return (None,), _collapsed("python", named, "no extension is a Python module")
        # PEP 384: what is compiled in the limited API of one version loads in all later ones.
        case PythonAbi.ABI3:
            oldest = named[0] if named else config.oldest_python
            reason = f"the limited API of {oldest} serves newer Pythons"
            return (oldest,), _collapsed("python", named[1:], reason)
        case PythonAbi.VERSION:
            return named or _admitted(config, tables, uses_torch=torch_abi is not TorchAbi.NONE), None


def _admitted(config: LoadedConfig, tables: Tables, *, uses_torch: bool) -> tuple[MinorVersion, ...]:
    """What the project admits of the Pythons that some torch of its has, and the oldest that it asks for.

    The same for each of its torches: a cell that cannot be is rejected with the reason, and not left out.
    """
    wanted = SpecifierSet(config.project.requires_python or f">={config.oldest_python}")
    ranges = config.settings.torch if uses_torch else (None,)
    known = {python for one in ranges for python in pythons_of_torch(one, tables)}
    admitted = (python for python in known | {config.oldest_python} if python.is_admitted_by(wanted))
    return tuple(sorted(admitted)) or (config.oldest_python,)


def _collapsed(axis: str, values: Iterable[object], reason: str) -> Collapsed:
    return Collapsed(axis, tuple(map(str, values)), reason)
