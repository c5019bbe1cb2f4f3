"""The newest pip and uv choose from an index over HTTP: the right wheel for each environment, none where none fits.

Both are told an environment that is not this one (`--platform`, `--python-version`), resolve with dependencies, and say
what they would install. The server counts what they read for that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from package_index import Log
from small_wheels import small_wheel

from gpuwheel.compatibility import load_tables
from gpuwheel.publish.pages import FolderSource, IndexRequest, index_server, write_index
from gpuwheel.publish.pages.serving import IndexHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

X86, ARM = "manylinux_2_28_x86_64", "manylinux_2_28_aarch64"
UV_PLATFORMS = {
    X86: "x86_64-manylinux_2_28",
    ARM: "aarch64-manylinux_2_28",
    "manylinux_2_17_x86_64": "x86_64-manylinux_2_17",
    "musllinux_1_2_x86_64": "x86_64-unknown-linux-musl",
    "win_amd64": "x86_64-pc-windows-msvc",
    "macosx_14_0_arm64": "aarch64-apple-darwin",
}
OLDER_PLATFORMS = {X86: ["manylinux_2_17_x86_64"], ARM: ["manylinux_2_17_aarch64"], "musllinux_1_2_x86_64": []}
"""What pip has to be told too."""


@dataclass(frozen=True)
class Case:
    """One environment, and what is right in it."""

    wanted: str
    """Requirements, between blanks."""
    expected: str | None
    """`PROJECT==VERSION` of the first of them; `None`: nothing fits."""
    python: str = "3.12"
    platform: str = X86
    root: str = "simple"

    def __str__(self) -> str:
        return f"{self.wanted} {self.python} {self.platform} {self.root}"


def _label(torch: str, cuda: str) -> str:
    return f"ops==1.0+torch{torch}.cu{cuda}"


CHOSEN = [
    # One wheel for all: any Python, both machines.
    *(Case("collapsed", "collapsed==2.0", python) for python in ("3.12", "3.13", "3.14")),
    Case("collapsed", "collapsed==1.0", "3.10"),  # 2.0 is for Python 3.12 and newer
    Case("collapsed", "collapsed==1.0", "3.11", ARM),
    Case("collapsed==2.1", "collapsed==2.1"),  # yanked: only for who pins it
    Case("collapsed torch==2.13.*", "collapsed==2.0"),
    # By the torch that something else holds.
    Case("ops torch==2.13.*", _label("2.13", "13.0")),
    Case("ops torch==2.14.*", _label("2.14", "13.0")),
    Case("ops torch==2.13.*", _label("2.13", "13.0"), "3.11", ARM),
    Case("ops torch<2.14", _label("2.13", "13.0"), "3.11"),
    Case("ops", _label("2.14", "13.0")),  # nothing holds it: the highest label
    # By index: the CUDA of each, the torch of each.
    *(Case("ops", _label("2.14", cuda), root=f"cu{cuda}/simple") for cuda in ("12.9", "13.0")),
    *(Case("ops torch==2.13.*", _label("2.13", cuda), root=f"cu{cuda}/simple") for cuda in ("12.9", "13.0")),
    *(
        Case("ops", _label(torch, cuda), python, root=f"torch{torch}/cu{cuda}/simple")
        for torch in ("2.13", "2.14")
        for cuda in ("12.9", "13.0")
        for python in ("3.11", "3.12")
    ),
    Case("ops", _label("2.13", "12.9"), "3.12", ARM, "torch2.13/cu12.9/simple"),
    # What serves all is on each of these.
    Case("collapsed", "collapsed==2.0", root="torch2.13/cu12.9/simple"),
    Case("plain", "plain==1.0", root="torch2.14/cu13.0/simple"),
    # Pinned whole, by public version, and under another name.
    Case("ops==1.0+torch2.13.cu12.9", _label("2.13", "12.9")),
    Case("ops==1.0", _label("2.14", "13.0")),
    Case("OPS>=1.0,<2 torch==2.13.*", _label("2.13", "13.0")),
    Case("my.ops", "my-ops==1.0"),
    # Python code, on everything.
    Case("plain", "plain==1.0", "3.11", "win_amd64"),
    Case("plain", "plain==1.0", "3.14", "macosx_14_0_arm64"),
    Case("plain", "plain==1.0", "3.13", "musllinux_1_2_x86_64"),
    # The stable ABI.
    Case("stable", "stable==1.0", "3.10"),
    Case("stable", "stable==1.0", "3.14"),
]
REFUSED = [
    Case("collapsed", None, platform="win_amd64"),
    Case("collapsed", None, platform="macosx_14_0_arm64"),
    Case("collapsed", None, platform="musllinux_1_2_x86_64"),
    Case("collapsed", None, platform="manylinux_2_17_x86_64"),
    Case("collapsed==2.0", None, "3.11"),
    Case("ops", None, "3.13"),
    Case("ops torch==2.12.*", None),
    Case("ops==1.0+torch2.13.cu12.9 torch==2.14.*", None),
    Case("ops torch==2.14.*", None, root="torch2.13/cu13.0/simple"),
    Case("stable", None, "3.9"),
    Case("source", None),
    Case("nowhere", None),
]


@dataclass
class Served:
    """The index, and what was read of it."""

    url: str
    bodies: dict[str, int] = field(default_factory=dict)
    """Path -> bytes."""
    html_alone: bool = False
    """Whether it serves files by name, as most servers do."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    _fill(folder)
    write_index(
        IndexRequest(index=folder, sources=[FolderSource(folder, folder)], yanks={"collapsed==2.1": "crashes"}),
        load_tables(),
        Log(),
    )
    state = Served("")

    class Counting(IndexHandler):
        def send_head(self) -> Any:  # noqa: ANN401 (as the standard library has it)
            if state.html_alone:
                del self.headers["Accept"]
            return super().send_head()

        def copyfile(self, source: Any, outputfile: Any) -> None:  # noqa: ANN401 (as the standard library has it)
            data = source.read()
            state.bodies[self.path] = state.bodies.get(self.path, 0) + len(data)
            outputfile.write(data)

    with index_server(folder, handler=Counting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
        thread.join()


def _fill(folder: Path) -> None:
    for torch in ("2.12", "2.13", "2.14", "2.15"):
        small_wheel(folder, "torch", f"{torch}.0")
    for torch in ("2.13", "2.14"):
        for cuda in ("12.9", "13.0"):
            for python in ("cp311", "cp312"):
                for platform in (X86, ARM):
                    version, tag = f"1.0+torch{torch}.cu{cuda}", f"{python}-{python}-{platform}"
                    small_wheel(folder, "ops", version, tag=tag, cuda=cuda, fields=f"Requires-Dist: torch=={torch}.*\n")
    needs = "Requires-Dist: torch>=2.10\n"
    for version, requires in (("1.0", ""), ("2.0", "Requires-Python: >=3.12\n"), ("2.1", "")):
        for platform in (X86, ARM):
            tag = f"py3-none-{platform}"
            small_wheel(folder, "collapsed", version, tag=tag, cuda="12.9", fields=f"{requires}{needs}")
    small_wheel(folder, "plain")
    small_wheel(folder, "my-ops")
    small_wheel(folder, "stable", tag=f"cp310-abi3-{X86}")
    text = b"Metadata-Version: 2.2\nName: source\nVersion: 1.0\n"
    with tarfile.open(folder / "source-1.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("source-1.0/PKG-INFO")
        member.size = len(text)
        archive.addfile(member, BytesIO(text))


def _environ(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "NO_PROXY": "127.0.0.1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(folder / "pip"),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(folder / "uv"),
    }


def _answer(command: Sequence[str], folder: Path) -> str | None:
    done = subprocess.run(command, env=_environ(folder), capture_output=True, text=True, check=False)  # noqa: TID251
    if done.returncode == 0:
        return done.stdout
    # Refused because nothing fits, and for no other reason.
    assert re.search(r"No matching distribution|ResolutionImpossible|No solution found|conflict", done.stderr), (
        done.stderr
    )
    return None


def _by_pip(case: Case, served: Served, folder: Path) -> str | None:
    platforms = [case.platform, *OLDER_PLATFORMS.get(case.platform, ())]
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    words += ["--disable-pip-version-check", "--target", str(folder / "target"), "--only-binary", ":all:"]
    words += ["--index-url", f"{served.url}/{case.root}/", "--python-version", case.python, "--implementation", "cp"]
    words += [f"--platform={one}" for one in platforms]
    report = _answer([*words, *case.wanted.split()], folder)
    if report is None:
        return None
    (asked, *_) = [one for one in json.loads(report)["install"] if one["requested"] and _is_first(case, one)]
    return f"{asked['metadata']['name']}=={asked['metadata']['version']}"


def _is_first(case: Case, installed: dict[str, Any]) -> bool:
    first = re.split(r"[=<>]", case.wanted.split()[0])[0]
    name: str = installed["metadata"]["name"]
    return name == first.lower().replace(".", "-")


def _by_uv(case: Case, served: Served, folder: Path) -> str | None:
    requirements = folder / "requirements.in"
    requirements.write_text("\n".join(case.wanted.split()))
    words = [sys.executable, "-m", "uv", "pip", "compile", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    words += ["--python", sys.executable, "--python-version", case.python, "--quiet", "--no-python-downloads"]
    words += ["--python-platform", UV_PLATFORMS[case.platform], "--index-url", f"{served.url}/{case.root}/"]
    compiled = _answer([*words, str(requirements)], folder)
    if compiled is None:
        return None
    first = re.split(r"[=<>]", case.wanted.split()[0])[0].lower().replace(".", "-")
    (line,) = [line for line in compiled.splitlines() if line.startswith(f"{first}==")]
    return line.strip()


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(CHOSEN) >= 30
    assert len(REFUSED) >= 10


@pytest.mark.parametrize("case", [*CHOSEN, *REFUSED], ids=str)
def test_uv_chooses(case: Case, served: Served, tmp_path: Path) -> None:
    assert _by_uv(case, served, tmp_path) == case.expected


@pytest.mark.parametrize("case", [*CHOSEN, *REFUSED], ids=str)
def test_pip_chooses(case: Case, served: Served, tmp_path: Path) -> None:
    assert _by_pip(case, served, tmp_path) == case.expected


@pytest.mark.parametrize("html_alone", [False, True], ids=["json", "html"])
@pytest.mark.parametrize("installer", [_by_pip, _by_uv])
def test_choosing_reads_the_page_and_metadata_and_no_wheel(
    installer: Callable[[Case, Served, Path], str | None],
    html_alone: bool,  # noqa: FBT001 (a parameter of a test)
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served, "html_alone", html_alone)
    served.bodies.clear()
    case = Case("stable", "stable==1.0")
    assert installer(case, served, tmp_path) == case.expected
    page, metadata = sorted(path.rpartition("/")[2] for path in served.bodies)
    assert page == ("" if html_alone else "index.json")
    assert metadata == f"stable-1.0-cp310-abi3-{X86}.whl.metadata"
    assert sum(served.bodies.values()) < 1_300


def test_times_of_upload_count(served: Served, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("plain")
    index = ["--index-url", f"{served.url}/simple/"]
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *index, "--python", sys.executable]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check", *index]
    for day, is_there in (("2026-09-20", False), ("2026-09-23", True)):
        by_uv = _answer([*uv, "--exclude-newer", day, str(tmp_path / "requirements.in")], tmp_path)
        by_pip = _answer([*pip, "--target", str(tmp_path / "t"), "--uploaded-prior-to", day, "plain"], tmp_path)
        assert [by_uv is not None, by_pip is not None] == [is_there, is_there], day


def test_files_with_a_plus_in_their_name_are_downloaded_and_checked(served: Served, tmp_path: Path) -> None:
    index = ["--index-url", f"{served.url}/torch2.13/cu12.9/simple/"]
    where = ["--platform", X86, "--python-version", "3.12", "--only-binary", ":all:"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(tmp_path)]
    assert _answer([*pip, "--no-deps", *index, *where, "ops"], tmp_path) is not None
    assert [path.name for path in tmp_path.glob("*.whl")] == [f"ops-1.0+torch2.13.cu12.9-cp312-cp312-{X86}.whl"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(tmp_path / "uv-target")]
    there = ["--python-platform", UV_PLATFORMS[X86], "--python-version", "3.12", "--no-python-downloads"]
    assert _answer([*uv, "--no-deps", *index, *there, "ops"], tmp_path) is not None
    assert (tmp_path / "uv-target" / "ops" / "_C.so").is_file()
