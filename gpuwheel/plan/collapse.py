"""What would make fewer wheels: the project, planned again as if its sources did without what holds an axis open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.libraries import Verdict
from gpuwheel.plan.as_they_are import because, collapses, on_compat, tied_lines
from gpuwheel.plan.axes import floor_of
from gpuwheel.plan.cells import plan
from gpuwheel.plan.checks import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import Extension, LoadedConfig, Settings
    from gpuwheel.model.cells import Cell
    from gpuwheel.model.libraries import NarrowLine, Survey

__all__ = ["Gain", "gains"]

_SHOWN = 3
"""Lines that a text names; the others are counted."""
_MODULE_AXIS, _TORCH_AXIS, _COMPAT = "python", "torch", "compat"


@dataclass(frozen=True)
class Gain:
    """One change of the sources, and what it would save."""

    axis: str
    """"python", "torch", "python and torch" or "cuda"; "compat": both of them, by headers of ours."""
    wheels: int
    """That the project has now."""
    would_be: int
    """That it would have."""
    because: str
    """What holds the axis open: "csrc/ops.cpp:12 includes pybind11/pybind11.h and 2 more lines"."""
    change: str
    """What the sources would use: "TORCH_LIBRARY in place of a Python module"."""
    settings: tuple[str, ...]
    """Keys that then change: `python = "none"`."""
    lines: tuple[NarrowLine, ...]
    """Every line that holds it open."""

    @property
    def text(self) -> str:
        """For people, in one sentence."""
        return f"{self.because}; with {self.change} {self.wheels} wheels become {self.would_be}"


@dataclass(frozen=True)
class _Change:
    axis: str
    because: str
    change: str
    settings: tuple[str, ...]
    lines: tuple[NarrowLine, ...]
    apply: Callable[[Settings], Settings]


def gains(config: LoadedConfig, tables: Tables, surveys: Sequence[Survey] = (), *, machine: str) -> tuple[Gain, ...]:
    """Each axis that lines of the sources hold open, counted by planning without them; what saves nothing is left out.

    Args:
        config: what the project asks for.
        tables: what the world allows.
        surveys: what was read of the extensions on torch's C++ ABI.
        machine: the CPU architecture to build for where the project names none.
    """
    now = _accepted(config, tables, machine)
    found = []
    for change in _changes(config, tables, surveys):
        # The lines are taken to be gone: they are what the law about promises would refuse.
        changed = replace(config, settings=change.apply(config.settings), narrow=())
        would_be = _accepted(changed, tables, machine)
        if would_be and len(would_be) < len(now):
            shown = (change.axis, len(now), len(would_be), change.because, change.change, change.settings)
            found.append(Gain(*shown, lines=change.lines))
    return tuple(found)


def _accepted(config: LoadedConfig, tables: Tables, machine: str) -> list[Cell]:
    return [decision.cell for decision in plan(config, tables, machine=machine) if decision.accepted]


def _changes(config: LoadedConfig, tables: Tables, surveys: Sequence[Survey]) -> Iterator[_Change]:
    extensions = config.settings.extensions
    if any(extension.mode is not Mode.NVCC for extension in extensions.values()):
        return
    verdict = collapses(config.settings, surveys)
    if verdict is not Verdict.CANNOT:
        yield _as_they_are(config, tables, surveys)
    # Another interface in the sources costs less a call: it is worth knowing beside the other way.
    yield from _rewritten(config, tables)
    yield from _embedded(config, tables)


def _as_they_are(config: LoadedConfig, tables: Tables, surveys: Sequence[Survey]) -> _Change:
    """Headers of gpuwheel in place of torch's: no source is edited, or few lines are."""
    floor = _floor(config, tables)
    abi = TorchAbi.COMPAT.value
    return _Change(
        _COMPAT,
        because(surveys),
        f"gpuwheel's headers in place of torch's (abi = \"{abi}\")",
        (f'abi = "{abi}"', "no key python", f'torch = "{floor}"'),
        tied_lines(surveys),
        lambda settings: on_compat(settings, floor),
    )


def _rewritten(config: LoadedConfig, tables: Tables) -> Iterator[_Change]:
    """Other interfaces in the sources."""
    python = _without_module(config)
    torch = _on_stable_abi(config, tables)
    yield from (change for change in (python, torch) if change is not None)
    if python is not None and torch is not None:
        first, second = python, torch
        yield _Change(
            f"{_MODULE_AXIS} and {_TORCH_AXIS}",
            "both hold",
            f"{first.change} and {second.change}",
            (*first.settings, *second.settings),
            tuple(dict.fromkeys((*first.lines, *second.lines))),
            lambda settings: second.apply(first.apply(settings)),
        )


def _without_module(config: LoadedConfig) -> _Change | None:
    """A library that torch loads, or else a module in the limited API, in place of one in Python's full API."""
    held = {name: one for name, one in config.settings.extensions.items() if one.python is PythonAbi.VERSION}
    if not held:
        return None
    with_torch = all(one.abi is not TorchAbi.NONE for one in held.values())
    abi = PythonAbi.NONE if with_torch else PythonAbi.ABI3
    lines = tuple(line for line in config.narrow if line.python and line.extension in held)
    key = f'python = "{PythonAbi.VERSION.value}"'
    change = "TORCH_LIBRARY in place of a Python module" if with_torch else "a module in Python's limited API"
    return _Change(
        _MODULE_AXIS,
        f"cells differ by Python only because {_reasons(lines, held, key)}",
        change,
        (f'python = "{abi.value}"',),
        lines,
        lambda settings: _with_extensions(settings, {name: replace(one, python=abi) for name, one in held.items()}),
    )


def _on_stable_abi(config: LoadedConfig, tables: Tables) -> _Change | None:
    held = {name: one for name, one in config.settings.extensions.items() if one.abi is TorchAbi.EXACT}
    if not held:
        return None
    floor = _floor(config, tables)
    lines = tuple(line for line in config.narrow if line.torch and line.extension in held)
    key = f'abi = "{TorchAbi.EXACT.value}"'

    def apply(settings: Settings) -> Settings:
        # Read from what is given: another change may have come before.
        current = {name: replace(settings.extensions[name], abi=TorchAbi.STABLE) for name in held}
        return replace(_with_extensions(settings, current), torch=(floor,))

    return _Change(
        _TORCH_AXIS,
        f"cells differ by torch only because {_reasons(lines, held, key)}",
        "torch's stable ABI (torch/csrc/stable)",
        (f'abi = "{TorchAbi.STABLE.value}"', f'torch = "{floor}"'),
        lines,
        apply,
    )


def _floor(config: LoadedConfig, tables: Tables) -> SpecifierSet:
    """From the project's oldest torch on, if its stable ABI is whole."""
    lowest = min(map(floor_of, config.settings.torch))
    return SpecifierSet(f">={max(tables.torch_floor, lowest)}")


def _embedded(config: LoadedConfig, tables: Tables) -> Iterator[_Change]:
    """Mode `embed`, which has neither an axis of torch nor of Python, for each toolkit that could compile it."""
    settings, extensions = config.settings, config.settings.extensions
    # What no launch header stands in for: libraries of CUDA, device code over several sources, and no torch at all.
    bound = any(one.libraries or one.rdc or one.abi is TorchAbi.NONE for one in extensions.values())
    if bound or not extensions:
        return
    archs = {target.arch for target in settings.archs}
    fitting = [version for version, row in tables.cuda.items() if row.components and archs <= set(row.archs)]
    if not fitting:
        return
    stable = _on_stable_abi(config, tables)
    floor = stable.apply(settings).torch if stable is not None else settings.torch
    embed = {
        name: replace(one, mode=Mode.EMBED, abi=TorchAbi.STABLE, python=PythonAbi.NONE, link_flags=())
        for name, one in extensions.items()
    }
    toolkit = tables.cuda[fitting[0]]
    majors = sorted({version.major for version in settings.cuda})
    sources = sorted({glob for one in extensions.values() for glob in one.sources if glob.endswith(".cu")})
    where = f" ({listed(sources)})" if sources else ""
    yield _Change(
        "cuda",
        f"nvcc ties every wheel to drivers of CUDA {listed(majors)}{where}",
        f"mode embed (kernels by NVRTC, operators on the stable ABI, drivers >={toolkit.driver_floor})",
        ('mode = "embed"', f'cuda = "{toolkit.version}"', f'torch = "{floor[0]}"'),
        (),
        lambda given: replace(
            _with_extensions(given, embed), cuda=(toolkit.version,), torch=floor, driver=toolkit.driver_floor
        ),
    )


def _with_extensions(settings: Settings, changed: Mapping[str, Extension]) -> Settings:
    return replace(settings, extensions={**settings.extensions, **changed})


def _reasons(lines: tuple[NarrowLine, ...], held: Mapping[str, Extension], key: str) -> str:
    """The first of the lines and how many more there are; the key itself, where no line says why it is set."""
    if not lines:
        names = listed(f'extensions."{name}"' for name in held)
        return f"{names} has {key}, and no source that gpuwheel reads asks for it"
    first = ", ".join(f"{line.place} includes {line.header}" for line in lines[:_SHOWN])
    more = len(lines) - _SHOWN
    return first + (f" and {more} more line{'s' if more > 1 else ''}" if more > 0 else "")
