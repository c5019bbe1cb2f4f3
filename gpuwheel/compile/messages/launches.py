"""A launch that does not fit its kernel: which argument, and what the kernel takes, once for all element types.

Reads what GCC and clang say where an assertion of `<gpuwheel/launch.h>` fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.launchers.declarations import comma_separated, find_declaration
from gpuwheel.compile.messages.where import position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gpuwheel.compile.messages.reading import Message, Position
    from gpuwheel.compile.messages.where import Place

__all__ = ["Launch", "explain_launch", "short"]

_ARGUMENT = re.compile(r"CheckArgument<(?P<types>.*)")
_GCC_PACK = re.compile(r"(?P<name>Arguments|Parameters) = \{")
_CLANG_KERNEL = re.compile(r"\bKernel<")
_CLANG_LAUNCH = re.compile(r">::launch<")
_TEMPLATE = re.compile(r"\[with (?:auto:\d+|T) = (?P<type>[^;\]]+)|\(auto\)|operator\(\)<(?P<type2>[^>]+)>")
_CALL = re.compile(r"(?P<kernel>(?:::)?\w+(?:\s*::\s*\w+)*(?:\s*<[^;(){}]*>)?)\s*\.\s*launch\s*\(")
_SHORT = (
    (re.compile(r"\bgpuwheel::v1::"), "gpuwheel::"),
    (re.compile(r"\b(?:c10|torch::headeronly)::Half\b"), "gpuwheel::half"),
    (re.compile(r"\b(?:c10|torch::headeronly)::BFloat16\b"), "gpuwheel::bfloat16"),
    (re.compile(r"\{anonymous\}::|\(anonymous namespace\)::"), ""),
    (re.compile(r"\blong (?:long )?int\b"), "long"),
    (re.compile(r"\s+([*&])"), r"\1"),
)
_MOST_SOURCES = 500


@dataclass(frozen=True)
class Launch:
    """What is wrong with a launch."""

    position: Position
    says: str
    declaration: str
    """The kernel as its source declares it, or its types."""
    hint: str | None


def short(text: str) -> str:
    """Types as a user writes them."""
    for pattern, replacement in _SHORT:
        text = pattern.sub(replacement, text)
    return text


def explain_launch(errors: Sequence[Message], place: Place) -> Launch | None:
    """The first launch that does not fit, if the build failed for one."""
    launches = [error for error in errors if "gpuwheel: " in error.text and "static" in error.text]
    if not launches or not any(launches[0] is error for error in errors[:1]):
        return None
    first = launches[0]
    position = position_of(first, place)
    if position is None:
        return None
    kernel = _kernel(place, position)
    if "not in the image" in first.text:
        return _not_compiled(position, kernel, [error for error in launches if error.text == first.text])
    parameters, arguments = _types(first)
    declaration = _declaration(kernel, parameters, place)
    if "number of kernel arguments" in first.text:
        says = f"kernel {kernel} takes {len(parameters)} arguments (found {len(arguments)}: {', '.join(arguments)})"
        return Launch(position, says, declaration, "pass one argument for each parameter, in their order")
    same = [entry for error in launches if position_of(error, place) == position and (entry := _wrong(error))]
    if not same:
        return None
    by_index = {entry[0]: entry for entry in reversed(same)}  # the first element type's
    says = "; ".join(_says(*by_index[index]) for index in sorted(by_index))
    _, parameter, argument = by_index[min(by_index)]
    return Launch(position, f"kernel {kernel}: {says}", declaration, _hint(parameter, argument))


def _kernel(place: Place, position: Position) -> str:
    """The kernel as the user's line names it; `.launch(` may stand on a line of its own."""
    lines = [
        place.line(type(position)(position.file, number))
        for number in range(max(1, position.line - 3), position.line + 1)
    ]
    calls = _CALL.findall("\n".join(lines))
    return " ".join(calls[-1].split()) if calls else "of this launch"


def _not_compiled(position: Position, kernel: str, errors: Sequence[Message]) -> Launch:
    types = [match for error in errors for line in error.ahead + error.rest if (match := _TEMPLATE.search(line))]
    named = dict.fromkeys(short(match["type"] or match["type2"] or "") for match in types)
    found = ", ".join(name for name in named if name and "lambda" not in name)
    says = f"kernel {kernel} is not in the image" + (f" for {found}" if found else "")
    base, opening, arguments = kernel.partition("<")
    arguments = re.sub(r"\bT\b", found, arguments) if found and "," not in found else "...>"
    wanted = f"{base.rpartition('::')[2]}<{arguments}" if opening else base.rpartition("::")[2]
    return Launch(position, says, "", f"add GPUWHEEL_INSTANTIATE({wanted}); to the .cu file of the kernel")


def _types(error: Message) -> tuple[list[str], list[str]]:
    """Types of the kernel's parameters and of the launch's arguments."""
    packs: dict[str, list[str]] = {}
    for line in (*error.ahead, *error.rest):
        for match in _GCC_PACK.finditer(line):
            packs.setdefault(match["name"], _list(line[match.end() :], "}"))
        kernel, launch = _CLANG_KERNEL.search(line), _CLANG_LAUNCH.search(line)
        if kernel and launch:
            packs.setdefault("Parameters", _list(line[kernel.end() :], ">"))
            packs.setdefault("Arguments", _list(line[launch.end() :], ">"))
    return packs.get("Parameters", []), packs.get("Arguments", [])


def _wrong(error: Message) -> tuple[int, str, str] | None:
    """Index, parameter and argument of the argument that an assertion is about."""
    for line in (*error.ahead, error.text, *error.rest):
        if match := _ARGUMENT.search(line):
            index, *types = _list(match["types"], ">")
            if index.isdigit() and len(types) == 2:  # noqa: PLR2004 (parameter and argument)
                return int(index), types[0], types[1]
    return None


def _list(text: str, end: str) -> list[str]:
    """The types of a list that ends with `end`, in short."""
    return [short(part) for part in comma_separated(text, end)]


def _bare(type_: str) -> str:
    return re.sub(r"\bconst\b|&|\s", "", type_)


def _says(index: int, parameter: str, argument: str) -> str:
    argument = argument.rstrip("&").strip()
    if "*" not in argument:
        argument = argument.removeprefix("const ")
    found = f"(found {argument}, expected {parameter})"
    if "*" in parameter and _bare(parameter) == _bare(argument):
        return f"argument {index + 1} points to const {found}"
    if "*" not in parameter + argument and "::" not in parameter + argument:
        return f"argument {index + 1} would be narrowed {found}"
    return f"argument {index + 1} has another type {found}"


def _hint(parameter: str, argument: str) -> str:
    if "*" in parameter and _bare(parameter) == _bare(argument):
        return "pass memory that may be written, such as mutable_data_ptr<T>()"
    if "*" in parameter:
        return f"pass a {parameter}, or change the kernel's parameter"
    return f"convert it where that is meant: static_cast<{parameter}>(...)"


def _declaration(kernel: str, parameters: Sequence[str], place: Place) -> str:
    """The kernel as a source of the project declares it; else its types."""
    base = kernel.partition("<")[0].rpartition("::")[2].strip()
    for path in _sources(place.root):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        declared = find_declaration(text, base, len(parameters)) if base in text else None
        if declared is not None:
            pairs = zip(declared.types, declared.names, strict=True)
            return f"{base}({', '.join(f'{type_} {name}' for type_, name in pairs)})"
    return f"{base}({', '.join(parameters)})"


def _sources(root: Path) -> Iterator[Path]:
    found = (path for pattern in ("*.cu", "*.cuh") for path in root.rglob(pattern))
    for count, path in enumerate(found):
        if count >= _MOST_SOURCES:
            return
        yield path
