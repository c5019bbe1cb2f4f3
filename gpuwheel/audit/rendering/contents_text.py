"""A wheel's content for people."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.contents.wheel_contents import added_up
from gpuwheel.audit.rendering.amounts import amount
from gpuwheel.audit.rendering.kernels_text import kernel_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gpuwheel.audit.contents.wheel_contents import CodeRow, LibraryContents, WheelContents

__all__ = ["contents_lines", "in_folders", "newest_versions"]

_MANY = 12
"""Loose files of device code in one folder, from which on they are one row."""


def contents_lines(contents: WheelContents, paint: Callable[[str, str], str]) -> Iterator[str]:
    """The lines of `gpuwheel inspect`.

    Args:
        contents: the wheel.
        paint: style and text to coloured text.
    """
    unpacked = f"{amount(contents.size)}, {amount(contents.unpacked)} unpacked, {len(contents.members):,} files"
    yield f"{paint('title', contents.file)}  {unpacked}"
    yield from _rows("project", [" ".join(v[0] for n in ("Name", "Version") if (v := contents.fields[n]))])
    yield from _rows("made by", [contents.generator])
    yield from _rows("sha256", [contents.sha256])
    yield from _rows("tags", contents.tags)
    yield from _rows("python", contents.fields["Requires-Python"])
    yield from _rows("requires", contents.requirements)
    libraries = {library.name: library for library in contents.libraries}
    for name, library in libraries.items():
        yield from _library(library, contents, paint)
        yield from _code(contents.code.get(name, ()), "    ")
    others = {name: rows for name, rows in contents.code.items() if name not in libraries}
    for name, rows in in_folders(others).items():
        yield f"  {paint('title', cut(name))}"
        yield from _code(rows, "    ")
    if len(contents.code) > 1:
        yield f"  {paint('title', 'device code of the whole wheel')}"
        yield from _code(added_up(contents.code.values()), "    ")
    yield from kernel_lines(contents.kernels or (), paint)
    for problem in contents.unread:
        yield f"  {paint('warning', 'not read:')} {cut(problem)}"


def in_folders(code: Mapping[str, tuple[CodeRow, ...]]) -> dict[str, tuple[CodeRow, ...]]:
    """Files of device code, those of a folder with very many of them as one row: 15,970 names nobody reads."""
    folders: dict[str, list[str]] = defaultdict(list)
    for name in code:
        folders[name.rpartition("/")[0]].append(name)
    found: dict[str, tuple[CodeRow, ...]] = {}
    for folder, names in folders.items():
        if len(names) <= _MANY:
            found |= {name: code[name] for name in names}
        else:
            found[f"{folder}/ ({len(names):,} files)"] = added_up(code[name] for name in names)
    return found


def _rows(label: str, values: Iterable[str]) -> Iterator[str]:
    for index, value in enumerate(filter(None, values)):
        yield f"  {label if index == 0 else '':9} {cut(value)}"


def _library(library: LibraryContents, contents: WheelContents, paint: Callable[[str, str], str]) -> Iterator[str]:
    member = contents.members[library.name]
    size = f"{amount(member.size)}, {amount(member.packed)} in the wheel"
    yield f"  {paint('title', cut(library.name))}  {library.machine}, {size}"
    symbols = f"{len(library.imports):,} imported, {len(library.exports):,} exported"
    for label, text in (
        ("soname", library.soname or ""),
        ("needs", " ".join(library.needed)),
        ("searches", "" if library.rpath is None else f"{library.rpath}  (DT_RPATH)"),
        ("searches", "" if library.runpath is None else f"{library.runpath}  (DT_RUNPATH)"),
        ("versions", " ".join(newest_versions(library))),
        ("symbols", symbols),
    ):
        if text:
            yield f"    {label:9} {cut(text)}"


def newest_versions(library: LibraryContents) -> list[str]:
    """Of each family of symbol versions ("GLIBC", "GLIBCXX") the newest, which decides where a library loads."""
    families: dict[str, list[str]] = defaultdict(list)
    for version in (version for versions in library.versions.values() for version in versions):
        families[version.rpartition("_")[0]].append(version)
    return [max(versions, key=_number) for versions in families.values()]


def _number(version: str) -> tuple[tuple[int, str], ...]:
    parts = version.rpartition("_")[2].split(".")
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in parts)


def _code(rows: Iterable[CodeRow], indent: str) -> Iterator[str]:
    for row in rows:
        packed = "" if row.codec == "none" else f", {row.codec}, {amount(row.raw_size)} uncompressed"
        told = f", {row.debug:,} with debug information" if row.debug else ""
        told += f", {row.line_info:,} with lines of the source" if row.line_info > row.debug else ""
        count = f"{row.images:,} image{'' if row.images == 1 else 's'}"
        yield f"{indent}{row.target:13} {row.kind:6} {count:>12}  {amount(row.size)}{packed}{told}"
