"""How templates are laid out for copier, and the repository that it clones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel.scaffold.git import Git, plain_environment
from gpuwheel.scaffold.rendering import Rendering, render
from gpuwheel.scaffold.repository import fill_repository, open_repository, released_bundle
from gpuwheel.scaffold.templates import current_tree, write_tree

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "copier.yml": "",
    "parts/embed/readme.md.jinja": "",
    "shared/README.md": "shared",
    "shared/pyproject.toml.jinja": "shared",
    "shared/src/a.py": "shared",
    "shared/.ruff_cache/x": "",
    "embed/README.md.jinja": "own",
    "embed/pyproject.toml": "own",
    "embed/run.sh": "own",
    "kernels/.gitkeep": "",
    "kernels/__pycache__/x.pyc": "",
}


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "templates/embed/run.sh").chmod(0o700)
    return tmp_path / "templates"


def test_a_template_is_laid_over_what_all_share(templates: Path, tmp_path: Path) -> None:
    write_tree(current_tree(templates), tmp_path / "tree")
    paths = (path for path in (tmp_path / "tree").rglob("*") if path.is_file())
    made = {path.relative_to(tmp_path / "tree").as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert made == {
        "copier.yml": "",
        "parts/embed/readme.md.jinja": "",
        "embed/README.md.jinja": "own",
        "embed/pyproject.toml": "own",
        "embed/src/a.py": "shared",
        "embed/run.sh": "own",
        "kernels/README.md": "shared",
        "kernels/pyproject.toml.jinja": "shared",
        "kernels/src/a.py": "shared",
    }
    modes = {name: (tmp_path / "tree" / name).stat().st_mode & 0o777 for name in ("embed/run.sh", "copier.yml")}
    assert modes == {"embed/run.sh": 0o755, "copier.yml": 0o644}


def test_the_same_templates_make_the_same_commit(
    templates: Path, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00")
    heads = []
    for name in ("a", "b"):
        git = Git(plain_environment({**environ, "HOME": str(tmp_path / name)}))
        (tmp_path / name).mkdir()
        fill_repository(git, tmp_path / name, current_tree(templates), None)
        heads.append(git("rev-parse", "HEAD", cwd=tmp_path / name))
    assert heads[0] == heads[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_cache_may_be_another_users_and_in_a_folder_of_any_name(environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / 'of "others" é'
    elsewhere = {**environ, "GPUWHEEL_CACHE_DIR": str(folder)}
    repository = open_repository(Cache.from_environment(elsewhere), elsewhere)
    for path in (repository.path, *repository.path.rglob("*")):
        os.chown(path, 12345, 12345)
    again = open_repository(Cache.from_environment(elsewhere), elsewhere)
    assert again == repository
    assert render(Rendering(tmp_path / "ops", {"project_name": "ops"}), again, elsewhere)["package_name"] == "ops"


def test_a_cache_that_is_deleted_in_part_is_made_again(environ: dict[str, str], tmp_path: Path) -> None:
    elsewhere = {**environ, "GPUWHEEL_CACHE_DIR": str(tmp_path)}
    repository = open_repository(Cache.from_environment(elsewhere), elsewhere)
    (repository.path / "HEAD").unlink()
    assert open_repository(Cache.from_environment(elsewhere), elsewhere) == repository
    assert (repository.path / "HEAD").is_file()


def test_what_is_sealed_stays_as_it_is(environ: dict[str, str]) -> None:
    """Else raise `gpuwheel.__version__`: templates that differ are those of another release."""
    repository = open_repository(Cache.from_environment(environ), environ)
    current = Version(repository.current)
    assert current.public == __version__
    assert all(Version(tag) <= current for tag in repository.tags)
    if f"v{__version__}" in repository.tags:
        assert repository.current == f"v{__version__}"
        assert released_bundle(resource("templates"))
    else:
        assert current > Version(__version__)
