"""Brings a later template into an edited project.

Copier merges in a copy of the project's last commit. What comes out goes into the project as one patch, which git takes
whole or refuses; an error or an interrupt before that changes nothing, and after it takes the patch back.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

from gpuwheel._run import ProcessFailedError
from gpuwheel.errors import GpuwheelError, ScaffoldError, WorkflowError
from gpuwheel.scaffold.git import Git, plain_environment, users_environment
from gpuwheel.scaffold.rendering import Rendering, render
from gpuwheel.scaffold.repository import SOURCE, open_repository
from gpuwheel.scaffold.template_questions import check_answers, need_copier, read_document, refuse_unasked
from gpuwheel.workflows.places import CI_FILES, reduced, written_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpuwheel._cache import Cache
    from gpuwheel.scaffold.repository import Repository

__all__ = ["Change", "Update", "update_project"]

_ANSWERS = ".copier-answers.yml"
_REJECTED = ".rej"
_SOMEBODY = {f"GIT_{role}_{what}": "gpuwheel" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Change:
    """How a project is to be updated."""

    project: Path
    answers: Mapping[str, object] = field(default_factory=dict)
    """Answers that are to differ from the project's."""
    conflict: Literal["inline", "rej"] = "inline"
    """Where the project's and the template's changes exclude each other: markers in the file, or a file beside it."""
    dry_run: bool = False


@dataclass(frozen=True)
class Update:
    """What an update changed, or would change; paths are relative to the project and sorted."""

    before: str
    """The version of the templates that the project was made from."""
    after: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    diff: str = ""


def update_project(
    change: Change, *, cache: Cache, environ: Mapping[str, str], finish: Callable[[Path], None] | None = None
) -> Update:
    """Update the project, or with `dry_run` see what would come of it.

    Args:
        change: what is to differ.
        cache: for the templates' repository.
        environ: the environment.
        finish: what writes CI files in a folder from what templates and people put into their places.

    Raises:
        ScaffoldError: the project is no clean git repository, was not made by gpuwheel or by a later one, an answer is
            not valid, a file is in the way, or copier or git is missing.
        CacheError: the cache cannot be written.
    """
    need_copier()
    git = Git(users_environment(environ))
    tag = _template_of(change.project)
    answers = check_answers(change.answers)
    repository = open_repository(cache, environ)
    _refuse_unknown(tag, repository)
    before, after = tag.removeprefix("v"), repository.current.removeprefix("v")
    if before == after and not answers:
        return Update(before, after)
    _refuse_unclean(git, change.project)
    with TemporaryDirectory() as scratch:
        copy = _Copy(Path(scratch, change.project.absolute().name), git, change.project, environ)
        asked = render(Rendering(copy.folder, answers, update=change.conflict), repository, environ)
        refuse_unasked(answers, asked)
        copy.expand(finish)
        patch = Path(scratch, "patch")
        update = copy.compare(Update(before, after), patch)
        if patch.stat().st_size and not change.dry_run:
            _apply(git, update, patch, copy, change.project)
    return update


# --- What stands against an update ------------------------------------------------------------------------------------


def _refuse_unclean(git: Git, project: Path) -> None:
    if git.top_level(project) is None:
        msg = f"{project} is in no git repository (an update merges with its last commit)"
        raise ScaffoldError(msg, hint="git init && git add --all && git commit")
    if git.tried("rev-parse", "--verify", "--quiet", "HEAD", cwd=project).returncode != 0:
        msg = f"{project} has no commit yet (an update merges with the last one)"
        raise ScaffoldError(msg, hint="git add --all && git commit")
    # Of the project alone: it may be one of several in a repository.
    lines = git("status", "--porcelain", "--", ".", cwd=project).splitlines()
    if lines:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        msg = f"{project} has changes that are not committed (found {lines[0][3:]}{more}; expected none)"
        raise ScaffoldError(msg, hint="git commit or git stash them, and run gpuwheel update again")


def _template_of(project: Path) -> str:
    """The tag of the templates that the project was made from."""
    path = project / _ANSWERS
    if not path.is_file():
        msg = f"{project} has no {_ANSWERS} (expected a project that gpuwheel new has made)"
        raise ScaffoldError(msg, hint="gpuwheel update PROJECT takes the folder of the project")
    document = read_document(path)
    source, tag = document.get("_src_path"), document.get("_commit")
    if source != SOURCE:
        msg = f"{path} is of another template (found _src_path {source}, expected {SOURCE})"
        raise ScaffoldError(msg, hint="copier update brings later versions of templates that are not gpuwheel's")
    if not isinstance(tag, str):
        msg = f"{path} does not say of which version the template was (found _commit {tag}, expected a tag)"
        raise ScaffoldError(msg, hint=f"git log -- {_ANSWERS} shows what it was")
    return tag


def _refuse_unknown(tag: str, repository: Repository) -> None:
    if tag in repository.tags:
        return
    releases = ", ".join(known for known in repository.tags if "+" not in known) or "none"
    try:
        version, mine = Version(tag), Version(repository.current)
    except InvalidVersion:
        msg = f"{_ANSWERS} names no version of the templates (found _commit {tag!r}, known are {releases})"
        raise ScaffoldError(msg, hint=f"git log -- {_ANSWERS} shows what it was") from None
    if version.release > mine.release:
        msg = f"the project is from a later gpuwheel (found templates {version}, this gpuwheel has {mine})"
        raise ScaffoldError(msg, hint=f"pip install 'gpuwheel[new]>={version.base_version}'")
    kind = "a development state of" if version.local else "a version that is not among"
    msg = f"the project is from {kind} the templates (found {version}, releases known to this gpuwheel: {releases})"
    hint = f"set _commit in {_ANSWERS} to the release nearest to it and commit; what differs shows as conflicts"
    raise ScaffoldError(msg, hint=hint)


# --- Merging ----------------------------------------------------------------------------------------------------------


class _Copy:
    """The project's last commit, in a repository of its own that borrows the objects of the project's."""

    def __init__(self, folder: Path, git: Git, project: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._users = git
        self._git = Git(plain_environment(environ))
        self._conflicts = ""
        self.top = Path(git("rev-parse", "--show-toplevel", cwd=project))
        self.prefix = git("rev-parse", "--show-prefix", cwd=project)
        """Of the project below the top of its repository: "" or "projects/my-ops/"."""
        tree = git("rev-parse", f"HEAD:{self.prefix}", cwd=project)
        objects = git("rev-parse", "--git-path", "objects", cwd=project)
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main", ".", cwd=folder)
        (folder / ".git/objects/info/alternates").write_text(f"{(project / objects).resolve()}\n", encoding="utf-8")
        self.base = self._git("commit-tree", "-m", "The project", tree, cwd=folder, **_SOMEBODY)
        self._git("reset", "--quiet", "--hard", self.base, cwd=folder)
        self._reduce()

    def _reduce(self) -> None:
        """Take out of CI files what gpuwheel writes: templates have none of it, and a merge would see it as edits."""
        self._whole: dict[Path, str] = {}
        for path in (self.folder / name for name in CI_FILES.values()):
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            with suppress(WorkflowError):  # its marks are no pairs: it is merged as it stands
                if written_by(text) is not None:
                    path.write_text(reduced(text), encoding="utf-8")
                    self._whole[path] = text
        if self._whole:
            self._git("commit", "--quiet", "--no-verify", "--all", "-m", "Reduced", cwd=self.folder, **_SOMEBODY)

    def expand(self, finish: Callable[[Path], None] | None) -> None:
        """Write CI files whole; where that cannot be, because of a conflict, they stay what they were."""
        try:
            if finish is not None:
                finish(self.folder)
        except GpuwheelError:
            for path in self._whole:
                if path.is_file():
                    path.write_text(self._whole[path], encoding="utf-8")

    def compare(self, update: Update, patch: Path) -> Update:
        """What has changed since the copy was made; the changes go into the file `patch`."""
        self._conflicts = self._run("ls-files", "--unmerged", "-z")
        conflicts = set(_names(self._run("diff", "--name-only", "--diff-filter=U", "-z")))
        others = _names(self._run("ls-files", "--others", "-z"))
        conflicts |= {name.removesuffix(_REJECTED) for name in others if name.endswith(_REJECTED)}
        self._run("add", "--all", "--force", ".")  # also what .gitignore names: a template may bring it
        difference = ("diff", "--cached", "--no-renames", self.base)
        self._run(*difference, "--binary", "--full-index", f"--output={patch}")
        words = self._run(*difference, "--name-status", "-z").split("\0")
        kinds = dict(zip(words[1::2], words[::2], strict=False))  # an empty word follows the last pair
        return Update(
            update.before,
            update.after,
            added=tuple(name for name, kind in kinds.items() if kind == "A"),
            changed=tuple(name for name, kind in kinds.items() if kind not in {"A", "D"}),
            removed=tuple(name for name, kind in kinds.items() if kind == "D"),
            conflicts=tuple(sorted(conflicts)),
            diff=self._run(*difference),
        )

    def mark_conflicts(self) -> None:
        """Tell the project's repository of the conflicts, as a merge of git's own would: `git status` shows them."""
        entries = [entry.partition("\t") for entry in filter(None, self._conflicts.split("\0"))]
        if not entries:
            return
        # The versions of each file travel as one commit, under a folder per stage.
        stages = [(*about.split(), name) for about, _, name in entries]
        info = "".join(f"{mode} {blob} 0\t{stage}/{name}\0" for mode, blob, stage, name in stages)
        index = {"GIT_INDEX_FILE": str(self.folder / ".git/conflicts")}
        self._git("update-index", "-z", "--index-info", cwd=self.folder, stdin=info, **index)
        tree = self._git("write-tree", cwd=self.folder, **index)
        commit = self._git("commit-tree", "-m", "Conflicts", tree, cwd=self.folder, **_SOMEBODY)
        self._run("update-ref", "refs/heads/conflicts", commit)
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
        self._users(*fetch, self.folder, "refs/heads/conflicts", cwd=self.top)
        none = "0" * len(commit)
        info = "".join(f"0 {none}\t{self.prefix}{name}\0" for name in sorted({name for *_, name in stages}))
        info += "".join(f"{mode} {blob} {stage}\t{self.prefix}{name}\0" for mode, blob, stage, name in stages)
        self._users("update-index", "-z", "--index-info", cwd=self.top, stdin=info)

    def _run(self, *words: str) -> str:
        return self._git(*words, cwd=self.folder)


# --- Writing ----------------------------------------------------------------------------------------------------------


def _apply(git: Git, update: Update, patch: Path, copy: _Copy, project: Path) -> None:
    """Change the project's files, all or none."""
    there = [name for name in update.added if os.path.lexists(project / name)]
    if there:
        msg = f"{project / there[0]} is in the way (git ignores it, and the template brings a file of that name)"
        raise ScaffoldError(msg, hint="move it away, and run gpuwheel update again")
    with _uninterrupted():
        try:
            # Below the top, git apply would silently leave out every path that is not given from there.
            git("apply", "--whitespace=nowarn", f"--directory={copy.prefix}", patch, cwd=copy.top)
            copy.mark_conflicts()
        except (ProcessFailedError, OSError) as error:
            _take_back(git, update, project)
            msg = f"{project} cannot be changed (nothing was)"
            raise ScaffoldError(msg, hint="git status shows its state", detail=str(error)) from error


def _take_back(git: Git, update: Update, project: Path) -> None:
    """Make the files those of the last commit again, which they were: nothing else was in the project."""
    for name in update.added:
        (project / name).unlink(missing_ok=True)
    if names := [*update.changed, *update.removed]:
        git("restore", "--source=HEAD", "--staged", "--worktree", "--", *names, cwd=project)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C within the block does nothing: it takes milliseconds, and git leaves its locks when it is killed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _names(text: str) -> list[str]:
    return sorted(filter(None, text.split("\0")))
