"""Sources without what their comments say, by which an edit of a comment alone compiles nothing.

A comment is emptied and stays: what is left is a source of the same tokens, each in its line and column, so that
`__LINE__` and `std::source_location` are as they were too. That holds for what every compiler reads in one way, so
whatever is rare counts as it is: a text with raw strings, joined words, odd bytes, quotes that do not close. And in all
texts comments count where some option is not known to leave them alone. ccache compares preprocessed sources for the
same end, which takes a run of the preprocessor for each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["comments_count", "is_once_only", "judges_by_comments", "without_comments"]

# [lex.comment], [lex.string], [lex.ccon], [lex.icon] of the C++ standard. A quote behind a letter or digit begins no
# literal, unless that is a prefix, or ends one digit group of a plain number.
_TOKEN = re.compile(
    rb"""
    (?P<line>//[^\n]*)
    | /\*(?P<block>(?:[^*]|\*(?!/))*)\*/(?P<ends>(?=[ \t\r]*(?:\n|\Z)))?
    | "(?:\\.|[^"\\\n])*"
    | (?<![\w$.\x80-\xff])[0-9][0-9A-Fa-fXx]*(?:'[0-9A-Fa-f]+)+[uUlLzZ]*(?![\w$'.\x80-\xff])
    | (?<![\w$.\x80-\xff])(?<![eEpP][+-])(?:u8|[uUL])?'(?:\\.|[^'\\\n])*'
    | (?P<open>["']|/\*)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBTFUL = re.compile(
    rb"""
    (?<![A-Za-tv-zA-KM-TV-Z0-9_$])(?:u8?|[UL])?R"   # a raw string
    | \?\?[=/'()!<>-]                               # a trigraph
    | (?<![ \t])\\[ \t\r\f\v]*\n                    # a line that goes on in the middle of a word
    | \r(?!\n) | \0                                 # the end of a line, for some
    """,
    re.VERBOSE,
)
_DIRECTIVE = re.compile(rb"(?:include|import|embed|#|%:)((?:[^\n\\]|\\[ \t\r\f\v]*\n|\\)*)")
_ANGLED = re.compile(rb"<([^>]*)")
_NO_HEADER_NAME = re.compile(rb"""/[/*]|["']""")
_CONTINUED = re.compile(rb"\\[ \t\r\f\v]*(?:\n|\Z)")
_LONGEST = 1000
"""Bytes of a comment's line. GCC gives columns up where lines are much longer (libcpp, line-map)."""
_ONCE = re.compile(rb"pragma[ \t]+once|[#%]:?[ \t]*import")
# Pragmas by which a warning may end a compilation: some are about comments (-Wcomment, -Wimplicit-fallthrough). A macro
# may put them together, so all count but those that are known.
_JUDGES = re.compile(
    rb"(?:GCC|clang)[\s\\]+diagnostic\b(?!\s+(?:push|pop|ignored|warning)\b)"
    rb"|nv_diag_(?!suppress|default|remark|warning|once|push|pop)|\bdiag_error"
)

# Options with which an object holds nothing of comments, and nobody is stopped by them. All others count: debug and
# line information (which may have sums of the sources), coverage, plugins, -Werror, -C, -trigraphs, and what is not
# known. Sources: GCC manual, "Option Summary"; nvcc manual, "Command Options"; NVRTC documentation, "Supported Compile
# Options".
_BLIND = re.compile(
    r"""
    -c | -w | -pipe | -pthread | -pedantic | -nostdinc(?:\+\+)? | -M[DMP]+ | -O[0-3sgz]? | -Ofast | -[DI].+ | -U\w+
    | --?std=(?:gnu|c)\+\+(?:1[47yz]|2\w) | -m[\w=.,+-]+ | -B\S+ | -isystem=?\S+ | --?sysroot=\S+ | --param=\S+
    | -W(?!error|fatal|system-headers)[a-z0-9][\w+=-]*
    | -f(?:no-)?(?:PIC|pic|PIE|pie|plt|exceptions|rtti|wrapv|permissive|lto|openmp|common|fast-math|math-errno)
    | -f(?:no-)?(?:strict-aliasing|omit-frame-pointer|trapping-math|signed-zeros|finite-math-only|unroll-loops)
    | -f(?:no-)?(?:tree-vectorize|inline|function-sections|data-sections|gnu-unique|semantic-interposition|ident)
    | -f(?:no-)?(?:visibility-inlines-hidden|stack-protector(?:-strong|-all)?|stack-clash-protection|signed-char)
    | -f(?:visibility|cf-protection|message-length|diagnostics-color|fp-contract|abi-version)=\w+ | -ftemplate-depth=\d+
    | -f(?:file|macro|debug)-prefix-map=.+
    | --?(?:gpu-architecture|arch|gpu-code|code|generate-code|gencode|ccbin|compiler-bindir|threads|t|split-compile)=.+
    | --?(?:relocatable-device-code|rdc|compress-mode|maxrregcount|ftz|prec-div|prec-sqrt|fmad|diag-suppress)=.+
    | --?(?:device-c|dc|compile|extended-lambda|expt-[\w-]+|use_fast_math|extra-device-vectorization|restrict)
    | --?(?:forward-unknown-to-host-\w+|default-device|device-int128|disable-warnings|compress-all)
    | --?(?:static-global-template-stub|frandom-seed)=.+ | --(?:include-path|define-macro|undefine-macro|pre-include)=.+
    | --?(?:Xptxas|ptxas-options|Xnvlink|nvlink-options|Xfatbin|fatbin-options)=.+
    | -Xcudafe=--orig_src_path_name=\S+ | -optf=.+ | --options-file=.+ | @.+
    """,
    re.VERBOSE,
)
# Options whose value is the next word, whatever that is.
_VALUED = {
    *("-o", "-MF", "-MT", "-MQ", "-I", "-D", "-U", "-isystem", "-iquote", "-idirafter", "-include", "-imacros", "-B"),
    *("-ccbin", "-gencode", "-arch", "-code", "-rdc", "-Xptxas", "-Xnvlink", "-Xfatbin", "--ptxas-options", "--param"),
    *(
        "--options-file",
        "-optf",
        "--generate-code",
        "--gpu-architecture",
        "--gpu-code",
        "-maxrregcount",
        "-t",
        "--threads",
    ),
}
_TO_HOST = re.compile(r"(?:-Xcompiler|--?compiler-options)(?:=(?P<value>.*))?", re.DOTALL)
_CPP_SOURCE = re.compile(r".+\.(?:cpp|cc|cxx|c\+\+|cu|C|hxx|hpp|h|o)")


def without_comments(text: bytes) -> bytes:
    """`text` with its comments emptied; `text` as it is where somebody may see other comments in it."""
    if _DOUBTFUL.search(text) is not None or _has_odd_header_name(text):
        return text
    try:
        text.decode()  # what is no UTF-8 may end a file for a reader (EDG takes 0xFF for that)
        return _TOKEN.sub(_emptied, text)
    except (_DoubtError, UnicodeDecodeError):
        return text


def comments_count(words: Iterable[str]) -> bool:
    """Whether what a command makes may depend on comments; `words`: after the program, response files opened."""
    waiting = iter(words)
    for_host: list[str] = []
    for word in waiting:
        to_host = _TO_HOST.fullmatch(word)
        if to_host is not None:
            value = next(waiting, "") if to_host["value"] is None else to_host["value"]
            for_host += re.split(r"[,\s]+", value.strip())
        elif word == "-x":
            if next(waiting, "") not in {"c++", "c++-header", "cu"}:
                return True
        elif word in _VALUED:
            next(waiting, "")
        elif (_BLIND if word.startswith(("-", "@")) else _CPP_SOURCE).fullmatch(word) is None:
            return True
    quoted = any(character in word for word in for_host for character in "'\"\\")
    return quoted or (for_host != [] and comments_count(for_host))


def judges_by_comments(text: bytes) -> bool:
    """Whether a text may make errors of warnings, of which some are about comments."""
    return b"diag" in text and _JUDGES.search(text) is not None


def is_once_only(text: bytes) -> bool:
    """Whether a header is left out where one of the same bytes and time was included: for GCC these are one."""
    return _ONCE.search(text) is not None


def _has_odd_header_name(text: bytes) -> bool:
    """Whether what a directive includes may have in its name what looks like a comment: `<a//b.h>`."""
    names = (name for match in _DIRECTIVE.finditer(text) for name in _ANGLED.findall(match[1]))
    return any(map(_NO_HEADER_NAME.search, names))


class _DoubtError(Exception):
    """A text that has no one reading."""


def _emptied(match: re.Match[bytes]) -> bytes:
    text = match[0]
    is_comment = match["line"] is not None or match["block"] is not None
    if match["open"] is not None or (is_comment and _CONTINUED.search(text) is not None):
        raise _DoubtError
    if not is_comment:
        return text
    if any(len(line) > _LONGEST for line in text.split(b"\n")):
        raise _DoubtError
    if match["line"] is not None:
        return b"//"
    before, newline, last = match["block"].rpartition(b"\n")
    blanks = b"" if match["ends"] is not None else b" " * len(last)
    return b"/*" + b"\n" * before.count(b"\n") + newline + blanks + b"*/"
