"""The repository that copier updates from: a tag for each release's templates, out of the bundle in gpuwheel.

Copier can only update from a tagged git source. It knows this one by the stable name `SOURCE`, which stands in
projects; git finds the copy in this machine's cache through `url.<path>.insteadOf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gpuwheel import __version__
from gpuwheel._resources import resource
from gpuwheel.scaffold.git import Git, plain_environment
from gpuwheel.scaffold.templates import RELEASES, current_tree, digest, write_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel._cache import Cache

__all__ = ["SOURCE", "Repository", "fill_repository", "open_repository", "released_bundle", "tag_templates"]

SOURCE = "gpuwheel://templates.git"
"""What projects call it. It ends in `.git`, by which copier knows a repository."""

_LAYOUT = "1"
# No person and no time: the same templates are the same commit on every machine.
_WHEN = "2000-01-01T00:00:00+00:00"
_SOMEBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "gpuwheel"), ("EMAIL", "templates@gpuwheel.invalid"), ("DATE", _WHEN))
}


@dataclass(frozen=True)
class Repository:
    """Every release's templates up to those of this gpuwheel."""

    path: Path
    current: str
    """The tag of this gpuwheel's templates: `v0.2.0`, or `v0.2.0+1a2b3c4d5e` if they are not those of the release."""
    tags: tuple[str, ...]

    def settings(self) -> str:
        """Settings by which git finds the repository under its stable name, though another user may own the cache."""
        place = self.path.as_uri()  # with nothing in it that would have to be quoted
        return f'[url "{place}"]\n\tinsteadOf = {SOURCE}\n[safe]\n\tdirectory = *\n'


def open_repository(cache: Cache, environ: Mapping[str, str]) -> Repository:
    """The repository in the cache, made on first use.

    Raises:
        ScaffoldError: there is no git.
        CacheError: the cache cannot be written.
    """
    git = Git(plain_environment(environ))
    tree = current_tree()
    bundle = released_bundle(resource("templates"))
    releases = bundle.read_bytes() if bundle else b""
    parts = "\0".join([_LAYOUT, __version__, digest(tree), sha256(releases).hexdigest()])
    key = sha256(parts.encode()).hexdigest()[:32]

    path = cache.publish_tree("templates", key, lambda folder: fill_repository(git, folder, tree, bundle))
    here = f"--git-dir={path}"  # else git would look for another one above
    current = git(here, "tag", "--points-at", "HEAD", cwd=path)
    return Repository(path, current, tuple(git(here, "tag", "--list", cwd=path).splitlines()))


def fill_repository(git: Git, folder: Path, tree: Mapping[str, Path], bundle: Path | None) -> None:
    """Make the repository in an empty folder; the templates of `tree` are its HEAD, with a tag of their own.

    The same templates make the same commit, on every machine. The tag is the version's where the bundle has the same
    templates under it, and else has their digest behind the version (a local version of PEP 440, which sorts after it).
    """
    git("init", "--quiet", "--bare", "--initial-branch=main", ".", cwd=folder)
    if bundle:
        git("fetch", "--quiet", bundle, "refs/tags/*:refs/tags/*", cwd=folder)
    written = _store(git, folder, tree)
    release = f"v{__version__}"
    if git.tried("rev-parse", "--verify", "--quiet", f"{release}^{{tree}}", cwd=folder).stdout.strip() == written:
        git("update-ref", "refs/heads/main", release, cwd=folder)
    else:
        tag_templates(git, folder, written, f"{release}+{written[:10]}")


def tag_templates(git: Git, folder: Path, tree: str, tag: str) -> None:
    """Make a commit of git's tree object `tree`, which no other tag has, and let it be HEAD."""
    commit = git("commit-tree", "-m", f"Templates of gpuwheel {tag[1:]}", tree, cwd=folder, **_SOMEBODY)
    git("update-ref", "refs/heads/main", commit, cwd=folder)
    git("tag", tag, commit, cwd=folder)


def _store(git: Git, folder: Path, tree: Mapping[str, Path]) -> str:
    """Put files into the repository; the id of the tree object that holds them."""
    with TemporaryDirectory() as scratch:
        write_tree(tree, Path(scratch, "tree"))
        places = {"GIT_DIR": str(folder), "GIT_WORK_TREE": f"{scratch}/tree", "GIT_INDEX_FILE": f"{scratch}/index"}
        # --force: a .gitignore among the templates must leave none of them out.
        git("add", "--all", "--force", ".", cwd=Path(scratch, "tree"), **places)
        return git("write-tree", cwd=folder, **places)


def released_bundle(templates: Path) -> Path | None:
    """The past releases; `None` before the first."""
    path = templates / RELEASES
    return path if path.exists() else None
