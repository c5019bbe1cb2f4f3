"""Sources without what their comments say, by which an edit of a comment alone compiles nothing.

A comment is emptied and stays: what is left is a source of the same tokens, each in its line and column, so that
`__LINE__` and `std::source_location` are as they were too. Where a text has anything by which a reader of another
dialect may see other comments, it counts as it is; and so do all texts where options have compilers write down or
look at more than tokens. ccache compares preprocessed sources for the same end, which takes a run of the preprocessor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["comments_count", "judges_by_comments", "without_comments"]

# [lex.comment], [lex.string], [lex.ccon], [lex.ppnumber] of the C++ standard, in the order in which they begin. A
# number counts where it has the `'` between digits that begins no literal.
_TOKEN = re.compile(
    rb"""
    (?P<line>//[^\n]*)
    | /\*(?P<block>(?:[^*]|\*(?!/))*)\*/(?P<ends>(?=[ \t\r]*(?:\n|\Z)))?
    | "(?:\\.|[^"\\\n])*"
    | (?<![\w$\x80-\xff])\.?[0-9][\w.]*(?:'\w[\w.]*)+
    | '(?:\\.|[^'\\\n])*'
    | (?P<open>["']|/\*)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBTFUL = re.compile(
    rb"""
    (?<!\w)(?:u8?|[UL])?R(?:"|\\[ \t\r\f\v]*\n)  # a raw string
    | \?\?/                             # a backslash, where there are trigraphs
    | [/*]\\[ \t\r\f\v]*\n              # a line that goes on where a comment may begin or end,
    | \\[ \t\r\f\v]*\n[\w.$\x80-\xff]*'    # or in a word before a quote
    | \r(?!\n) | \0                     # the end of a line, for some
    """,
    re.VERBOSE,
)
_AFTER_INCLUDE = re.compile(rb"(?:include|import|embed)((?:[^\n\\]|\\[ \t\r\f\v]*\n|\\)*)")
_ANGLED = re.compile(rb"<([^>]*)")
_NO_HEADER_NAME = re.compile(rb"""/[/*]|["']""")
_LONGEST = 1000
"""Bytes of a comment's line. GCC gives columns up where lines are much longer (libcpp, line-map)."""
# A pragma by which a warning may end a compilation: some are about comments (-Wcomment, -Wimplicit-fallthrough).
_JUDGES = re.compile(rb"diagnostic[ \t]+(?:error|fatal)|(?:nv_)?diag_error")

# Options with which an object holds nothing of comments, and nobody is stopped by them: any other may. So comments
# count with debug information (its line tables may have sums of sources), coverage, plugins, -Werror, -C, -trigraphs.
# Sources: GCC manual, "Option Summary"; Clang command line reference; nvcc manual, "Command Options"; NVRTC
# documentation, "Supported Compile Options".
_BLIND = re.compile(
    r"""
    -c | -[DUIOm].* | -w | -o.* | -M[DMTFQP]* | -x | -pipe | -pthread | -pedantic | -nostdinc(?:\+\+)? | -B.*
    | -std=(?:gnu|c)\+\+\w+ | --std=c\+\+\w+ | --?(?:isystem|iquote|idirafter|include|imacros|pre-include)(?:$|[=/].*)
    | -W(?!error|p,|a,|l,)[\w+=-]* | --param.* | --sysroot.* | --gcc-\w+-?\w*=.* | -stdlib=.* | --target=.*
    | -f(?!plugin|profile|test-coverage|coverage|directives-only|preprocessed|input-charset|modules|pass-plugin)\S*
    | --?(?:include-path|system-include|define-macro|undefine-macro|options-file|optf|output-file)(?:=.*)?
    | --?(?:gpu-architecture|arch|gpu-code|code|generate-code|gencode|ccbin|compiler-bindir|threads|t)(?:=.*)?
    | --?(?:relocatable-device-code|rdc|device-c|dc|compile|expt-[\w-]+|extended-lambda|forward-unknown-\S+)(?:=.*)?
    | --?(?:use_fast_math|ftz|prec-div|prec-sqrt|fmad|maxrregcount|diag-suppress|disable-warnings)(?:=.*)?
    | --?(?:extra-device-vectorization|default-device|device-int128|frandom-seed|static-global-template-stub)(?:=.*)?
    | --?(?:Xptxas|ptxas-options|Xnvlink|nvlink-options|Xfatbin|fatbin-options|Xcompiler|compiler-options)
    | --?(?:Xptxas|ptxas-options|Xnvlink|nvlink-options|Xfatbin|fatbin-options)=.* | --?compress-mode(?:=.*)?
    """,
    re.VERBOSE,
)
_TO_HOST = re.compile(r"--?(?:Xcompiler|compiler-options)=(.*)")
_AFTER_DEVICE = re.compile(r"--?(?:Xptxas|ptxas-options|Xnvlink|nvlink-options|Xfatbin|fatbin-options)")
# Languages whose comments are others: C before C99, assembly, Objective-C, what is preprocessed.
_OTHER_LANGUAGE = re.compile(r"[^-].*\.(?:c|i|ii|s|S|sx|m|mm|M)")


def without_comments(text: bytes) -> bytes:
    """`text` with its comments emptied; `text` as it is where somebody may see other comments in it."""
    if _DOUBTFUL.search(text) is not None or _has_odd_header_name(text):
        return text
    try:
        return _TOKEN.sub(_emptied, text)
    except _DoubtError:
        return text


def comments_count(words: Iterable[str]) -> bool:
    """Whether what is compiled by a command of these words may depend on comments."""
    before = ""
    for word in words:
        to_host = _TO_HOST.fullmatch(word)
        if before == "-x" and word not in {"c++", "cu"}:
            return True
        if to_host is not None:
            if comments_count(to_host[1].split(",")):
                return True
        elif _AFTER_DEVICE.fullmatch(before) is None and not _is_blind(word):
            return True
        before = word
    return False


def judges_by_comments(text: bytes) -> bool:
    """Whether a text may make errors of warnings, of which some are about comments."""
    return b"diag" in text and _JUDGES.search(text) is not None


def _is_blind(word: str) -> bool:
    if word.startswith("-"):
        return _BLIND.fullmatch(word) is not None
    return _OTHER_LANGUAGE.fullmatch(word) is None


def _has_odd_header_name(text: bytes) -> bool:
    """Whether what a directive includes may have in its name what looks like a comment: `<a//b.h>`."""
    names = (name for match in _AFTER_INCLUDE.finditer(text) for name in _ANGLED.findall(match[1]))
    return any(map(_NO_HEADER_NAME.search, names))


class _DoubtError(Exception):
    """A text that has no one reading."""


def _emptied(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if match["open"] is not None:
        raise _DoubtError
    if match["line"] is not None:
        if text.rstrip(b" \t\r\f\v").endswith(b"\\") or len(text) > _LONGEST:
            raise _DoubtError
        return b"//"
    if match["block"] is None:
        return text
    before, newline, last = match["block"].rpartition(b"\n")
    if len(last) > _LONGEST or any(len(line) > _LONGEST for line in before.split(b"\n")):
        raise _DoubtError
    blanks = b"" if match["ends"] is not None else b" " * len(last)
    return b"/*" + b"\n" * before.count(b"\n") + newline + blanks + b"*/"
