"""The texts of jobs for GitHub Actions, with words in <<...>> to replace.

Values of expressions reach shells through `env`, never through their text: a branch may be called `$(reboot)`.
"""

from __future__ import annotations

__all__ = [
    "BUILD",
    "CHECKOUT",
    "GET_RELEASE",
    "GPU",
    "HEAD",
    "IMAGE",
    "LAUNCHES",
    "NO_PUBLISH",
    "PUBLISH",
    "PYTHON",
    "RELEASE_CHECKS",
    "SDIST",
    "TEST",
    "WHEELS",
]

HEAD = """\
<<first>>
#
# Builds every wheel that `gpuwheel plan` lists, audits and tests those files, and publishes them at a tag v*.
# Actions are named by commit; a later gpuwheel brings newer ones, when `gpuwheel ci github` is run again.
name: <<yaml title>>

on:
  push:
    branches: [<<yaml branch>>]
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

SDIST = """\
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
        path: <<yaml sdists>>
        if-no-files-found: error
"""

BUILD = """\
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
        path: <<yaml dist>>
    # Written by pushes to <<branch>> alone: caches of other branches and of pull requests are apart. A tag could read
    # that of the default branch, but a release compiles everything anew: nothing of an earlier job is in it.
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
        TRIAL: ${{ matrix.trial }}
      run: |
        gpuwheel build "$PATTERN" <<project>>--out <<dist>> --shard "$SHARD" --test "$TRIAL" --resume
    - name: Audit
      run: |
        gpuwheel audit --format github <<dist>>/*.whl
    <<place after build>>
    - name: Collect the bills of materials
      run: |
        <<sbom>>
    - name: Hand the wheels on
      uses: <<upload-artifact>>
      with:
        name: wheels-${{ matrix.artifact }}
        path: <<yaml wheels>>
        if-no-files-found: error
    - name: Hand the bills of materials on
      uses: <<upload-artifact>>
      with:
        name: sbom-${{ matrix.artifact }}
        path: sbom
    - name: Hand the report of the build on
      if: always()
      uses: <<upload-artifact>>
      with:
        name: report-${{ matrix.artifact }}
        path: <<yaml report>>
        include-hidden-files: true
        if-no-files-found: ignore
    - name: Keep what was finished
      if: failure() || cancelled()
      uses: <<upload-artifact>>
      with:
        name: unfinished-${{ matrix.artifact }}
        path: <<yaml dist>>
        include-hidden-files: true # the journal
        if-no-files-found: ignore
        overwrite: true
    - name: Leave out of the cache what is old or large
      if: always() && github.event_name == 'push' && github.ref_type == 'branch'
      run: gpuwheel cache prune --older-than 30 --max-size "2 GB"
    - name: Keep what was compiled
      if: always() && github.event_name == 'push' && github.ref_type == 'branch'
      uses: <<cache-save>>
      with:
        path: ~/.cache/gpuwheel
        key: gpuwheel-${{ matrix.artifact }}-${{ github.run_id }}-${{ github.run_attempt }}
"""

TEST = """\
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
      run: pytest
"""

LAUNCHES = """\
launches:
  name: Tests, on a pretend GPU
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
      run: |
        <<launches>>
"""

GPU = """\
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
      run: .venv/bin/pytest
    <<place on gpu>>
"""

RELEASE_CHECKS = """\
release-checks:
  name: What stands against the release
  # Apart from the job that publishes: nothing that is installed here can use its right to.
  if: github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')
  needs: [sdist, build]
  runs-on: <<runner>>
  timeout-minutes: 20
  permissions:
    contents: read
  steps:
    <<python>>
    <<get release>>
    - name: Check what PyPI would refuse, the tag and the audit
      run: |
        python -m pip install "gpuwheel[publish]==<<version>>"
        gpuwheel publish --dry-run --to pypi dist
"""

PUBLISH = """\
publish:
  name: Publish
  # Where there is no runner with a GPU, its job is skipped, which stops nothing; one that fails or is cut off does.
  if: >-
    ${{ !cancelled() && !failure() && !contains(needs.*.result, 'cancelled')
    && github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v') }}
  needs:
    <<needs>>
    <<place needs>>
  runs-on: <<runner>>
  timeout-minutes: 20
  environment:
    name: pypi
    url: <<yaml url>>
  permissions:
    id-token: write # by which PyPI knows this job: no token is stored, and each file gets its attestation
  steps:
    <<get release>>
    - name: The tag names the version of the files
      run: ls dist/*-"${GITHUB_REF_NAME#v}"-*.whl dist/*-"${GITHUB_REF_NAME#v}".tar.gz
    - name: Upload
      uses: <<pypi-publish>>
      with:
        attestations: true
"""

IMAGE = """\
image:
  name: Container image
  # When the wheels are published, and for the same reasons not.
  if: >-
    ${{ !cancelled() && !failure() && !contains(needs.*.result, 'cancelled')
    && github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v') }}
  needs:
    <<needs>>
  runs-on: <<runner>>
  timeout-minutes: 60
  permissions:
    packages: write # by which ghcr.io knows this job
  steps:
    <<python>>
    <<wheels>>
    - name: Get what they require
      run: |
        python -m pip download --only-binary :all: --dest wheelhouse --find-links <<dist>> \\
          <<name>>=="${GITHUB_REF_NAME#v}"
    - name: Make the image, and push it
      env:
        TOKEN: ${{ github.token }}
      run: |
        python -m pip install "gpuwheel==<<version>>"
        echo "$TOKEN" | docker login ghcr.io --username "$GITHUB_ACTOR" --password-stdin
        gpuwheel image --base <<base>> \\
          --push "ghcr.io/${GITHUB_REPOSITORY,,}:${GITHUB_REF_NAME#v}" wheelhouse/*.whl
"""

NO_PUBLISH = """\
# Wheels of one version that differ by torch alone have local versions (+torch2.14), which PyPI does not take: they
# belong on an index of your own. A job that uploads the artifacts wheels-* goes into the place above.
"""

CHECKOUT = """\
- name: Get the sources
  uses: <<checkout action>>
  with:
    persist-credentials: false
    <<history>>
"""

PYTHON = """\
- name: Get Python
  uses: <<setup-python>>
  with:
    python-version: "<<builder>>"
"""

GET_RELEASE = """\
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
"""

WHEELS = """\
- name: Get the wheels
  uses: <<download-artifact>>
  with:
    pattern: wheels-<<test machine>>-*
    path: <<yaml dist>>
    merge-multiple: true
"""
