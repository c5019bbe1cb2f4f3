"""Values on their way to the tools: folders that come last, and options that are left out, replaced or refused."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._environment.table import CMakeArgument, Does, Word, cmake_argument, document, launchers, word_rules
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Rewritten", "compiler_words", "folders", "rewrite_value", "starts_what_follows"]

_LINKER = "-Wl,"
_DEFINE = "-D"


@dataclass
class Rewritten:
    """A value as the tools get it."""

    value: str
    said: list[str] = field(default_factory=list)
    """What was left out or replaced, a line each."""
    opaque: bool = False
    """It can name files that no key covers."""
    last: list[str] = field(default_factory=list)
    """Words of it that are to come after all others."""


def rewrite_value(name: str, value: str, rewrite: str) -> Rewritten:
    """The value of a variable as the tools get it; unchanged text where nothing of it has to go.

    Raises:
        ConfigError: it cannot be read as a shell would, or has a word that is refused.
    """
    if rewrite == "folders":
        return Rewritten(":".join(folders(value)))
    if rewrite == "program":
        return Rewritten(value, opaque=not starts_what_follows(value))
    if rewrite == "include-path":
        return Rewritten(value)
    words = _split(name, value)
    found = Rewritten(value)
    kept = list(_cmake(name, words, found)) if rewrite == "cmake" else _filtered(name, words, rewrite, found)
    # Text that nothing has to leave stays as its author quoted it: keys and logs show what they set.
    if kept != words:
        found.value = shlex.join(kept)
    return found


def folders(value: str) -> list[str]:
    """The folders of a search path but for those that every compiler searches anyway; an empty part is no folder."""
    standard = set(document()["folders"]["standard"])
    parts = (part.rstrip("/") or "/" for part in value.split(":") if part)
    # GCC would move a standard folder out of its place in the search, and break #include_next in the C++ headers.
    return [part for part in dict.fromkeys(parts) if part not in standard]


def starts_what_follows(value: str) -> bool:
    """Whether a value of CMAKE_<LANG>_COMPILER_LAUNCHER is of programs that give what the compiler gives.

    Any other program may read or change anything, and no key can say what.
    """
    known = launchers()
    return all(word.rpartition("/")[2] in known for word in value.split(";") if word)


def compiler_words(name: str, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Arguments of the compiler that a variable names: those ahead of every other, and those that come last.

    Raises:
        ConfigError: no wheel can be made with one of them.
    """
    found = Rewritten("")
    return _filtered(name, words, "cxx", found), found.last


def _split(name: str, value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        msg = f"environment {name} cannot be read ({value!r}: {error})"
        raise ConfigError(msg, hint="quote it as a shell would") from error


def _cmake(name: str, words: list[str], found: Rewritten) -> Iterator[str]:
    """Arguments of `cmake`, those that set a cache entry looked at one by one."""
    rest = iter(words)
    for word in rest:
        text = f"{_DEFINE}{next(rest, '')}" if word == _DEFINE else word
        entry, equals, value = text.removeprefix(_DEFINE).partition("=")
        entry, colon, kind = entry.partition(":")
        rule = cmake_argument(entry) if text.startswith(_DEFINE) and equals else None
        if rule is None:
            found.opaque = True
            yield text
        elif rule.does is Does.REFUSE:
            raise _refused(name, text, rule)
        elif rule.does is Does.NEUTRALISE:
            found.said.append(f"{text} of {name} is left out: {rule.follows}")
        else:
            inner = Rewritten(value) if rule.rewrite is None else rewrite_value(name, value, rule.rewrite)
            found.said += inner.said
            found.opaque |= inner.opaque
            yield f"{_DEFINE}{entry}{colon}{kind}={inner.value}"


def _filtered(name: str, words: Sequence[str], rewrite: str, found: Rewritten) -> list[str]:
    """Words of a compiler's command line, with each rule for them applied."""
    rules = word_rules(rewrite)
    for_linker = tuple(rule for rule in rules if rule.linker_options)
    kept: list[str] = []
    left = _Words(_joined(words))
    while left.words:
        if left.words[0].startswith(_LINKER):
            kept += _linker_words(name, left, for_linker, found)
            continue
        word = left.take()
        rule, option = _rule_for(word, rules)
        if rule is None:
            kept.append(word)
            continue
        value = _value(word, option, left) if rule.value else ""
        if rule.does is Does.REFUSE:
            raise _refused(name, word, rule)
        if rule.becomes is not None:
            (found.last if rule.last else kept).extend([rule.becomes, value] if folders(value) else [])
        elif not rule.quiet:
            found.said.append(f"{' '.join(filter(None, (option, value)))} of {name} is left out: {rule.follows}")
    return kept


@dataclass
class _Words:
    words: list[str]

    def take(self) -> str:
        return self.words.pop(0)


def _joined(words: Sequence[str]) -> list[str]:
    """`-Xlinker A` as `-Wl,A`, where A has no comma: one form to look at."""
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        if word != "-Xlinker":
            joined.append(word)
            continue
        argument = next(rest, "")
        joined += [word, argument] if "," in argument else [_LINKER + argument]
    return joined


def _linker_words(name: str, left: _Words, rules: Sequence[Word], found: Rewritten) -> Iterator[str]:
    """The run of `-Wl,` words at the front, each with what is kept of it; an option and its value may be in two."""
    run: list[list[str]] = []
    while left.words and left.words[0].startswith(_LINKER):
        run.append(left.take().removeprefix(_LINKER).split(","))
    pieces = [(number, piece) for number, word in enumerate(run) for piece in word]
    kept: dict[int, list[str]] = {}
    while pieces:
        number, piece = pieces.pop(0)
        rule, option = _rule_for(piece, rules, linker=True)
        if rule is None:
            kept.setdefault(number, []).append(piece)
            continue
        joined = piece.removeprefix(option).removeprefix("=")
        value = joined or (pieces.pop(0)[1] if pieces else "")
        found.said.append(f"{option} {value} of {name} is left out: {rule.follows}")
    return (_LINKER + ",".join(word) for word in kept.values())


def _rule_for(word: str, rules: Sequence[Word], *, linker: bool = False) -> tuple[Word | None, str]:
    for rule in rules:
        # Clang takes -rpath itself; `-R` of the compiler would be another option.
        options = rule.linker_options if linker else (*rule.options, *(it for it in rule.linker_options if it != "-R"))
        for option in options:
            glued = rule.value and len(option) == 2 and word.startswith(option)  # noqa: PLR2004 (a dash and a letter)
            if word == option or glued or (rule.value and word.startswith(f"{option}=")):
                return rule, option
    return None, ""


def _value(word: str, option: str, left: _Words) -> str:
    if word != option:
        return word.removeprefix(option).removeprefix("=")
    return left.take() if left.words else ""


def _refused(name: str, word: str, rule: Word | CMakeArgument) -> ConfigError:
    return ConfigError(f"environment {name} has {word}, with which no wheel can be made", hint=rule.follows)
