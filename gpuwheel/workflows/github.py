"""The text of a workflow for GitHub Actions.

Words in <<...>> are replaced; a line that is such a word alone becomes several, indented as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.workflows.github_jobs import (
    BUILD,
    CHECKOUT,
    GET_RELEASE,
    GPU,
    HEAD,
    IMAGE,
    LAUNCHES,
    NO_PUBLISH,
    PUBLISH,
    PYTHON,
    RELEASE_CHECKS,
    SDIST,
    TEST,
    WHEELS,
)
from gpuwheel.workflows.places import PLACES, first_line, place
from gpuwheel.workflows.quoting import scalar, word
from gpuwheel.workflows.steps import (
    PUBLIC_TORCH,
    SBOM,
    install_launch_tests,
    install_on_gpu,
    launch_tests,
    manual_toolkits,
    replaced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.compatibility.ci_services import CiServices
    from gpuwheel.workflows.work import Work

__all__ = ["github_workflow"]

_SPARE_MINUTES = 30
"""What is left of a job's time for keeping what was finished, when building took too long."""


def github_workflow(work: Work, services: CiServices, words: Sequence[str], *, title: str = "wheels") -> str:
    """The whole file, with empty places.

    Args:
        work: what it does.
        services: actions by commit, and what machines are called.
        words: the options that it is written with, for its first line.
        title: of the workflow.
    """
    folder, limit = work.facts.folder, services.limits["github"]
    dist = "dist" if folder == "." else f"{folder}/dist"
    values = {
        "first": first_line("github", words),
        "branch": work.asked.branch,
        "yaml title": scalar(title),
        "yaml url": scalar(f"https://pypi.org/p/{work.facts.name}"),
        # A plus would be a pattern there.
        "yaml branch": scalar(work.asked.branch.replace("+", "\\+")),
        "yaml dist": scalar(dist),
        "yaml sdists": scalar(f"{dist}/*.tar.gz"),
        "yaml wheels": scalar(f"{dist}/*.whl"),
        "yaml report": scalar(f"{dist}/.gpuwheel/report.*"),
        "version": work.version,
        "name": word(work.facts.name),
        "base": word(work.asked.image),
        "folder": word(folder),
        "dist": word(dist),
        "project": "" if folder == "." else f"--project {word(folder)} ",
        "working": "" if folder == "." else f"working-directory: {scalar(folder)}",
        "history": "fetch-depth: 0 # the version is made from tags" if work.facts.needs_history else "",
        "builder": work.shards[0].pythons[-1],
        "runner": services.runners["github"][work.test_machine],
        "test machine": work.test_machine,
        "limit": str(limit),
        "build limit": str(limit - _SPARE_MINUTES),
        "sbom": replaced(SBOM, {"python": "python", "literal dist": scalar(dist)}),
        "manual": manual_toolkits(work),
        "matrix": "\n".join(_rows(work, services.runners["github"])),
        "tests": "\n".join(_row(python=row.python, torch=row.torch, wheels=row.wheels) for row in work.tests),
        "install tests": _install_tests(),
        "install launches": install_launch_tests(work, "python"),
        "launches": launch_tests(work),
        "gpu python": f"python{work.usual.python}" if len(work.tests) > 1 and "-cp" in work.usual.wheels else "python3",
        "install gpu": install_on_gpu(work, ".venv/bin/python"),
        **{name: str(action) for name, action in services.actions.items()},
        "checkout action": str(services.actions["checkout"]),
    }
    blocks = {"checkout": CHECKOUT, "python": PYTHON, "wheels": WHEELS, "get release": GET_RELEASE}
    values |= {name: replaced(text, values) for name, text in blocks.items()}
    values |= {f"place {name}": place(name) for name in (*PLACES, "needs")}
    jobs = [SDIST, BUILD, *_tested(work), *([RELEASE_CHECKS] if work.publishable else [])]
    values["needs"] = "\n".join(f"- {job.partition(':')[0]}" for job in jobs)
    ends = [*([IMAGE] if work.asked.image else []), PUBLISH if work.publishable else NO_PUBLISH]
    body = "\n".join(replaced(job, values) for job in [*jobs, "<<place jobs>>\n", *ends])
    indented = "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())
    return replaced(HEAD, values) + indented


def _tested(work: Work) -> list[str]:
    return [
        *([TEST] if work.tests else []),
        *([LAUNCHES] if work.facts.launch_tests else []),
        *([GPU] if work.tests else []),
    ]


def _rows(work: Work, runners: Mapping[str, str]) -> list[str]:
    return [
        _row(
            machine=one.machine,
            runner=runners[one.machine],
            pattern=one.pattern or "*",
            shard=f"{number}/{one.count}",
            trial=work.trial(one.machine),
            artifact=f"{one.machine}-{'any-' if one.pattern.endswith('any') else ''}{number}",
            pythons="\n".join(one.pythons),
        )
        for one in work.shards
        for number in range(1, one.count + 1)
    ]


def _row(**values: str) -> str:
    return "- { " + ", ".join(f"{key}: {scalar(value)}" for key, value in values.items()) + " }"


def _install_tests() -> str:
    return "\n".join(
        (
            "python -m pip install --upgrade pip",
            f'if [ -n "$TORCH" ]; then python -m pip install "$TORCH" --index-url {PUBLIC_TORCH}; fi',
            "python -m pip install $WHEELS --group test",
        )
    )
