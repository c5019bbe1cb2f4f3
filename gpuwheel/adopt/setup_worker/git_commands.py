"""Which git commands only look, and how they are started so that the repository's own settings start nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["git_environment", "harmless_git"]

_PLAIN = {
    *("--bare", "--literal-pathspecs", "--no-lazy-fetch", "--no-optional-locks", "--no-pager", "--no-replace-objects"),
    "-P",
}
_WITH_VALUE = {"-C", "--git-dir", "--work-tree", "--namespace"}
_LOOKS = {
    *("describe", "diff", "log", "ls-files", "ls-tree", "merge-base", "name-rev", "rev-list", "rev-parse", "show"),
    "status",
}
# Verbs that also change something -> words of which one makes them only look.
_LOOKS_WITH = {
    "branch": {"--show-current", "--list", "--contains", "-r", "-a"},
    "config": {"--get", "--get-all", "--get-regexp", "--list", "-l"},
    "remote": {"-v", "get-url"},
    "symbolic-ref": {"--short"},
    "tag": {"--points-at", "--list", "-l", "--contains", "--merged"},
}
# Options that write a file or start a program of the repository's choice.
_ACTS = {"--output", "--ext-diff", "--textconv", "--open-files-in-pager"}
_CHANGES = {
    *(
        "-d",
        "-D",
        "-m",
        "-M",
        "-c",
        "-C",
        "-f",
        "-u",
        "-e",
        "--delete",
        "--move",
        "--copy",
        "--force",
        "--edit",
        "--add",
    ),
    *("--unset", "--unset-all", "--replace-all", "--rename-section", "--remove-section", "--set-upstream-to"),
    *("--unset-upstream", "--edit-description"),
}
# The repository's settings may name programs. Its filters can't be switched off like that: this is no sandbox.
_QUIET = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "core.sshCommand=false")
_DIFFS = {"diff", "log", "show"}


def harmless_git(words: Sequence[str]) -> list[str] | None:
    """The command that is started for this one; `None` if it is not known to only look."""
    options: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        if word in _WITH_VALUE:
            options += [word, next(rest, "")]
        elif word in _PLAIN or word.partition("=")[0] in _WITH_VALUE - {"-C"}:
            options.append(word)
        elif word.startswith("-"):
            return None  # `-c`, `--exec-path`, `--config-env` and whatever else there is
        else:
            return _quiet(words[0], options, word, list(rest))
    return None


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what makes git start other programs or read other settings."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}


def _quiet(program: str, options: Sequence[str], verb: str, arguments: list[str]) -> list[str] | None:
    looks = _LOOKS_WITH.get(verb)
    if verb not in _LOOKS and not (looks and looks & {*arguments}):
        return None
    if verb == "symbolic-ref" and sum(not word.startswith("-") for word in arguments) > 1:
        return None
    refused = _ACTS | _CHANGES if looks else _ACTS
    if any(word.partition("=")[0] in refused for word in arguments):
        return None
    settings = [word for setting in _QUIET for word in ("-c", setting)]
    plain = ["--no-ext-diff", "--no-textconv"] if verb in _DIFFS else []
    return [program, *options, *settings, verb, *plain, *arguments]
