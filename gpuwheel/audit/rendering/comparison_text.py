"""What changed between two wheels, for people and for machines (`data/diff.schema.json`)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel._endings import cut
from gpuwheel.audit.rendering.amounts import amount, change
from gpuwheel.audit.rendering.kernels_text import changed_kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gpuwheel.audit.contents.comparison import CodeChange, Comparison, LibraryChange, MemberChange, Values
    from gpuwheel.audit.contents.wheel_contents import CodeRow, WheelContents
    from gpuwheel.wheel.packed_sizes import Packed

__all__ = ["comparison_document", "comparison_lines"]

_SHOWN = 20
"""Lines of one list, from which on it is cut."""
_SHOWN_SYMBOLS = 5


def comparison_lines(found: Comparison, paint: Callable[[str, str], str], *, is_whole: bool) -> Iterator[str]:
    """The lines of `gpuwheel diff`.

    Args:
        found: what differs.
        paint: style and text to coloured text.
        is_whole: cut no list.
    """
    shown = None if is_whole else _SHOWN
    yield f"{paint('title', found.old.file)} -> {paint('title', found.new.file)}"
    if found.is_same:
        same = found.old.sha256 == found.new.sha256
        yield "  the same file" if same else "  the same content, in archives that are packed differently"
        return
    yield f"  size      {change(found.old.size, found.new.size)}"
    yield f"  unpacked  {change(found.old.unpacked, found.new.unpacked)}"
    for name, values in found.values.items():
        yield f"  {paint('title', name)}"
        yield from _words(values, "    ", paint, shown)
    if found.members:
        yield f"  {paint('title', 'files')}"
        yield from _cut([_member(member, paint) for member in found.members], shown, "    ")
    for library in found.libraries:
        yield from _library(library, paint, None if is_whole else _SHOWN_SYMBOLS)
    if found.code and len({*found.old.code, *found.new.code}) > 1:
        yield f"  {paint('title', 'device code of the whole wheel')}"
        yield from (_code(code, paint) for code in found.code)
    yield from changed_kernels(found.kernels, paint, shown)
    for contents in (found.old, found.new):
        for problem in contents.unread:
            yield f"  {paint('warning', 'not read:')} {contents.file}: {cut(problem)}"


def comparison_document(found: Comparison) -> dict[str, Any]:
    """The document, schema 1."""
    return {
        "schema": 1,
        "gpuwheel": __version__,
        "same": found.is_same,
        "old": _side(found.old),
        "new": _side(found.new),
        "metadata": {name: asdict(values) for name, values in found.values.items()},
        "members": [
            {
                "name": member.name,
                "change": _kind(member.before, member.after),
                "size_before": member.before and member.before.size,
                "size_after": member.after and member.after.size,
                "packed_before": member.before and member.before.packed,
                "packed_after": member.after and member.after.packed,
            }
            for member in found.members
        ],
        "libraries": [
            {
                "before": library.before,
                "after": library.after,
                "changes": {name: asdict(values) for name, values in library.values.items()},
                "device_code": [asdict(code) for code in library.code],
            }
            for library in found.libraries
        ],
        "device_code": [asdict(code) for code in found.code],
        "kernels": [asdict(kernel) for kernel in found.kernels],
    }


def _side(contents: WheelContents) -> dict[str, Any]:
    return {
        "file": contents.file,
        "size": contents.size,
        "unpacked": contents.unpacked,
        "sha256": contents.sha256,
        "not_read": list(contents.unread),
    }


def _kind(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "changed"


def _words(values: Values, indent: str, paint: Callable[[str, str], str], shown: int | None) -> Iterator[str]:
    yield from _cut([f"{indent}{paint('error', '-')} {cut(word)}" for word in values.removed], shown, indent)
    yield from _cut([f"{indent}{paint('ok', '+')} {cut(word)}" for word in values.added], shown, indent)


def _mark(before: object, after: object, paint: Callable[[str, str], str]) -> str:
    return {"added": paint("ok", "+"), "removed": paint("error", "-")}.get(_kind(before, after), "~")


def _member(member: MemberChange, paint: Callable[[str, str], str]) -> str:
    mark = _mark(member.before, member.after, paint)
    sizes = _sizes(_size(member.before), _size(member.after))
    return f"    {mark} {cut(member.name)}  {sizes}"


def _size(side: Packed | CodeRow | None) -> int | None:
    return None if side is None else side.size


def _sizes(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return amount(before or after or 0)
    return amount(before) if before == after else change(before, after)


def _library(library: LibraryChange, paint: Callable[[str, str], str], shown: int | None) -> Iterator[str]:
    names = dict.fromkeys(filter(None, (library.before, library.after)))
    yield f"  {_mark(library.before, library.after, paint)} {paint('title', ' -> '.join(map(cut, names)))}"
    for name, values in library.values.items():
        counts = f"  {len(values.removed):,} went, {len(values.added):,} came" if name.endswith("ports") else ""
        yield f"      {name}{counts}"
        yield from _words(values, "        ", paint, shown)
    yield from (f"    {_code(code, paint)}" for code in library.code)


def _code(code: CodeChange, paint: Callable[[str, str], str]) -> str:
    rows = [row for row in (code.before, code.after) if row is not None]
    sizes = _sizes(_size(code.before), _size(code.after))
    images = " -> ".join(f"{count:,}" for count in dict.fromkeys(row.images for row in rows))
    codec = f", {' -> '.join(row.codec for row in rows)}" if len({row.codec for row in rows}) > 1 else ""
    plural = "" if {row.images for row in rows} == {1} else "s"
    mark = _mark(code.before, code.after, paint)
    return f"    {mark} {code.target} {code.kind}  {sizes}, {images} image{plural}{codec}"


def _cut(lines: Sequence[str], shown: int | None, indent: str) -> Iterable[str]:
    if shown is None or len(lines) <= shown + 1:
        return lines
    return [*lines[:shown], f"{indent}and {len(lines) - shown:,} more (--all shows them)"]
