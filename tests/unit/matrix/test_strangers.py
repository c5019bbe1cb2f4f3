"""What programs see that packages and projects bring: nothing that signs for somebody, or opens a bucket."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from gpuwheel._cache import Cache
from gpuwheel._environment import load_variables, of_strangers, without_secrets
from gpuwheel.audit.repair.auditwheel import graft
from gpuwheel.errors import ToolchainError
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.matrix.installers import find_installer
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

SECRETS = {
    "GPUWHEEL_REMOTE_KEY": "k",
    "GPUWHEEL_REMOTE_KEY_FILE": "/k",
    "AWS_ACCESS_KEY_ID": "i",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_SESSION_TOKEN": "t",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "u",
}
REMOTE = {"GPUWHEEL_REMOTE": "s3://bucket/x", "GPUWHEEL_REMOTE_WRITE": "main", "GPUWHEEL_REMOTE_TRUST": "main=x"}
# With either, the table passes on what opens a bucket: to compilers, that a project was trusted with.
SCCACHE = {"SCCACHE_BUCKET": "b", "SCCACHE_CONF": "/c"}
REST = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "CXX": "g++", "PIP_INDEX_URL": "https://example.org/simple"}
ENVIRON = {**SECRETS, **REMOTE, **SCCACHE, **REST}


def _told(environ: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in {**SECRETS, **REMOTE}}


def test_every_secret_of_the_table_is_kept_from_others_and_nothing_else() -> None:
    names = {variable.name.replace("*", "ANY") for variable in load_variables() if variable.secret}
    assert {"GPUWHEEL_REMOTE_KEY", "AWS_SECRET_ACCESS_KEY"} < names
    environ = {**dict.fromkeys(names, "x"), **ENVIRON}

    assert without_secrets(environ) == {**REMOTE, **SCCACHE, **REST}
    assert of_strangers(environ) == {**SCCACHE, **REST, "GPUWHEEL_REMOTE": "off"}


def test_the_process_of_a_cell_has_what_the_remote_needs() -> None:
    assert _told(entered(Path(sys.executable), ENVIRON)) == {**SECRETS, **REMOTE}


def test_installs_which_run_what_dependencies_bring_see_none(tmp_path: Path) -> None:
    installer = find_installer(tmp_path, Context(Cache(tmp_path / "cache"), ENVIRON, SilentReporter()))

    assert _told(installer.environ) == {"GPUWHEEL_REMOTE": "off"}
    assert installer.environ["PIP_INDEX_URL"] == REST["PIP_INDEX_URL"]


def test_a_hook_sees_that_there_is_a_remote_and_no_secret(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    code = f"import json, os\nopen({str(python.parent / 'seen')!r}, 'w').write(json.dumps(dict(os.environ)))"
    python.write_text(f"#!{sys.executable}\n{code}\nprint(json.dumps({{'requires': ['tabulate']}}))\n")
    python.chmod(0o755)
    context = Context(Cache(tmp_path / "cache"), ENVIRON, SilentReporter())

    asked = BuildEnvironments(tmp_path, context)._required(python, {})  # noqa: SLF001  (what makes one asks the network)

    assert asked == ["tabulate"]
    # What it says that a build requires depends on whether there is a remote.
    assert _told(json.loads((python.parent / "seen").read_text())) == REMOTE


def test_what_repairs_wheels_sees_none(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    # Read by Python as it starts, before auditwheel, wherever that is.
    code = f"import json, os\nopen({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
    (tmp_path / "sitecustomize.py").write_text(f"{code}print('auditwheel 99.0', flush=True)\nos._exit(0)\n")
    (tmp_path / "auditwheel").write_text(f"#!{sys.executable}\n")
    (tmp_path / "auditwheel").chmod(0o755)
    environ = {**ENVIRON, "PATH": f"{tmp_path}:{REST['PATH']}", "PYTHONPATH": str(tmp_path)}
    (tmp_path / "out").mkdir()

    with pytest.raises(ToolchainError, match="wrote 0 wheels"):
        graft(tmp_path / "ops-1-py3-none-any.whl", tmp_path / "out", [], environ)

    assert _told(json.loads(seen.read_text())) == {"GPUWHEEL_REMOTE": "off"}
