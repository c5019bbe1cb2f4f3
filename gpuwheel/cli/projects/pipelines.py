"""CI files of a project: where they are, and what they hold when they are written now."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._endings import cut, reading
from gpuwheel._toml import read_toml
from gpuwheel.adopt.document import with_table
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.ci_services import load_ci_services
from gpuwheel.config import load_config
from gpuwheel.errors import ConfigError, WorkflowError
from gpuwheel.matrix.report.recorded import recorded
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.planning.planned import with_forecast
from gpuwheel.plan import plan
from gpuwheel.publish.registry import parse_reference
from gpuwheel.workflows.cibuildwheel import OWNED, cibuildwheel_settings
from gpuwheel.workflows.github import github_workflow
from gpuwheel.workflows.gitlab import gitlab_pipeline
from gpuwheel.workflows.places import CI_FILES, filled, read_places, written_by
from gpuwheel.workflows.quoting import check_branch, check_folder
from gpuwheel.workflows.work import Asked, Facts, check_machines, work_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Decision
    from gpuwheel.workflows.work import Work

__all__ = ["Pipeline", "asked_by", "refreshed", "shards_of", "top_of", "with_cibuildwheel", "written"]

_MACHINE = "x86_64"
"""That wheels are for where a project names none: the same on every machine that writes the file."""
_MARK = "# written by `gpuwheel ci cibuildwheel`; keys that it does not write are yours"
_CUDA_EXTRA = "[cu13]"
_SECONDS = 60
_UNNAMED = re.compile(r"[^A-Za-z0-9._-]")
"""What a CI file's name does without."""
_LARGEST = 1 << 20  # bytes of a test file that is looked into


@dataclass(frozen=True)
class Pipeline:
    """A file to write."""

    project: Path
    """The folder with pyproject.toml."""
    service: str
    top: Path
    """Of the repository."""

    @property
    def path(self) -> Path:
        """Where the service looks for it; one for each project, by its path, where a repository holds several."""
        path = self.top / CI_FILES[self.service]
        if self.project == self.top:
            return path
        parts = self.project.relative_to(self.top).parts
        name = "--".join(_UNNAMED.sub("_", part) for part in parts)
        # A name that is not the path in other letters could be that of another path, too.
        if name.split("--") != list(parts) or any(part[0] == "-" or part[-1] == "-" for part in parts):
            name += f"-{hashlib.sha256(os.fsencode('/'.join(parts))).hexdigest()[:8]}"
        return path.with_stem(f"{path.stem}-{name}")


def top_of(project: Path) -> Path:
    """The folder of the repository that holds `project`; `project` itself outside of any."""
    return next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), project)


def asked_by(words: Sequence[str]) -> Asked:
    """What the options of a file's first line say.

    Raises:
        WorkflowError: they are none that gpuwheel writes.
    """
    given = dict(zip(words[::2], words[1::2], strict=False))
    shards = given.pop("--shards", None)
    branch, image = given.pop("--branch", Asked.branch), given.pop("--image", "")
    if given or len(words) % 2 or not (shards is None or shards.isdecimal()):
        msg = f"the first line has options that gpuwheel does not write ({' '.join(words)})"
        raise WorkflowError(msg, hint="mend it, or write the file anew with --force")
    return Asked(int(shards) if shards else None, branch, image)


def written(pipeline: Pipeline, asked: Asked, old: str | None) -> str:
    """What the file holds when it is written now.

    Args:
        pipeline: which file.
        asked: what a person chose.
        old: what it holds, whose marked places stay.

    Raises:
        WorkflowError: nothing can be built, a name fits into no pipeline, or the marks of `old` are not pairs.
        ConfigError: the project's own.
    """
    check_branch(asked.branch)
    if asked.image and parse_reference(asked.image).digest is None:
        msg = f"--image names a base that may change (found {cut(asked.image)}, expected NAME@sha256:...)"
        raise WorkflowError(msg, hint="skopeo inspect docker://NAME says its digest")
    check_folder(pipeline.project.relative_to(pipeline.top).as_posix())
    _, _, work = _planned(pipeline.project, pipeline.top, asked)
    check_machines(work, load_ci_services(), pipeline.service)
    text = _text(work, pipeline.service)
    return filled(text, read_places(old)) if old else text


def shards_of(project: Path, service: str, environ: Mapping[str, str]) -> int | None:
    """In how many jobs for each machine building takes half of the time that the service gives; `None`: nobody knows.

    Half, because what earlier builds took was measured elsewhere.
    """
    services = load_ci_services()
    build = Build(project, {}, {}, SilentReporter())
    known = recorded(build.config.project.name, project / "dist", Cache.from_environment(environ))
    shown = with_forecast(build.overview(), build.config, known, cores=services.cores[service])
    machines = {facts.decision.cell.machine for facts in shown.accepted}
    if shown.forecast is None or shown.forecast.seconds is None or not machines:
        return None
    return math.ceil(shown.forecast.seconds / len(machines) / (services.limits[service] * _SECONDS / 2))


def with_cibuildwheel(project: Path, old: str, *, force: bool) -> str:
    """What pyproject.toml holds with `[tool.cibuildwheel]` as it is written now.

    Args:
        project: its folder.
        old: what it holds.
        force: whether to take over a table that gpuwheel did not write.

    Raises:
        WorkflowError: the table is somebody else's, or cibuildwheel cannot make the wheels of the plan.
    """
    if "[tool.cibuildwheel" in old and _MARK not in old and not force:
        msg = "pyproject.toml has a [tool.cibuildwheel] that gpuwheel did not write (expected none)"
        raise WorkflowError(msg, hint="--force writes over the keys in it that gpuwheel needs; --output - shows them")
    config, decisions, work = _planned(project, project, Asked())
    names = config.settings.extensions or [config.project.name.replace("-", "_")]
    package = min(names).partition(".")[0]
    values = cibuildwheel_settings(decisions, work, load_tables(), load_ci_services(), package=package)
    return with_table(old, "cibuildwheel", values, owned=OWNED, comment=_MARK)


def _planned(project: Path, top: Path, asked: Asked) -> tuple[LoadedConfig, tuple[Decision, ...], Work]:
    # The same file whatever machine writes it: no variable of somebody's counts.
    config = load_config(project, environ={}, config_settings={})
    decisions = plan(config, load_tables(), machine=_MACHINE)
    facts = _facts(config, top)
    return config, decisions, work_of(decisions, facts, asked, load_tables(), version=__version__)


def refreshed(project: Path) -> None:
    """Write anew every CI file of `project` that gpuwheel has written before, or a template has begun.

    Raises:
        GpuwheelError: what `written` raises.
    """
    for service, name in CI_FILES.items():
        path = project / name
        if path.is_file():
            old = path.read_text(encoding="utf-8")
            found = written_by(old)
            if found is not None:
                pipeline = Pipeline(project, service, project)
                path.write_text(written(pipeline, asked_by(found[1]), old), encoding="utf-8")


def _text(work: Work, service: str) -> str:
    words = [
        *(("--shards", str(work.asked.shards)) if work.asked.shards else ()),
        *(("--branch", work.asked.branch) if work.asked.branch != Asked.branch else ()),
        *(("--image", work.asked.image) if work.asked.image else ()),
    ]
    title = "wheels" if work.facts.folder == "." else f"wheels of {work.facts.name}"
    if service == "gitlab":
        return gitlab_pipeline(work, load_ci_services(), words)
    return github_workflow(work, load_ci_services(), words, title=title)


def _facts(config: LoadedConfig, top: Path) -> Facts:
    settings, root = config.settings, config.project.root
    pyproject = root / "pyproject.toml"
    with reading(f"{pyproject} cannot be read", "a table", error=ConfigError):
        document: dict[str, Any] = read_toml(pyproject)
    tests = sorted((root / "tests").rglob("*.py")) if (root / "tests").is_dir() else []
    launching = [path.relative_to(root).as_posix() for path in tests if _looks_at_launches(path)]
    has_tests = "test" in document.get("dependency-groups", {})
    return Facts(
        name=config.project.name,
        folder=root.relative_to(top).as_posix(),
        requires_python=config.project.requires_python,
        has_tests=has_tests,
        launch_tests=tuple(launching) if has_tests else (),
        executable=any(target.ptx for target in settings.archs),
        extra=_CUDA_EXTRA if settings.nvmath is not None else "",
        needs_history="version" in document.get("project", {}).get("dynamic", ()),
        platform=settings.wheel.platform,
    )


def _looks_at_launches(path: Path) -> bool:
    with path.open("rb") as file:
        return b"fake_gpu" in file.read(_LARGEST)
