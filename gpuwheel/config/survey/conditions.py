"""Conditions of the preprocessor as far as they can be known without it: true, false, or only the compiler knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Macros", "value_of"]

Known = int | None
"""The value of an expression; `None`: unknown."""

_TOKEN = re.compile(r"\s*(?:(\d[\w']*)|([A-Za-z_]\w*)|(&&|\|\||[=!<>]=|<<|>>|[-+*/%!~()<>?:&|^,]))")
# Macros of compilers and libraries, which nobody can know without them; all others are the project's own.
_FOREIGN = re.compile(
    r"_|(?:NDEBUG|CUDA|CUDART|CUDNN|CUBLAS|NCCL|CUB|THRUST|CUTLASS|CUTE|FMT|PY|MKL|EIGEN)(?:_|$|VERSION)"
)
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|0[bB][01]+|\d+")
_LONGEST = 200  # tokens: a condition that people write is shorter
_BINARY: tuple[Mapping[str, Callable[[int, int], int]], ...] = (
    {"|": lambda a, b: a | b},
    {"^": lambda a, b: a ^ b},
    {"&": lambda a, b: a & b},
    {"==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b)},
    {
        "<": lambda a, b: int(a < b),
        ">": lambda a, b: int(a > b),
        "<=": lambda a, b: int(a <= b),
        ">=": lambda a, b: int(a >= b),
    },
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b},
)
"""By precedence, the weakest first ([expr] of the C++ standard); shifts and division are left unknown."""


class Macros:
    """What is known of macros."""

    def __init__(self, values: Mapping[str, Known], undefined: frozenset[str], uncertain: frozenset[str]) -> None:
        """Of a build.

        Args:
            values: of those that it defines; `None`: to what nobody knows.
            undefined: those that it does not define.
            uncertain: those that the sources define somewhere.
        """
        self._values, self._undefined, self._uncertain = values, undefined, uncertain

    def is_defined(self, name: str) -> Known:
        """1 or 0; `None` where only the compiler knows."""
        return 1 if name in self._values else self._missing(name)

    def value(self, name: str) -> Known:
        """What `#if NAME` reads."""
        return self._values[name] if name in self._values else self._missing(name)

    def _missing(self, name: str) -> Known:
        known = name in self._undefined or not (name in self._uncertain or _FOREIGN.match(name))
        return 0 if known else None


def value_of(expression: str, macros: Macros) -> Known:
    """Of the expression behind `#if`: a number, of which 0 is false; `None`: only the compiler knows."""
    tokens = _TOKEN.findall(expression)
    rest = _TOKEN.sub("", expression).strip()
    if rest or not tokens or len(tokens) > _LONGEST:
        return None
    parser = _Parser(["".join(token) for token in tokens], macros)
    try:
        found = parser.either()
    except (IndexError, ValueError, RecursionError):
        return None
    return None if parser.tokens else found


class _Parser:
    """Takes tokens from the front."""

    def __init__(self, tokens: list[str], macros: Macros) -> None:
        self.tokens, self._macros = tokens, macros

    def either(self) -> Known:
        found = self._both()
        while self._takes("||"):
            other = self._both()
            # True is enough, whatever the other is.
            found = 1 if found or other else None if found is None or other is None else 0
        return found

    def _both(self) -> Known:
        found = self._operation(0)
        while self._takes("&&"):
            other = self._operation(0)
            found = 0 if 0 in (found, other) else None if found is None or other is None else 1
        return found

    def _operation(self, level: int) -> Known:
        if level == len(_BINARY):
            return self._unary()
        found = self._operation(level + 1)
        while self.tokens and self.tokens[0] in _BINARY[level]:
            act = _BINARY[level][self.tokens.pop(0)]
            other = self._operation(level + 1)
            found = None if found is None or other is None else act(found, other)
        return found

    def _unary(self) -> Known:
        word = self.tokens.pop(0)
        if word in {"!", "-", "+"}:
            found = self._unary()
            return None if found is None else {"!": int(not found), "-": -found, "+": found}[word]
        if word == "(":
            found = self.either()
            self._expect(")")
            return found
        return _number(word) if word[0].isdigit() else self._named(word)

    def _named(self, name: str) -> Known:
        if name == "defined":
            return self._defined()
        if not (name[0].isalpha() or name[0] == "_"):
            raise ValueError(name)
        if self.tokens[:1] == ["("]:
            self._skip_call()
            return None
        return {"true": 1, "false": 0}.get(name, self._macros.value(name))

    def _defined(self) -> Known:
        bracket = self._takes("(")
        name = self.tokens.pop(0)
        if bracket:
            self._expect(")")
        return self._macros.is_defined(name)

    def _skip_call(self) -> None:
        depth = 0
        while True:
            word = self.tokens.pop(0)
            depth += (word == "(") - (word == ")")
            if depth == 0:
                return

    def _takes(self, token: str) -> bool:
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._takes(word):
            raise ValueError(word)


def _number(word: str) -> Known:
    digits = _NUMBER.match(word.replace("'", ""))
    return int(digits[0], 0 if digits[0][1:2] in set("xXbB") else 10) if digits else None
