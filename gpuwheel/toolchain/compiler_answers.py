"""What a compiler says of itself, asked once: its version, its target, where it finds its libraries.

An answer stands as long as the program is the same file, the variables that compilers read are the same, and the files
and folders that it came from look the same. Only compilers themselves are believed so: what a script or a launcher says
depends on more than its own file, and is asked each time.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import Cache
from gpuwheel._cache.file_state import state_in
from gpuwheel._environment import reaching
from gpuwheel._environment.compilers import is_compiler
from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ask", "ask_about_files", "ask_about_headers"]

_NOTE = "compilers"
_MOST = 400  # answers that are kept
_MORE_VARIABLES = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES")
"""What changes an answer and no object."""


def ask(command: Sequence[str], options: Sequence[str], environ: Mapping[str, str], *, stdin: str | None = None) -> str:
    """Standard output of the compiler `command` with `options`, which depends on no other file.

    Raises:
        FileNotFoundError: there is no such program.
        ProcessFailedError: it ended with a non-zero status.
    """
    return _remembered(
        command, options, environ, lambda: (run([*command, *options], env=environ, stdin=stdin).stdout, [])
    )


def ask_about_files(command: Sequence[str], names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """What `-print-file-name=NAME` says of each name: a file's path, or the name alone where there is none."""

    def look() -> tuple[str, list[str]]:
        said = {}
        for name in wanted:
            path = run([*command, f"-print-file-name={name}"], env=environ, check=False).stdout.strip()
            said[name] = path if os.path.isfile(path) else name  # noqa: PTH113
        search = run([*command, "-print-search-dirs"], env=environ, check=False).stdout
        folders = [folder for line in search.splitlines() for folder in line.partition(": =")[2].split(":") if folder]
        return json.dumps(said), [*folders, *(path for path in said.values() if path.startswith(os.sep))]

    wanted = sorted(names)
    answer: dict[str, str] = json.loads(_remembered(command, ["-print-file-name", *wanted], environ, look))
    return answer


def ask_about_headers(command: Sequence[str], options: Sequence[str], environ: Mapping[str, str]) -> str:
    """Standard output of a run of the preprocessor, which depends on the headers that it reads.

    Raises:
        ProcessFailedError: it ended with a non-zero status.
    """

    def look() -> tuple[str, list[str]]:
        done = run([*command, *options, "-H"], env=environ)  # -H: names of headers, on standard error
        headers = [line.partition(" ")[2].strip() for line in done.stderr.splitlines() if line.startswith(".")]
        # Folders too: a header that appears in one of them later may be found first.
        return done.stdout, [*headers, *{os.path.dirname(header) for header in headers}]  # noqa: PTH120

    return _remembered(command, options, environ, look)


def _remembered(command: Sequence[str], options: Sequence[str], environ: Mapping[str, str], look: Any) -> str:  # noqa: ANN401
    """The answer that was kept, else that of `look`, which is kept with what it came from."""
    program = _program(command)
    # A script or a launcher: nothing of its own file says what it would answer next time.
    if program is None:
        text: str = look()[0]
        return text
    cache = Cache.from_environment(environ)
    said = reaching(environ) | {name: environ[name] for name in _MORE_VARIABLES if name in environ}
    words = [program, list(command), list(options), said]
    key = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
    kept = _read(cache)
    with suppress(KeyError, TypeError, ValueError):
        answer = kept[key]
        if all(_state(path) == state for path, state in answer["from"].items()):
            return str(answer["text"])
    text, files = look()
    states = {path: _state(path) for path in files}
    if _program(command) == program:  # and was not replaced meanwhile
        kept = _read(cache)
        kept.pop(key, None)
        # The oldest go first: dictionaries keep their order in JSON, too.
        kept = dict(list(kept.items())[1 - _MOST :])
        kept[key] = {"text": text, "from": states}
        cache.keep_note(_NOTE, json.dumps(kept).encode())
    return text


def _program(command: Sequence[str]) -> list[object] | None:
    """What tells the compiler from another; `None`: it is not one by its name and its first bytes."""
    # /usr/bin/c++ is a chain of links (update-alternatives): what changes is where it ends.
    path = os.path.realpath(command[0])
    return [path, *(_state(path) or ())] if len(command) == 1 and is_compiler(path) else None


def _read(cache: Cache) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(cache.note(_NOTE) or b"{}")
        if isinstance(found, dict):
            return found
    return {}


def _state(path: str) -> list[int] | None:
    """What `stat` says of a file or folder, as JSON has it; `None`: there is none."""
    try:
        return [*state_in(os.stat(path))]  # noqa: PTH116
    except OSError:
        return None
