"""Names that come from outside, as YAML and shells read them back: each is one value, whatever is in it."""

from __future__ import annotations

import os
import re
import shlex

from gpuwheel.errors import WorkflowError

__all__ = ["check_branch", "check_folder", "scalar", "word"]

_BRANCH = re.compile(r"\w[\w./@#=,+-]*")
_PLAIN = re.compile(r"[ -~]*")
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_PATTERNS = frozenset("*?[]{}!$\\<>")
"""What services take for patterns and variables in paths, where nothing can quote it."""


def scalar(text: str) -> str:
    """A YAML string in double quotes, in ASCII; Python reads it as the same string."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    if " " <= character <= "~":
        return character
    return f"\\u{code:04x}" if character <= "\uffff" else f"\\U{code:08x}"


def word(text: str) -> str:
    """One word of a command for bash, in printable ASCII, in which GitHub finds no expression."""
    if _PLAIN.fullmatch(text) and "{{" not in text:
        return shlex.quote(text)
    return "$'" + "".join(chr(byte) if byte in _SAFE else f"\\x{byte:02x}" for byte in os.fsencode(text)) + "'"


def check_branch(name: str) -> None:
    """Refuse what is no branch, or has characters that conditions of services cannot hold.

    Raises:
        WorkflowError: it is such a name.
    """
    if not _BRANCH.fullmatch(name):
        msg = f"--branch is not the name of a branch that a pipeline can hold (found {name!r})"
        raise WorkflowError(msg, hint="letters, digits and _ . / @ # = , + - only, as in --branch release/2.10")


def check_folder(folder: str) -> None:
    """Refuse a folder whose path services would take for a pattern, a variable or an option.

    Raises:
        WorkflowError: it is such a path.
    """
    odd = sorted(character for character in set(folder) if character in _PATTERNS or not character.isprintable())
    if odd or folder != folder.strip() or folder.startswith(("-", "#", "~")):
        msg = f"the folder of the project cannot be named in a pipeline (found {folder!r})"
        raise WorkflowError(msg, hint=r"rename it: none of * ? [ ] { } ! $ \ < >, and no - # ~ or space first")
