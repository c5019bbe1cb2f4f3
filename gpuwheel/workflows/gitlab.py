"""The text of a pipeline for GitLab CI. Words in <<...>> are replaced, as in `github`."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from gpuwheel.workflows.work import TestRow, Work

__all__ = ["gitlab_pipeline"]

_SPARE_MINUTES = 20
"""What is left of a job's time for keeping what was finished, when building took too long."""
_PLATFORM = "manylinux_2_28"
"""Whose image runs jobs, where the project asks for no other that there is one of."""

_HEAD = """\
<<first>>
#
# Builds every wheel that `gpuwheel plan` lists, audits and tests those files, and publishes them at a protected tag v*.
# Images are named by digest; a later gpuwheel brings newer ones, when `gpuwheel ci gitlab` is run again.
stages: [build, test, publish]

workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: <<yaml branch>>
    - if: $CI_COMMIT_TAG =~ /^v/

variables:
  PIP_DISABLE_PIP_VERSION_CHECK: "1"
  <<place env>>

default:
  image: <<image>>
  timeout: 1h
  interruptible: true

"""

_SDIST = """\
sdist:
  stage: build
  variables:
    GIT_DEPTH: "<<depth>>"
  script:
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    <<place before sdist>>
    - python -m pip install build
    - |
      python -m build --sdist --outdir <<dist>> <<folder>>
  artifacts:
    paths: [<<yaml sdists>>]

"""

_BUILD = """\
.build:
  stage: build
  timeout: <<limit>> minutes
  variables:
    GIT_DEPTH: "<<depth>>"
    GPUWHEEL_CACHE_DIR: $CI_PROJECT_DIR/.ci-cache/gpuwheel
  rules:
    # A release is made anew, of nothing that another job left: whoever writes this file writes any cache.
    - if: $CI_COMMIT_TAG
      variables:
        LEVEL: release
        POLICY: push # restores none
    # That merge requests write into no cache that a protected branch reads is by the setting "Use separate caches for
    # protected branches" (Settings > CI/CD > General pipelines), which is on unless somebody turned it off.
    - variables:
        LEVEL: protected-$CI_COMMIT_REF_PROTECTED
        POLICY: pull-push
  cache:
    - key: gpuwheel-$LEVEL-$CI_JOB_NAME_SLUG # what was compiled
      paths: [.ci-cache/gpuwheel]
      policy: $POLICY
      when: always
    - key: unfinished-$CI_PIPELINE_ID-$CI_JOB_NAME_SLUG # wheels of this job's earlier attempts
      paths: [.ci-cache/dist]
      policy: $POLICY
      when: always
  retry:
    max: 2
    when: [runner_system_failure, stuck_or_timeout_failure]
    exit_codes: [124] # of timeout below: the next attempt goes on with what was finished, but for a release
  before_script:
    - echo .ci-cache >> .git/info/exclude
    - if [ -n "$CI_COMMIT_TAG" ]; then rm -rf .ci-cache; fi
    - |
      mkdir -p .ci-cache/dist <<dist>> && cp -a .ci-cache/dist/. <<dist>>
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    <<manual>>
    <<place before build>>
    - python -m pip install "gpuwheel[repair]==<<version>>"
  script:
    - |
      code=0
      timeout --signal INT --kill-after 60 <<build limit>>m \\
        gpuwheel build "$PATTERN" <<project>>--out <<dist>> --shard "$PART/$PARTS" --test "$TRIAL" --resume || code=$?
      gpuwheel cache prune --older-than 30 --max-size "2 GB"
      rm -rf .ci-cache/dist && cp -a <<dist>> .ci-cache/dist
      if [ -n "$CI_COMMIT_TAG" ]; then rm -rf .ci-cache; fi
      [ "$code" = 0 ] || exit "$code"
    - |
      gpuwheel audit --format gitlab <<dist>>/*.whl > code-quality.json
    <<place after build>>
    - |
      <<sbom>>
  artifacts:
    when: always
    paths: [<<yaml wheels>>, sbom, <<yaml report>>]
    reports:
      codequality: code-quality.json

"""

_BUILD_OF = """\
<<job>>:
  extends: .build
  image: <<image>>
  <<tags>>
  parallel:
    matrix:
      - PATTERN: "<<pattern>>"
        PART: [<<shards>>]
        PARTS: "<<count>>"
        TRIAL: <<trial>>

"""

_TEST = """\
test:
  stage: test
  <<test tags>>
  parallel:
    matrix:
      <<tests>>
  script:
    - /opt/python/$CP/bin/python -m venv /tmp/ci && . /tmp/ci/bin/activate
    <<enter>>
    - python -m pip install --upgrade pip
    - if [ -n "$TORCH" ]; then python -m pip install "$TORCH" --index-url <<public torch>>; fi
    - python -m pip install $WHEELS --group test
    <<place before tests>>
    - pytest --junit-xml report.xml
  artifacts:
    when: always
    reports:
      junit: <<yaml junit>>

"""

_LAUNCHES = """\
launches:
  stage: test
  <<test tags>>
  variables:
    GPUWHEEL_REQUIRE: fake-gpu # a test that is skipped fails
  script:
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    <<enter>>
    <<place before launches>>
    <<install launches>>
    - |
      <<launches>>

"""

_GPU = """\
# Set the CI/CD variable GPU_RUNNER to the tag of a runner with a GPU (protected: code of forks does not run there).
gpu:
  stage: test
  tags: [$GPU_RUNNER]
  rules:
    - if: $GPU_RUNNER && $CI_PIPELINE_SOURCE != "merge_request_event"
  resource_group: gpu # one at a time
  variables:
    GPUWHEEL_REQUIRE: gpu # a test that is skipped fails
  script:
    - <<gpu python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    <<enter>>
    <<install gpu>>
    - pytest
    <<place on gpu>>
  <<place gpu job>>

"""

_PUBLISH = """\
release checks:
  stage: test
  <<test tags>>
  rules:
    - if: $CI_COMMIT_TAG =~ /^v/ && $CI_COMMIT_REF_PROTECTED == "true"
  script:
    # Apart from the job that publishes: nothing that is installed here can use its tokens.
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    - python -m pip install "gpuwheel[publish]==<<version>>"
    - |
      gpuwheel publish --dry-run --to pypi <<dist>>

publish:
  stage: publish
  <<test tags>>
  rules:
    - if: $CI_COMMIT_TAG =~ /^v/ && $CI_COMMIT_REF_PROTECTED == "true"
  interruptible: false
  resource_group: pypi # two uploads never overlap
  environment:
    name: pypi
    url: <<yaml url>>
  id_tokens:
    PYPI_ID_TOKEN: # by which PyPI knows this job: no token is stored
      aud: pypi
    SIGSTORE_ID_TOKEN: # for the attestation of each file
      aud: sigstore
  script:
    # The tag names the version of the files.
    - |
      ls <<dist>>/*-"${CI_COMMIT_TAG#v}"-*.whl <<dist>>/*-"${CI_COMMIT_TAG#v}".tar.gz
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    - python -m pip install "twine>=6.1" pypi-attestations
    <<place before publishing>>
    - |
      python -m pypi_attestations sign <<dist>>/*.whl <<dist>>/*.tar.gz
    - |
      python -m twine upload --attestations <<dist>>/*.whl <<dist>>/*.tar.gz
"""

_IMAGE = """\
container image:
  stage: publish
  <<test tags>>
  rules:
    - if: $CI_COMMIT_TAG =~ /^v/ && $CI_COMMIT_REF_PROTECTED == "true"
  script:
    - <<python>> -m venv /tmp/ci && . /tmp/ci/bin/activate
    - python -m pip install "gpuwheel==<<version>>"
    - |
      python -m pip download --only-binary :all: --dest wheelhouse --find-links <<dist>> <<name>>=="${CI_COMMIT_TAG#v}"
    # As `docker login` keeps it; GitLab makes this password for the job alone.
    - |
      umask 077 && mkdir -p ~/.docker
      auth="$(printf '%s:%s' "$CI_REGISTRY_USER" "$CI_REGISTRY_PASSWORD" | base64 -w 0)"
      printf '{"auths": {"%s": {"auth": "%s"}}}' "$CI_REGISTRY" "$auth" > ~/.docker/config.json
    - |
      gpuwheel image --base <<base>> --push "$CI_REGISTRY_IMAGE:${CI_COMMIT_TAG#v}" wheelhouse/*.whl

"""

_NO_PUBLISH = """\
# Wheels of one version that differ by torch alone have local versions (+torch2.14), which PyPI does not take: they
# belong on an index of your own. A job of the stage publish that uploads the wheels goes into the place above.
"""


def gitlab_pipeline(work: Work, services: CiServices, words: Sequence[str]) -> str:
    """The whole file, with empty places.

    Args:
        work: what it does.
        services: images by digest, and what machines are called.
        words: the options that it is written with, for its first line.
    """
    folder, limit, pythons = work.facts.folder, services.limits["gitlab"], work.shards[0].pythons
    dist = "dist" if folder == "." else f"{folder}/dist"
    # Any runner will do for x86_64 alone; where there are others, each job says which.
    labels = services.runners["gitlab"] if {one.machine for one in work.shards} != {"x86_64"} else {}
    values = {
        "first": first_line("gitlab", words),
        "yaml url": scalar(f"https://pypi.org/p/{work.facts.name}"),
        "yaml branch": scalar(f'$CI_COMMIT_BRANCH == "{work.asked.branch}"'),
        "yaml sdists": scalar(f"{dist}/*.tar.gz"),
        "yaml wheels": scalar(f"{dist}/*.whl"),
        "yaml report": scalar(f"{dist}/.gpuwheel/report.html"),
        "yaml junit": scalar("report.xml" if folder == "." else f"{folder}/report.xml"),
        "version": work.version,
        "name": word(work.facts.name),
        "base": word(work.asked.image),
        "folder": word(folder),
        "dist": word(dist),
        "project": "" if folder == "." else f"--project {word(folder)} ",
        "enter": "" if folder == "." else f"- |\n  cd {word(folder)}",
        "depth": "0" if work.facts.needs_history else "20",
        "image": _image(work, services, work.test_machine),
        "python": _program(pythons[-1]),
        "limit": str(limit),
        "build limit": str(limit - _SPARE_MINUTES),
        "sbom": replaced(SBOM, {"python": "python", "literal dist": scalar(dist)}),
        "manual": manual_toolkits(work),
        "test tags": _tags(labels, work.test_machine),
        "tests": "\n".join(_row(row) for row in work.tests),
        "public torch": PUBLIC_TORCH,
        "install launches": _listed(install_launch_tests(work, "python")),
        "launches": launch_tests(work),
        "gpu python": _program(work.usual.python),
        "install gpu": _listed(install_on_gpu(work, "python")),
    }
    values |= {f"place {name}": place(name) for name in (*PLACES, "gpu job", "before publishing")}
    text = [replaced(part, values) for part in (_HEAD, _SDIST, _BUILD)]
    for one in work.shards:
        own = {
            "job": f"build {'any' if one.pattern.endswith('any') else one.machine}",
            "image": _image(work, services, one.machine),
            "tags": _tags(labels, one.machine),
            "pattern": one.pattern or "*",
            "count": str(one.count),
            "trial": work.trial(one.machine),
            "shards": ", ".join(f'"{number}"' for number in range(1, one.count + 1)),
        }
        text.append(replaced(_BUILD_OF, own))
    tested = [*([_TEST, _GPU] if work.tests else []), *([_LAUNCHES] if work.facts.launch_tests else [])]
    ends = [*([_IMAGE] if work.asked.image else []), _PUBLISH if work.publishable else _NO_PUBLISH]
    return "".join([*text, *(replaced(part, values) for part in [*tested, "<<place jobs>>\n\n", *ends])])


def _image(work: Work, services: CiServices, machine: str) -> str:
    image = services.images.get(work.facts.platform) or services.images[_PLATFORM]
    return f"{image.references[machine]} # {image.version}"


def _tags(labels: Mapping[str, str], machine: str) -> str:
    return f"tags: [{labels[machine]}]" if labels else ""


def _program(python: str) -> str:
    """Where images of manylinux have it."""
    return f"/opt/python/{_tag(python)}/bin/python"


def _tag(python: str) -> str:
    number = f"cp{python.replace('.', '')}"
    return f"{number}-{number}"


def _row(row: TestRow) -> str:
    return f"- {{ CP: {scalar(_tag(row.python))}, TORCH: {scalar(row.torch)}, WHEELS: {scalar(row.wheels)} }}"


def _listed(lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines.splitlines())
