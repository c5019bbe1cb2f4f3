"""The lines that `gpuwheel which` prints, typed: the newest pip and uv install that file, and no other."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from small_wheels import small_wheel

from gpuwheel._run import Completed, run
from gpuwheel._toml import parse_toml
from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Typed = Callable[..., Completed]

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
HOPPER = ["--elsewhere", "--python", VERSION, "--gpu", "9.0"]
LINUX = "py3-none-manylinux_2_17_x86_64"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; what is not there is forbidden, as in a bucket, and under `/site/` everything is a page."""

    def do_GET(self) -> None:
        if self.path.startswith("/site/"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b'<a href="/files/ops-9.0-py3-none-any.whl">ops</a>')
            return
        super().do_GET()

    def send_error(self, code: int, *_: Any) -> None:  # noqa: ANN401
        super().send_error(403 if code == 404 else code)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two wheels of one release that differ in CUDA alone, and an older one."""
    folder = tmp_path / "dist"
    folder.mkdir()
    small_wheel(folder, version="1.0", tag=LINUX)
    for cuda in ("12.9", "13.0"):
        small_wheel(folder, version=f"1.1+cu{cuda}", tag=LINUX, cuda=cuda)
    assert CliRunner().invoke(main, ["index", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def server(index: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(index))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def told(place: str, tool: str, *words: str) -> str:
    result = CliRunner().invoke(main, ["which", "ops", "--index", place, *HOPPER, *words, "--print", tool])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("environment") / "env"
    run([sys.executable, "-m", "venv", folder], env=os.environ)
    return folder


@pytest.fixture
def typed(environment: Path, tmp_path: Path) -> Typed:
    """Types a line where an environment is active that has nothing but pip."""
    # No index may be asked: everything is in the line.
    variables = {"HOME": str(tmp_path), "VIRTUAL_ENV": str(environment), "PIP_NO_INDEX": "1"}
    path = f"{environment}/bin:{Path(sys.executable).parent}:/usr/bin:/bin"

    def line(text: str, folder: Path = tmp_path) -> Completed:
        return run(["bash", "-c", text], cwd=folder, env={**variables, "PATH": path}, check=False)

    line("uv pip uninstall ops")
    return line


def installed(typed: Typed) -> str:
    asked = "import importlib.metadata as m; print(m.version('ops'))"
    return str(typed(f'python -c "{asked}"').stdout.strip())


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize(("driver", "version"), [("580", "1.1+cu13.0"), ("570", "1.1+cu12.9")])
def test_a_line_installs_the_wheel_for_the_driver(
    server: str, typed: Typed, tool: str, driver: str, version: str
) -> None:
    done = typed(told(server, tool, "--driver", driver))
    assert done.returncode == 0, done.output
    assert installed(typed) == version


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_another_file_under_that_name_is_refused(server: str, index: Path, typed: Typed, tool: str) -> None:
    line = told(server, tool, "--driver", "580")
    small_wheel(index, version="1.1+cu13.0", tag=LINUX, cuda="12.9")
    refused = typed(line)
    assert refused.returncode != 0
    assert "hash" in refused.output.lower()


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_from_a_folder(index: Path, typed: Typed, tool: str) -> None:
    done = typed(told(str(index), tool, "--driver", "570"))
    assert done.returncode == 0, done.output
    assert installed(typed) == "1.1+cu12.9"


def lock(text: str, folder: Path, typed: Typed) -> Completed:
    head = f'[project]\nname = "asking"\nversion = "1"\nrequires-python = "=={VERSION}.*"\n'
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text.replace("[project]\n", head), encoding="utf-8")
    return typed(f"uv lock --no-cache --python {sys.executable}", folder)


def locked(server: str, tmp_path: Path, typed: Typed, driver: str) -> dict[str, Any]:
    """What uv locks by the lines for pyproject.toml."""
    folder = tmp_path / f"asking-{driver}"
    done = lock(told(server, "pyproject.toml", "--driver", driver), folder, typed)
    assert done.returncode == 0, done.output
    found: dict[str, Any]
    (found,) = [one for one in parse_toml((folder / "uv.lock").read_bytes())["package"] if one["name"] == "ops"]
    return found


@pytest.mark.parametrize("driver", ["580", "570"])
def test_pyproject_locks_that_wheel_from_that_index(server: str, tmp_path: Path, typed: Typed, driver: str) -> None:
    found = locked(server, tmp_path, typed, driver)
    cuda = {"580": "13.0", "570": "12.9"}[driver]
    assert found["version"] == f"1.1+cu{cuda}"
    assert found["source"]["registry"].startswith(server)


def test_pyproject_locks_no_local_version_beside_the_chosen_one(
    server: str, index: Path, tmp_path: Path, typed: Typed
) -> None:
    # ==2.0 admits 2.0+cu13.0, which no driver of this machine runs.
    for version, cuda in (("2.0", "12.9"), ("2.0+cu13.0", "13.0")):
        small_wheel(index, version=version, tag=LINUX, cuda=cuda)
    assert CliRunner().invoke(main, ["index", str(index)]).exit_code == 0
    assert locked(server, tmp_path, typed, "570")["version"] == "2.0"
    assert locked(server, tmp_path, typed, "580")["version"] == "2.0+cu13.0"
    # Locks are for every system: nor one for another.
    for version, tag in (("3.0", LINUX), ("3.0+cu13.0", "py3-none-win_amd64")):
        small_wheel(index, version=version, tag=tag, cuda="12.9")
    assert CliRunner().invoke(main, ["index", str(index)]).exit_code == 0
    found = locked(server, tmp_path, typed, "575")
    assert (found["version"], list(found["source"])) == ("3.0", ["url"])
    # The digest stands there too.
    text = told(server, "pyproject.toml", "--driver", "575")
    small_wheel(index, version="3.0", tag=LINUX, cuda="13.0")
    lock(text, tmp_path / "another", typed)
    refused = typed("uv sync --no-cache --frozen", tmp_path / "another")
    assert refused.returncode != 0
    assert "hash" in refused.output.lower()


def test_an_index_of_others_is_read_as_far_as_it_tells(server: str) -> None:
    words = ["which", "ops", "--index", f"{server}/site", *HOPPER]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "ops 9.0" in result.stdout
    assert "not known: the index does not say what is in its wheels" in result.stdout


def test_a_password_goes_nowhere_else(server: str) -> None:
    place = server.replace("http://", "http://somebody:secret@")
    found = told(place, "pip", "--driver", "580")
    assert "secret" not in found
    assert server in found
