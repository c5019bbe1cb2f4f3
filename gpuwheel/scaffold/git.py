"""Git, as templates and updates need it: recent enough, and free of a person's settings where bytes depend on it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ScaffoldError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel._run import Completed

__all__ = ["Git", "plain_environment", "users_environment"]

_OLDEST = (2, 32)  # GIT_CONFIG_GLOBAL
# What a hook or an alias of git hands to the programs that it starts: the place of another repository.
_PLACES = ("DIR", "WORK_TREE", "INDEX_FILE", "PREFIX", "OBJECT_DIRECTORY", "COMMON_DIR", "NAMESPACE")


def users_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the person's git settings, but no other repository than that of the folder git runs in."""
    return {name: value for name, value in environ.items() if name not in {f"GIT_{place}" for place in _PLACES}}


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for git without anybody's settings: the same commands make the same bytes everywhere."""
    others = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return others | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}


class Git:
    """The `git` of an environment.

    Raises:
        ScaffoldError: there is none, or it is too old.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)
        expected = ".".join(map(str, _OLDEST))
        try:
            said = run(["git", "version"], env=self.environ).stdout.strip()
        except FileNotFoundError:
            msg = f"git is not there (found none on PATH, expected {expected} or newer)"
            raise ScaffoldError(msg, hint="install git: https://git-scm.com/downloads") from None
        match = re.search(r"(\d+)\.(\d+)", said)
        if match is None or (int(match[1]), int(match[2])) < _OLDEST:
            msg = f"git is too old (found {said}, expected {expected} or newer)"
            raise ScaffoldError(msg, hint="install a newer git: https://git-scm.com/downloads")

    def __call__(self, *words: str | Path, cwd: Path, stdin: str | None = None, **variables: str) -> str:
        """What git prints, without the last line break.

        Raises:
            ProcessFailedError: it failed.
        """
        return run(["git", *words], cwd=cwd, env=self.environ | variables, stdin=stdin).stdout.rstrip("\n")

    def tried(self, *words: str | Path, cwd: Path) -> Completed:
        """What git left, whether it succeeded or not."""
        return run(["git", *words], cwd=cwd, env=self.environ, check=False)

    def top_level(self, folder: Path) -> str | None:
        """The work tree that `folder` is in, if it is in one."""
        try:
            return self("rev-parse", "--show-toplevel", cwd=folder)
        except ProcessFailedError:
            return None
