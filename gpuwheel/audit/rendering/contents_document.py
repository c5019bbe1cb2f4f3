"""A wheel's content for machines: schema 1 (`data/inspect.schema.json`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.audit.contents.arch_costs import Forecast
    from gpuwheel.audit.contents.wheel_contents import LibraryContents, WheelContents

__all__ = ["contents_document"]


def contents_document(
    wheels: Iterable[WheelContents], *, symbols: bool, forecasts: Mapping[str, Sequence[Forecast]] | None = None
) -> dict[str, Any]:
    """The document.

    Args:
        wheels: those that could be read.
        symbols: with the name of each symbol that libraries import and export.
        forecasts: by sha256, what leaving out each target would save; `None`: it was not asked for.
    """
    return {
        "schema": 1,
        "gpuwheel": __version__,
        "wheels": [
            _wheel(wheel, symbols=symbols)
            | ({} if forecasts is None else {"without": [_forecast(one) for one in forecasts[wheel.sha256]]})
            for wheel in wheels
        ],
    }


def _forecast(one: Forecast) -> dict[str, Any]:
    return {
        "target": one.target,
        "kind": one.kind,
        "unpacked": one.unpacked,
        "packed": one.packed,
        "is_estimate": not one.is_measured,
        "otherwise": dict(one.otherwise),
        "unserved": list(one.unserved),
    }


def _wheel(contents: WheelContents, *, symbols: bool) -> dict[str, Any]:
    first = {name: next(iter(values), None) for name, values in contents.fields.items()}
    return {
        "file": contents.file,
        "size": contents.size,
        "unpacked": contents.unpacked,
        "sha256": contents.sha256,
        "name": first["Name"],
        "version": first["Version"],
        "summary": first["Summary"],
        "requires_python": first["Requires-Python"],
        "requires_dist": list(contents.requirements),
        "generator": contents.generator,
        "tags": list(contents.tags),
        "members": [
            {"name": name, "size": member.size, "packed": member.packed, "crc32": f"{member.crc:08x}"}
            for name, member in contents.members.items()
        ],
        "libraries": [_library(library, symbols=symbols) for library in contents.libraries],
        "device_code": [
            {"file": name, "targets": [asdict(row) for row in rows]} for name, rows in contents.code.items()
        ],
        "not_read": list(contents.unread),
        **({} if contents.kernels is None else {"kernels": [asdict(kernel) for kernel in contents.kernels]}),
    }


def _library(library: LibraryContents, *, symbols: bool) -> dict[str, Any]:
    names = {"imports": list(library.imports), "exports": list(library.exports)} if symbols else {}
    return {
        "file": library.name,
        "machine": library.machine,
        "soname": library.soname,
        "needed": list(library.needed),
        "rpath": library.rpath,
        "runpath": library.runpath,
        "versions": {name: list(versions) for name, versions in library.versions.items()},
        "imported": len(library.imports),
        "exported": len(library.exports),
        **names,
    }
