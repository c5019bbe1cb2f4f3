"""Seal the templates under the version of gpuwheel: `gpuwheel update` merges between sealed versions.

A step of each release. The bundle `templates/releases.bundle` holds a git repository with one tag per release; sealing
adds the tag of this version. What is sealed never changes: templates that differ need another version.

python ci/release_templates.py            # seal
python ci/release_templates.py --check    # exit 1 unless this version is sealed with these templates
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from gpuwheel import __version__
from gpuwheel._files import atomic_file
from gpuwheel._resources import resource
from gpuwheel.scaffold.git import Git, plain_environment
from gpuwheel.scaffold.repository import fill_repository, released_bundle, tag_templates
from gpuwheel.scaffold.templates import RELEASES, current_tree


def seal(templates: Path, *, check: bool) -> str | None:
    """Add this version to the bundle; what is wrong, if something is."""
    git = Git(plain_environment(os.environ))
    release = f"v{__version__}"
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "repository")
        folder.mkdir()
        fill_repository(git, folder, current_tree(templates), released_bundle(templates))
        if git("tag", "--points-at", "HEAD", cwd=folder) == release:
            return None
        if release in git("tag", "--list", cwd=folder).splitlines():
            return f"the templates are not those that are sealed as {release}: raise gpuwheel.__version__"
        if check:
            return f"the templates are not sealed as {release}: nox -s release-templates"
        development = git("tag", "--points-at", "HEAD", cwd=folder)
        tag_templates(git, folder, git("rev-parse", "HEAD^{tree}", cwd=folder), release)
        git("tag", "--delete", development, cwd=folder)
        bundle = Path(scratch, RELEASES)
        git("bundle", "create", "--quiet", bundle, "--tags", cwd=folder)
        with atomic_file(templates / RELEASES) as file:
            file.write(bundle.read_bytes())
    print(f"sealed {release}: {templates / RELEASES}")
    return None


def main(argv: list[str] | None = None) -> int:
    """Seal or check; the exit status is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description="seal the templates under the version of gpuwheel")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 unless the version is sealed")
    problem = seal(resource("templates"), check=parser.parse_args(argv).check)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
