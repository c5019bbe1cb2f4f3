"""Everything this project does to itself. `nox -l` lists the sessions; `nox -s lint` runs one.

Tools come from `[dependency-groups]` of pyproject.toml.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).resolve().parent
PYPROJECT = nox.project.load_toml("pyproject.toml")

# torch has a CPU build only where pip is told to look for one (https://download.pytorch.org/whl/cpu); uv does not
# read pip's configuration, so sessions that install torch use pip.
WITH_TORCH = "virtualenv"

# What tests judge the projects of `gpuwheel new` with.
CHECKERS = ("lint", "types")

# Most tests keep one core busy; more than two builds at a time would want more memory than a CI machine has. The order
# is ours: pytest-xdist would begin with the files of the most tests, which are short ones.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")

# Unit tests wait for one another's clocks and processes a third of their time.
UNITS = ("-n", "3", *SIDE_BY_SIDE[2:], "tests/unit")

_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:2])), end='')"


def _install(session: nox.Session, *groups: str) -> None:
    """gpuwheel, editable, and the tools of `groups`."""
    session.install("-e", ".", *nox.project.dependency_groups(PYPROJECT, *groups))


@nox.session(tags=["check"])
def lint(session: nox.Session) -> None:
    """Style, format, layers, and whether generated files are fresh."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("python", "ci/generate_reference.py", "--check")
    session.run("python", "ci/gpu/pages.py", "--check")


@nox.session(tags=["check"])
def types(session: nox.Session) -> None:
    """The types, strictly."""
    _install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session(tags=["test"])
def unit(session: nox.Session) -> None:
    """Tests that need neither a compiler nor the network: under a minute."""
    _install(session, "test")
    _pytest(session, *UNITS)


def _pytest(session: nox.Session, *words: str) -> None:
    """Run it; where bytecode is not kept, each of the programs that tests start would compile gpuwheel anew."""
    session.run("pytest", *words, *session.posargs, env={"PYTHONDONTWRITEBYTECODE": ""})


def _install_torch(session: nox.Session, *words: str) -> None:
    """The torch that tests use: a CPU build if there is one; what else happens, `words` say (ci/install_torch.py)."""
    requirements = nox.project.dependency_groups(PYPROJECT, "torch")
    session.run("python", "ci/install_torch.py", *words, *requirements, success_codes=[0, 3])


@nox.session(tags=["test"], venv_backend=WITH_TORCH)
def tests(session: nox.Session) -> None:
    """The unit tests and one build of each mode, to a call where a CPU build of torch is found: minutes."""
    _install(session, "test")
    _install_torch(session, "--cpu-only")
    _pytest(session, *UNITS)
    _pytest(session, "-m", "end_to_end", "tests/build")


@nox.session(tags=["test"], venv_backend=WITH_TORCH)
def build(session: nox.Session) -> None:
    """Tests that compile and download: real builds of real packages."""
    _install(session, "test", *CHECKERS)
    _install_torch(session)
    _pytest(session, *SIDE_BY_SIDE, "tests/build")


@nox.session(tags=["test"], venv_backend=WITH_TORCH)
def suite(session: nox.Session) -> None:
    """Every test that this machine can run; `GPUWHEEL_REQUIRE=compiler,network,...` forbids skips. Half an hour."""
    _install(session, "test", *CHECKERS)
    _install_torch(session)
    _pytest(session, *SIDE_BY_SIDE)


def _sample_wheel(session: nox.Session) -> Path:
    """The sample's wheel, built in isolation by gpuwheel's."""
    wheels = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    pip_wheel = ("pip", "wheel", "--no-deps", "--wheel-dir", str(wheels))
    session.run(*pip_wheel, ".")
    # The isolated build of the sample takes gpuwheel from here, and everything else from the index.
    session.run(*pip_wheel, "--find-links", str(wheels), "./sample_extension")
    (wheel,) = wheels.glob("gpuwheel_sample-*.whl")
    return wheel


@nox.session(tags=["test"], venv_backend=WITH_TORCH)
def sample(session: nox.Session) -> None:
    """The main job: build gpuwheel, build the sample with it, install that beside torch, call an operator."""
    wheel = _sample_wheel(session)
    _install_torch(session)
    session.install(str(wheel))
    session.run(
        "python",
        "-c",
        "import torch, gpuwheel_sample as ops; x = torch.randn(4, 8); print(ops.squared_relu(x))",
    )
    session.log(f"{wheel.name}: {wheel.stat().st_size:,} bytes")


@nox.session(name="gpu-wheelhouse")
def gpu_wheelhouse(session: nox.Session) -> None:
    """What `ci/gpu.sh` takes to a machine with a GPU: `nox -s gpu-wheelhouse -- FOLDER`; see ci/gpu/wheelhouse.py."""
    _install(session, "test")
    session.run("python", "ci/gpu/wheelhouse.py", *session.posargs)


@nox.session(tags=["test"])
def fuzz(session: nox.Session) -> None:
    """Every reader of outside bytes on hostile ones, 60 s unless told otherwise: ci/fuzz/fuzz.py."""
    session.install("-e", ".")
    groups = nox.project.dependency_groups(PYPROJECT, "fuzz")
    # atheris has wheels for some Pythons only; without it, bytes are mutated without looking at what they reach.
    wheels_only = ("--only-binary", "atheris")
    guided = [name for name in groups if name.startswith("atheris")]
    session.install(*(name for name in groups if name not in guided))
    session.install(*wheels_only, *guided, success_codes=[0, 1, 2])
    session.run("python", "ci/fuzz/fuzz.py", *(session.posargs or ["--seconds", "60", "--no-result"]))


@nox.session(venv_backend=WITH_TORCH)
def gpu(session: nox.Session) -> None:
    """On an NVIDIA GPU, with a network: builds what `ci/gpu.sh` takes, and runs that beside a CUDA build of torch."""
    _install(session, "test", "torch")
    session.install("nvidia-cublas", "matplotlib")
    house = Path(session.create_tmp()).resolve() / "wheelhouse"
    shutil.rmtree(house, ignore_errors=True)
    version = str(session.run("python", "-c", _VERSION, silent=True))
    session.run("python", "ci/gpu/wheelhouse.py", str(house), "--python", version)
    session.run("ci/gpu.sh", str(house), *session.posargs, external=True, env={"PYTHON": "python"})


@nox.session(venv_backend=WITH_TORCH)
def matrix(session: nox.Session) -> None:
    """One wheel file under every pair of torch and Python that exists; writes the table into the docs."""
    _install(session, "test")
    session.run("python", "ci/matrix.py", *(session.posargs or ["--write"]))


@nox.session
def executed(session: nox.Session) -> None:
    """Every GPU test of the sample and the templates on the pretend GPU, by PTX of each arch and beside each torch."""
    _install(session, "test")
    session.run("python", "ci/executed/executed_tests.py", *session.posargs)


@nox.session
def public(session: nox.Session) -> None:
    """Build public projects from their own sources: `nox -s public -- FOLDER ...`; see ci/public_projects.py."""
    _install(session, "test")
    session.run("python", "ci/public_projects.py", *session.posargs)


@nox.session(name="public-wheels")
def public_wheels(session: nox.Session) -> None:
    """Audit wheels that others publish, each error of which was checked by hand; see ci/public_wheels.py."""
    _install(session)
    session.run("python", "ci/public_wheels.py", *session.posargs)


@nox.session(venv_backend=WITH_TORCH)
def bench(session: nox.Session) -> None:
    """The builds of gpuwheel and of torch.utils.cpp_extension, measured in one run."""
    _install(session, "bench")
    session.run("python", "ci/bench/run.py", *session.posargs)


@nox.session
def reuse(session: nox.Session) -> None:
    """Random edits, each built with a kept cache and with an empty one: equal bytes; see ci/reuse/random_edits.py."""
    _install(session, "test")
    session.run("python", "ci/reuse/random_edits.py", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the code of keys, audit and cache in small ways; a test has to notice each. See ci/mutants.py."""
    _install(session, "test")
    session.run("python", "ci/mutants.py", *session.posargs)


@nox.session(tags=["check"])
def docs(session: nox.Session) -> None:
    """The site, with every warning an error."""
    _install(session, "docs")
    session.run(
        "sphinx-build", "--quiet", "--fail-on-warning", "--keep-going", "--builder", "html", "docs", "docs/_build/html"
    )


@nox.session(name="release-check")
def release_check(session: nox.Session) -> None:
    """Whether the long sessions ran whole on this code: what a release asks for."""
    _install(session)
    session.run("python", "ci/release_check.py")


@nox.session(name="release-templates")
def release_templates(session: nox.Session) -> None:
    """Seal the templates under the version, before a release; `-- --check` says whether they are."""
    session.install("-e", ".")
    session.run("python", "ci/release_templates.py", *session.posargs)


@nox.session(tags=["update"])
def update(session: nox.Session) -> None:
    """Refresh the tables in gpuwheel/data from the package index, print the difference, regenerate the reference."""
    _install(session, "test")
    for script in sorted(ROOT.glob("ci/tables/update_*.py")):
        session.run("python", str(script.relative_to(ROOT)), *session.posargs)
    session.run("python", "ci/generate_reference.py")
