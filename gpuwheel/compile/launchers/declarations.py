"""What only a source knows of a kernel and its symbol does not: names of parameters, and the comment above it.

No compiler: a `__global__` function is found by its words. What cannot be read is left out, and the launcher then has
parameters `p0`, `p1`; for an `extern "C"` kernel, whose types are not in its symbol either, that is an error.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Declaration", "comma_separated", "find_declaration", "usable_names"]

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME_AT_END = re.compile(r"(?P<type>.*?)\b(?P<name>[A-Za-z_]\w*)(?:\s*\[\s*\])?\s*$", re.DOTALL)
_TAKEN = {"block", "cluster", "cooperative", "device", "grid", "shared_bytes", "torch"}
"""Names that a launcher uses itself."""
_LINE_COMMENT = re.compile(r"\s*//[/!]?\s?(?P<text>.*)")
_BLOCK_COMMENT = re.compile(r"/\*[*!]?(?P<text>.*?)\*/\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Declaration:
    """A kernel's parameters as its source writes them."""

    types: tuple[str, ...]
    names: tuple[str, ...]
    """Usable in Python, each once."""
    comment: str
    """The comment right above, without its marks; may be empty."""


def find_declaration(source: str, kernel: str, count: int) -> Declaration | None:
    """The definition of `kernel` (its bare name) with `count` parameters, if the source shows it."""
    # Blanks in place of comments: positions stay those of the source.
    blank = _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)
    for match in re.finditer(rf"\b__global__\b[^;{{}}]*?\b{re.escape(kernel)}\s*\(", blank):
        end = _closing(blank, match.end())
        parameters = _split(blank[match.end() : end])
        split = [_NAME_AT_END.fullmatch(parameter) for parameter in parameters]
        # An overload, or a macro among the parameters: no names are better than wrong ones.
        if len(parameters) != count or not all(part and part["type"].strip() for part in split):
            continue
        names = usable_names([part["name"] for part in split if part])
        types = tuple(" ".join(part["type"].split()) for part in split if part)
        return Declaration(types, names, _comment_above(source, blank, match.start()))
    return None


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        depth += (text[index] == "(") - (text[index] == ")")
        if depth == 0:
            return index
    return len(text)


def _split(text: str) -> list[str]:
    """The parameters of a list, without their default values."""
    return [part.partition("=")[0] for part in comma_separated(text) if part != "void"]


def comma_separated(text: str, end: str = "") -> list[str]:
    """The entries of a list of C++, at the commas outside brackets, up to the bracket `end` that closes it."""
    parts, depth = [""], 0
    for character in text:
        if depth == 0 and character == end:
            break
        depth += (character in "(<[{") - (character in ")>]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def usable_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names for parameters in Python: what cannot be one, or is taken, gets another."""
    usable: list[str] = []
    for index, name in enumerate(names):
        free = name if not keyword.iskeyword(name) and name not in _TAKEN else f"{name}_"
        usable.append(free if free not in usable and not free.startswith("_") else f"p{index}")
    return tuple(usable)


def _comment_above(source: str, blank: str, start: int) -> str:
    """The comment that ends where the declaration, with its template line and macros, begins."""
    head = blank[:start]
    begin = max(head.rfind(character) for character in ";}{") + 1
    # A preprocessor line is no part of a declaration either.
    directive = list(re.finditer(r"^[ \t]*#[^\n]*\n", head[begin:], re.MULTILINE))
    begin += directive[-1].end() if directive else 0
    first = re.search(r"\S", blank[begin:])
    above = source[begin : begin + first.start() if first else start]
    if begin and source[begin - 1] in ";}{":
        above = above.partition("\n")[2]  # what follows on that line belongs to what ended there
    if (block := _BLOCK_COMMENT.search(above)) and "*/" not in block["text"]:
        lines = [line.strip().removeprefix("*").strip() for line in block["text"].splitlines()]
        return "\n".join(lines).strip()
    kept: list[str] = []
    for line in reversed(above.rstrip().splitlines()):
        match = _LINE_COMMENT.fullmatch(line)
        if match is None:
            break
        kept.insert(0, match["text"].rstrip())
    return "\n".join(kept).strip()
