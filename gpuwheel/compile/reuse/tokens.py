"""What a source asks for that no list of read files shows: the time, embedded files, modules.

Found without a preprocessor: whatever conditional it stands under, it counts.
"""

from __future__ import annotations

import re

__all__ = ["FIXED", "clock", "unseen"]

FIXED = frozenset({"__DATE__", "__TIME__"})
"""Those that SOURCE_DATE_EPOCH fixes."""

_CLOCK = re.compile(rb"\b__(?:DATE|TIME|TIMESTAMP)__\b")
# A comment or a string; or one of them that is never closed, to the end of its line or of the file.
_COMMENT = re.compile(rb'//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|"(?:\\.|[^"\\\n])*(?:"|$)', re.MULTILINE)
# What looks like the start of a string or comment, and is none: in a raw string, or in a literal of one character.
_CONFUSING = re.compile(rb"""\bu?8?[uUL]?R"|'[^'\n]{0,3}["/]""")
# By which an assembler reads a file that no compiler names.
_ASSEMBLER_INCLUDE = re.compile(rb'\.include\b(?:[ \t]|\\t)*\\?"')
_EMBED = re.compile(rb"[#%]:?[ \t]*embed\b|\b__has_embed\b")
_MODULE = re.compile(
    rb'^[ \t]*(?:export[ \t]+)?(?:import[ \t]*(?:[<"]|:?[A-Za-z_][\w.:]*[ \t]*;)|module[ \t]+[A-Za-z_][\w.:]*[ \t]*;)',
    re.MULTILINE,
)


def clock(text: bytes) -> str | None:
    """The macro by which a file asks what time it is, outside of comments and strings; first one that nothing fixes."""
    if _CLOCK.search(text) is None:
        return None
    found = _CLOCK.findall(text if _CONFUSING.search(text) else _COMMENT.sub(b" ", text))
    return min((name.decode() for name in found), key=FIXED.__contains__, default=None)


def unseen(text: bytes) -> str | None:
    """What a file embeds or imports, if it does: nothing says what that was made from."""
    if b"embed" in text and _EMBED.search(text):
        return "#embed"
    if b"incbin" in text and b".incbin" in text:
        return ".incbin"
    if b".include" in text and _ASSEMBLER_INCLUDE.search(text):
        return ".include of the assembler"
    if (b"import" in text or b"module" in text) and _MODULE.search(_COMMENT.sub(_ends_kept, text)):
        return "import"
    return None


def _ends_kept(match: re.Match[bytes]) -> bytes:
    """A string stays; a comment becomes the ends of its lines."""
    return match[0] if match[0].startswith(b'"') else b"\n" * match[0].count(b"\n")
