"""The text of a workflow for GitHub Actions.

Words in <<...>> are replaced; a line that is such a word alone becomes several, indented as it is. Values of
expressions reach shells through `env`, never through their text: a branch may be called `$(reboot)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.workflows.places import PLACES, first_line, place
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
    from gpuwheel.workflows.work import Shards, Work

__all__ = ["github_workflow"]

_SPARE_MINUTES = 30
"""What is left of a job's time for keeping what was finished, when building took too long."""

_HEAD = """\
<<first>>
#
# Builds every wheel that `gpuwheel plan` lists, audits and tests those files, and publishes them at a tag v*.
# Actions are named by commit; a later gpuwheel brings newer ones, when `gpuwheel ci github` is run again.
name: <<title>>

on:
  push:
    branches: [<<branch>>]
    tags: ["v*"]
  pull_request:
  workflow_dispatch:

# Nothing, but what a job asks for.
permissions: {}

concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}

env:
  PIP_DISABLE_PIP_VERSION_CHECK: "1"
  <<place env>>

jobs:
"""

_SDIST = """\
sdist:
  name: Source distribution
  runs-on: <<runner>>
  timeout-minutes: 20
  permissions:
    contents: read
  steps:
    <<checkout>>
    <<python>>
    <<place before sdist>>
    - name: Make it
      run: |
        python -m pip install build
        python -m build --sdist --outdir <<dist>> <<folder>>
    - name: Hand it on
      uses: <<upload-artifact>>
      with:
        name: sdist
        path: <<dist>>/*.tar.gz
        if-no-files-found: error
"""

_BUILD = """\
build:
  name: Wheels for ${{ matrix.machine }}, part ${{ matrix.shard }}
  runs-on: ${{ matrix.runner }}
  timeout-minutes: <<limit>>
  permissions:
    contents: read
  strategy:
    fail-fast: false
    matrix:
      include:
        <<matrix>>
  steps:
    <<checkout>>
    - name: Get the Pythons that build
      uses: <<setup-python>>
      with:
        # The last one runs gpuwheel.
        python-version: ${{ matrix.pythons }}
    # Of this run alone: no other run can write its artifacts.
    - name: Get what an earlier attempt finished
      if: github.run_attempt > 1
      continue-on-error: true
      uses: <<download-artifact>>
      with:
        name: unfinished-${{ matrix.artifact }}
        path: <<dist>>
    # Written by pushes to <<branch>> alone. A release compiles everything anew: nothing of an earlier job is in it.
    - name: Get what earlier pushes compiled
      if: github.ref_type == 'branch' || github.event_name == 'pull_request'
      uses: <<cache-restore>>
      with:
        path: ~/.cache/gpuwheel
        key: gpuwheel-${{ matrix.artifact }}-${{ github.run_id }}-${{ github.run_attempt }}
        restore-keys: gpuwheel-${{ matrix.artifact }}-
    <<manual>>
    <<place before build>>
    - name: Install gpuwheel
      run: python -m pip install "gpuwheel[repair]==<<version>>"
    - name: Build
      # Less than the job has: what was finished by then is kept, and "Re-run failed jobs" goes on with it.
      timeout-minutes: <<build limit>>
      env:
        PATTERN: ${{ matrix.pattern }}
        SHARD: ${{ matrix.shard }}
      run: gpuwheel build "$PATTERN" <<project>>--out <<dist>> --shard "$SHARD" --resume
    - name: Audit
      run: gpuwheel audit --format github <<dist>>/*.whl
    <<place after build>>
    - name: Collect the bills of materials
      run: |
        <<sbom>>
    - name: Hand the wheels on
      uses: <<upload-artifact>>
      with:
        name: wheels-${{ matrix.artifact }}
        path: <<dist>>/*.whl
        if-no-files-found: error
    - name: Hand the bills of materials on
      uses: <<upload-artifact>>
      with:
        name: sbom-${{ matrix.artifact }}
        path: sbom
    - name: Keep what was finished
      if: failure() || cancelled()
      uses: <<upload-artifact>>
      with:
        name: unfinished-${{ matrix.artifact }}
        path: <<dist>>
        include-hidden-files: true # the journal
        if-no-files-found: ignore
        overwrite: true
    - name: Keep what was compiled
      if: always() && github.event_name == 'push' && github.ref_type == 'branch'
      uses: <<cache-save>>
      with:
        path: ~/.cache/gpuwheel
        key: gpuwheel-${{ matrix.artifact }}-${{ github.run_id }}-${{ github.run_attempt }}
"""

_TEST = """\
test:
  name: Tests on the CPU, Python ${{ matrix.python }} ${{ matrix.torch }}
  needs: build
  runs-on: <<runner>>
  timeout-minutes: 60
  permissions:
    contents: read
  strategy:
    fail-fast: false
    matrix:
      include:
        <<tests>>
  steps:
    <<checkout>>
    - name: Get Python
      uses: <<setup-python>>
      with:
        python-version: ${{ matrix.python }}
    <<wheels>>
    - name: Install what was built
      <<working>>
      env:
        TORCH: ${{ matrix.torch }}
        WHEELS: ${{ matrix.wheels }}
      run: |
        <<install tests>>
    <<place before tests>>
    - name: Test
      <<working>>
      run: python -m pytest
"""

_LAUNCHES = """\
launches:
  name: Launches, on a pretend GPU
  needs: build
  runs-on: <<runner>>
  timeout-minutes: 30
  permissions:
    contents: read
  env:
    GPUWHEEL_REQUIRE: fake-gpu # a test that is skipped fails
  steps:
    <<checkout>>
    <<python>>
    <<wheels>>
    <<place before launches>>
    - name: Install what was built
      <<working>>
      run: |
        <<install launches>>
    - name: Test
      <<working>>
      run: <<launches>>
"""

_GPU = """\
gpu:
  name: Tests on a GPU
  # Set the repository variable GPU_RUNNER to the label of a runner that has one. Code of forks never runs there.
  if: vars.GPU_RUNNER != '' && github.event_name != 'pull_request'
  needs: build
  runs-on: ${{ vars.GPU_RUNNER }}
  timeout-minutes: 60
  permissions:
    contents: read
  env:
    GPUWHEEL_REQUIRE: gpu # a test that is skipped fails
  steps:
    <<checkout>>
    <<wheels>>
    - name: Install what was built
      <<working>>
      run: |
        <<gpu python>> -m venv --clear .venv
        <<install gpu>>
    - name: Test
      <<working>>
      run: .venv/bin/python -m pytest
    <<place on gpu>>
"""

_PUBLISH = """\
publish:
  name: Publish
  if: github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')
  needs:
    <<needs>>
    <<place needs>>
  runs-on: <<runner>>
  timeout-minutes: 20
  environment:
    name: pypi
    url: https://pypi.org/p/<<name>>
  permissions:
    id-token: write # by which PyPI knows this job: no token is stored, and each file gets its attestation
  steps:
    - name: Get the source distribution
      uses: <<download-artifact>>
      with:
        name: sdist
        path: dist
    - name: Get the wheels
      uses: <<download-artifact>>
      with:
        pattern: wheels-*
        path: dist
        merge-multiple: true
    - name: The tag names the version of the files
      run: ls dist/*-"${GITHUB_REF_NAME#v}"-*.whl dist/*-"${GITHUB_REF_NAME#v}".tar.gz
    - name: Upload
      uses: <<pypi-publish>>
      with:
        attestations: true
"""

_NO_PUBLISH = """\
# Wheels of one version that differ by torch alone have local versions (+torch2.14), which PyPI does not take: they
# belong on an index of your own. A job that uploads the artifacts wheels-* goes into the place above.
"""

_CHECKOUT = """\
- name: Get the sources
  uses: <<checkout action>>
  with:
    persist-credentials: false
    <<history>>
"""

_PYTHON = """\
- name: Get Python
  uses: <<setup-python>>
  with:
    python-version: "<<builder>>"
"""

_WHEELS = """\
- name: Get the wheels
  uses: <<download-artifact>>
  with:
    pattern: wheels-<<test machine>>-*
    path: <<dist>>
    merge-multiple: true
"""


def github_workflow(work: Work, services: CiServices, words: Sequence[str], *, title: str = "wheels") -> str:
    """The whole file, with empty places.

    Args:
        work: what it does.
        services: actions by commit, and what machines are called.
        words: the options that it is written with, for its first line.
        title: of the workflow.
    """
    folder, limit = work.facts.folder, services.limits["github"]
    values = {
        "first": first_line("github", words),
        "title": title,
        "name": work.facts.name,
        "branch": work.asked.branch,
        "version": work.version,
        "folder": folder,
        "dist": "dist" if folder == "." else f"{folder}/dist",
        "project": "" if folder == "." else f"--project {folder} ",
        "working": "" if folder == "." else f"working-directory: {folder}",
        "history": "fetch-depth: 0 # the version is made from tags" if work.facts.needs_history else "",
        "builder": work.shards[0].pythons[-1],
        "runner": services.runners["github"][work.test_machine],
        "test machine": work.test_machine,
        "limit": str(limit),
        "build limit": str(limit - _SPARE_MINUTES),
        "sbom": replaced(SBOM, {"python": "python", "dist": "dist" if folder == "." else f"{folder}/dist"}),
        "manual": manual_toolkits(work),
        "matrix": "\n".join(_rows(work.shards, services.runners["github"])),
        "tests": "\n".join(_row(python=row.python, torch=row.torch, wheels=row.wheels) for row in work.tests),
        "install tests": _install_tests(),
        "install launches": install_launch_tests(work, "python"),
        "launches": launch_tests(work, "python"),
        "gpu python": f"python{work.usual.python}" if len(work.tests) > 1 and "-cp" in work.usual.wheels else "python3",
        "install gpu": install_on_gpu(work, ".venv/bin/python"),
        **{name: str(action) for name, action in services.actions.items()},
        "checkout action": str(services.actions["checkout"]),
    }
    blocks = {"checkout": _CHECKOUT, "python": _PYTHON, "wheels": _WHEELS}
    values |= {name: replaced(text, values) for name, text in blocks.items()}
    values |= {f"place {name}": place(name) for name in (*PLACES, "needs")}
    jobs = [_SDIST, _BUILD, *_tested(work)]
    values["needs"] = "\n".join(f"- {job.partition(':')[0]}" for job in jobs if job is not _GPU)
    end = _PUBLISH if work.publishable else _NO_PUBLISH
    body = "\n".join(replaced(job, values) for job in [*jobs, "<<place jobs>>\n", end])
    indented = "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())
    return replaced(_HEAD, values) + indented


def _tested(work: Work) -> list[str]:
    return [
        *([_TEST] if work.tests else []),
        *([_LAUNCHES] if work.facts.launch_tests else []),
        *([_GPU] if work.tests else []),
    ]


def _rows(shards: Sequence[Shards], runners: Mapping[str, str]) -> list[str]:
    return [
        _row(
            machine=one.machine,
            runner=runners[one.machine],
            pattern=one.pattern or "*",
            shard=f"{number}/{one.count}",
            artifact=f"{one.machine}-{'any-' if one.pattern.endswith('any') else ''}{number}",
            pythons="\\n".join(one.pythons),
        )
        for one in shards
        for number in range(1, one.count + 1)
    ]


def _row(**values: str) -> str:
    return "- { " + ", ".join(f'{key}: "{value}"' for key, value in values.items()) + " }"


def _install_tests() -> str:
    return "\n".join(
        (
            "python -m pip install --upgrade pip",
            f'if [ -n "$TORCH" ]; then python -m pip install "$TORCH" --index-url {PUBLIC_TORCH}; fi',
            "python -m pip install $WHEELS --group test",
        )
    )
