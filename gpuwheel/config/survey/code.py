"""C++ without what its comments and texts say; each character that stays is in its place."""

from __future__ import annotations

import re

__all__ = ["without_words"]

# What is not closed goes on to the end of the file, or of the line: a pattern that fails there would be tried from each
# place anew. [lex.comment], [lex.header], [lex.string], [lex.ccon] of the C++ standard.
_TOKEN = re.compile(
    r"""
    ^[ \t]*\#[ \t]*include\b[^\n]*
    | //(?:[^\\\n]|\\\n|\\)*
    | /\*(?:[^*]|\*(?!/))*(?:\*/)?
    | \bR"(?P<mark>[^()\\\s]{0,16})\((?:[^)]|\)(?!(?P=mark)"))*(?:\)(?P=mark)")?
    | "(?:\\.|[^"\\\n])*"?
    | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'?
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_SHOWN = re.compile(r"[^\n]")
_REMARK = re.compile(r"//.*|/\*.*?\*/")


def without_words(text: str) -> str:
    """`text` with blanks in place of comments, texts and characters; the lines are as they were."""
    return _TOKEN.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    if text.lstrip().startswith("#"):
        return _REMARK.sub("", text)
    return _SHOWN.sub(" ", text)
