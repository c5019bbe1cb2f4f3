"""Which rows of the tables decide about a cell, each with where its value comes from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.plan.checks import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import LoadedConfig
    from gpuwheel.model.cells import Cell

__all__ = ["Row", "deciding_rows"]


@dataclass(frozen=True)
class Row:
    """One fact about the world that a verdict rests on."""

    table: str
    """"cuda.toml toolkits.13.0", of `gpuwheel/data`."""
    says: str
    """"driver-floor 580"."""
    source: str | None
    """How the value was established; `None` where the table has one source for all of it."""


def deciding_rows(cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[Row, ...]:
    """Every row that a check of the cell reads; a version that the tables do not have gives none."""
    compiled = cell.mode is not Mode.PYTHON
    return (
        *(_toolkit(cell, tables) if compiled else ()),
        *_torch(cell, tables),
        *(_platform(cell, config, tables) if compiled else ()),
    )


def _toolkit(cell: Cell, tables: Tables) -> Iterator[Row]:
    toolkit = tables.cuda.get(cell.cuda)
    if toolkit is None:
        return
    table = f"cuda.toml toolkits.{cell.cuda}"
    for key, says in (
        ("driver-floor", f"driver-floor {toolkit.driver_floor}"),
        ("driver", f"driver {toolkit.driver or 'unknown'}, ptx-isa {toolkit.ptx_isa}"),
        ("archs", f"archs {' '.join(str(arch) for arch in toolkit.archs if not arch.suffix)}"),
    ):
        yield Row(table, says, _source(toolkit.sources, key))
    pins = toolkit.nvcc if cell.mode is Mode.NVCC else (*toolkit.components, *toolkit.cutile)
    kind = "nvcc" if cell.mode is Mode.NVCC else "toolkits"
    yield Row(f"pins.toml {kind}.{cell.cuda}", listed(pin.requirement for pin in pins), None)


def _torch(cell: Cell, tables: Tables) -> Iterator[Row]:
    if cell.torch is TorchAbi.NONE:
        return
    if cell.torch is TorchAbi.STABLE:
        yield Row("torch.toml", f"stable-abi-floor {tables.torch_floor}, sdk {tables.torch_sdk.version}", None)
        return
    build = tables.torch.get(cell.torch_floor)
    if build is None:
        return
    table = f"torch.toml versions.{build.version}"
    yield Row(table, f"cuda {build.cuda}", _source(build.sources, "cuda"))
    yield Row(table, f"pythons {' '.join(build.pythons)}", _source(build.sources, "pythons"))
    headers = build.headers.get(cell.machine or "")
    says = f"of {headers.version}" if headers else "none"
    yield Row(f"torch.toml headers.{cell.machine}.{build.version}", says, None)


def _platform(cell: Cell, config: LoadedConfig, tables: Tables) -> Iterator[Row]:
    asked = config.settings.wheel.platform
    policy = next((one for one in tables.platforms if (one.name, one.machine) == (asked, cell.machine)), None)
    if policy is not None:
        glibc = ".".join(map(str, policy.newest.get("GLIBC", ())))
        yield Row(f"platforms.toml policies.{cell.machine}", f"{policy.name}: glibc {glibc} or newer", None)


def _source(sources: Mapping[str, str], key: str) -> str | None:
    return sources.get(key)
