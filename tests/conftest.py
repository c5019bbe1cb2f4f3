"""The walls between the test worlds, and the features that tests may ask for.

`tests/unit` starts no compiler and reaches no network. `tests/build` does both, but never sees a CUDA toolkit of the
machine: users have none. `GPUWHEEL_REQUIRE=network,compiler,...` turns the skip for a missing feature into a failure.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import platform
import shutil
import signal
import sys
import urllib.request
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from old_system import MIRROR, SUITE

from gpuwheel._run import run
from gpuwheel.errors import GpuwheelError
from gpuwheel.testing import require

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

TESTS = Path(__file__).resolve().parent
# A busy machine is not a slow function.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
CUDA_ROOTS = ("/usr/local/cuda", "/usr/lib/cuda", "/usr/lib/nvidia-cuda-toolkit")
CUDA_TOOLS = ("nvcc", "ptxas", "cudafe++", "cicc", "fatbinary", "nvlink", "cuobjdump", "nvdisasm", "nvprune")
CUDA_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDACXX", "CUDAToolkit_ROOT", "CUDA_TOOLKIT_ROOT_DIR")
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++", "cmake", "ninja", "make", "ld", "as", *CUDA_TOOLS)
TOGETHER = {"backend", "device", "everywhere", "headers", "kernels_mode", "nvcc", "old_glibc", "reuse", "scaffold"}
"""Folders of tests/build whose files share what takes long to make."""
LOCAL_HOSTS = {None, "", "127.0.0.1", "::1", "localhost"}


# --- Features ---------------------------------------------------------------------------------------------------------


def _missing_network() -> str | None:
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    try:
        with urllib.request.urlopen(f"{index}/pip/", timeout=20):  # noqa: S310  # the index pip would use
            return None
    except OSError as error:
        return f"the package index does not answer ({error})"


def _missing_compiler() -> str | None:
    names = [os.environ.get("CXX", "c++").split()[0], "g++", "clang++"]
    return None if any(map(shutil.which, names)) else f"no C++ compiler ({', '.join(names)})"


def _missing_torch() -> str | None:
    return None if importlib.util.find_spec("torch") else "torch is not installed"


def _missing_pythons() -> str | None:
    here = f"python3.{sys.version_info.minor}"
    others = [f"python3.{minor}" for minor in range(10, 15) if f"python3.{minor}" != here]
    return None if any(map(shutil.which, others)) else f"no further interpreter ({', '.join(others)})"


def _missing_gpu() -> str | None:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"no CUDA driver ({error})"
    status = driver.cuInit(0)
    return None if status == 0 else f"the CUDA driver finds no GPU (cuInit returned {status})"


def _missing_cross() -> str | None:
    if platform.machine() == "aarch64":
        return "this machine is an aarch64 itself"
    return None if shutil.which("aarch64-linux-gnu-g++") else "no aarch64-linux-gnu-g++"


def _missing_qemu() -> str | None:
    names = ("qemu-aarch64-static", "qemu-aarch64")
    return None if any(map(shutil.which, names)) else f"no emulator ({', '.join(names)})"


def _missing_debian() -> str | None:
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/{SUITE}/Release", timeout=20):  # noqa: S310  # a mirror of Debian
            return None
    except OSError as error:
        return f"the mirror of Debian does not answer ({error})"


def _missing_containers() -> str | None:
    missing = [name for name in ("podman", "runc") if not shutil.which(name)]
    if importlib.util.find_spec("cibuildwheel") is None:
        missing.append("cibuildwheel")
    return f"no {', '.join(missing)}" if missing else None


CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def _missing_browser() -> str | None:
    missing = [name for name in ("playwright", "axe_playwright_python") if importlib.util.find_spec(name) is None]
    if not any(map(shutil.which, CHROMIUMS)):
        missing.append("Chromium")
    return f"no {', '.join(missing)}" if missing else None


# The words that run a program without a network; for root, and for a user where the kernel lets them.
NAMESPACES = (["unshare", "--net"], ["unshare", "--net", "--map-root-user"])


@cache
def without_network() -> list[str] | None:
    """The words before a command that cut its network, or `None` where nothing here may."""
    if not shutil.which("unshare"):
        return None
    return next((words for words in NAMESPACES if run([*words, "true"], check=False).returncode == 0), None)


def _missing_namespaces() -> str | None:
    return None if without_network() else "unshare --net is not there or not permitted"


FEATURES = {
    "network": cache(_missing_network),
    "compiler": cache(_missing_compiler),
    "torch": cache(_missing_torch),
    "pythons": cache(_missing_pythons),
    "gpu": cache(_missing_gpu),
    "namespaces": _missing_namespaces,
    "cross": _missing_cross,
    "qemu": _missing_qemu,
    "debian": cache(_missing_debian),
    "containers": _missing_containers,
    "browser": _missing_browser,
}


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt GPUWHEEL_REQUIRE: it would require nothing."""
    del config
    known = {*FEATURES, "fake-gpu"}
    unknown = {word.strip() for word in os.environ.get("GPUWHEEL_REQUIRE", "").split(",")} - known - {""}
    if unknown:
        msg = f"GPUWHEEL_REQUIRE names unknown features: {', '.join(unknown)} (known: {', '.join(sorted(known))})"
        raise pytest.UsageError(msg)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has the jobs that it starts in the background ignore SIGINT, and children inherit that: the builds
        # that tests interrupt would not notice.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:  # noqa: ANN401
    """Keep tests in one process of `pytest -n 2 --dist loadfile` for what they share: a file, or the folder of some.

    Each rendered project is its own. Marks of groups would say the same, but pytest 9.2 does not let pytest-xdist 3.8
    see them.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 (where there are several processes)

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            folder = path.rpartition("/")[0]
            if folder == "tests/build/templates":
                return path + test[test.find("[") :]
            return folder if folder.removeprefix("tests/build/") in TOGETHER else path

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: two processes end at about the same time if short tests are left for the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Keep six thousand tests, which stay to the end, out of every search for garbage: a twentieth of the time."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose feature is missing, or fail it where the feature is required."""
    for feature, missing in FEATURES.items():
        if item.get_closest_marker(feature) is None:
            continue
        reason = missing()
        if reason is not None:
            require(feature, reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a program printed before it failed."""
    report = yield
    if report.failed and call.excinfo is not None and isinstance(call.excinfo.value, GpuwheelError):
        report.sections.append(("What the program printed", call.excinfo.value.detail or ""))
    return report


# --- The walls --------------------------------------------------------------------------------------------------------


class WallError(AssertionError):
    """A test reached for what its world does not have."""


class _Wall:
    """An audit hook (PEP 578): unlike a patched module, it sees every way to connect, open, load or start."""

    def __init__(self) -> None:
        self.unit = False
        self.system_cuda: SystemCuda | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.unit:
            _refuse_in_unit(event, arguments)
        if self.system_cuda and event in {"open", "os.listdir", "os.scandir", "ctypes.dlopen", "subprocess.Popen"}:
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)) and _is_system_cuda(os.fsdecode(path)):
                self.system_cuda.here.append(f"this process: {event} {os.fsdecode(path)}")


def _refuse_in_unit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo"}:
        address = arguments[1] if event == "socket.connect" else arguments
        if isinstance(address, tuple) and address[0] not in LOCAL_HOSTS:
            msg = f"a unit test reaches for {address[0]}: move it to tests/build and mark it `network`"
            raise WallError(msg)
    elif event in {"subprocess.Popen", "os.posix_spawn", "os.exec"}:
        program = Path(os.fsdecode(arguments[0])).name
        if program in COMPILERS:
            msg = f"a unit test starts {program}: move it to tests/build and mark it `compiler`"
            raise WallError(msg)


def _is_system_cuda(path: str) -> bool:
    """Whether `path` is in a toolkit of the machine; "/usr/local/cuda" covers "/usr/local/cuda-13.0" too."""
    return any(path.startswith(root) and path[len(root) :][:1] in {"", "/", "-"} for root in _system_cuda_roots())


@cache
def _system_cuda_roots() -> tuple[str, ...]:
    tools = (shutil.which(tool) for tool in CUDA_TOOLS)
    return (*CUDA_ROOTS, *sorted(filter(None, tools)))


_WALL = _Wall()
sys.addaudithook(_WALL)


@pytest.fixture(autouse=True)
def _unit_wall(request: pytest.FixtureRequest) -> Iterator[None]:
    """No network and no compiler in tests/unit; and no waiting for the disk, for no test of them cuts the power."""
    _WALL.unit = request.path.is_relative_to(TESTS / "unit")
    flushes = {name: getattr(os, name) for name in ("fsync", "sync")}
    if _WALL.unit:
        for name in flushes:
            setattr(os, name, lambda *_: None)
    yield
    _WALL.unit = False
    for name, flush in flushes.items():
        setattr(os, name, flush)


# --- No CUDA toolkit of the machine in tests/build --------------------------------------------------------------------


@dataclass(frozen=True)
class SystemCuda:
    """The machine's CUDA toolkit, hidden; `touches` says who looked for it all the same."""

    log: Path
    here: list[str] = field(default_factory=list)

    def touches(self) -> list[str]:
        """Each attempt to open, look at, load or run a part of the toolkit, as `program: call path`."""
        children = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return self.here + children


@pytest.fixture(scope="session")
def _guard(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The preloaded library that hides and records; compiled here, so that it fits this machine's C library.

    Without a C compiler there is none, and nothing that could build against a toolkit either.
    """
    if not shutil.which("cc"):
        return None
    library = tmp_path_factory.mktemp("guard") / "system_cuda_guard.so"
    run(["cc", "-shared", "-fPIC", "-O1", "-o", library, TESTS / "system_cuda_guard.c", "-ldl"])
    return library


@pytest.fixture(scope="session")
def _path_without_cuda(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH without CUDA's tools; a folder that holds other programs too is replaced by links to those."""
    kept = []
    for entry in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        folder = Path(entry)
        if not any((folder / tool).exists() for tool in CUDA_TOOLS):
            kept.append(entry)
            continue
        links = tmp_path_factory.mktemp("path")
        for program in folder.iterdir():
            if program.name not in CUDA_TOOLS:
                (links / program.name).symlink_to(program)
        kept.append(str(links))
    return os.pathsep.join(kept)


@pytest.fixture(scope="session")
def system_cuda_hider(_guard: Path | None, _path_without_cuda: str) -> Callable[[Path], dict[str, str]]:
    """Variables for child processes that hide the system's CUDA toolkit, and write who looked for it into a file."""

    def hide(log: Path) -> dict[str, str]:
        if _guard is None:
            return {"PATH": _path_without_cuda}
        return {
            "PATH": _path_without_cuda,
            "LD_PRELOAD": str(_guard),
            "SYSTEM_CUDA_GUARD_ROOTS": os.pathsep.join(_system_cuda_roots()),
            "SYSTEM_CUDA_GUARD_LOG": str(log),
        }

    return hide


@pytest.fixture
def no_system_cuda(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    system_cuda_hider: Callable[[Path], dict[str, str]],
) -> Iterator[SystemCuda]:
    """Hide the system's CUDA toolkit from child processes and record every attempt to reach one."""
    system_cuda = SystemCuda(tmp_path_factory.mktemp("system-cuda") / "log")
    for variable in CUDA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in system_cuda_hider(system_cuda.log).items():
        monkeypatch.setenv(variable, value)
    _WALL.system_cuda = system_cuda
    yield system_cuda
    _WALL.system_cuda = None


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of all processes of pytest: toolchains are fetched once. One of the user's is reused if named."""
    named, folder = os.environ.get("GPUWHEEL_CACHE_DIR"), tmp_path_factory.getbasetemp()
    own = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "gpuwheel-cache"
    return Path(named) if named else own


@pytest.fixture(autouse=True)
def _build_wall(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test of tests/build without the system toolkit; fail it if it reached for one.

    Tests marked `torch` are not judged here, for torch itself looks for a toolkit; they can assert
    `no_system_cuda.touches() == []` after their build.
    """
    if not request.path.is_relative_to(TESTS / "build"):
        yield
        return
    system_cuda: SystemCuda = request.getfixturevalue("no_system_cuda")
    yield
    if request.node.get_closest_marker("torch") is None and system_cuda.touches():
        pytest.fail("the system CUDA toolkit was touched:\n" + "\n".join(system_cuda.touches()), pytrace=False)
