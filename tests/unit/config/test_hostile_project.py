"""Projects that are wrong in ways that libraries below take badly: an error of ours before anything compiles."""

from __future__ import annotations

import json
import os
import re
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from gpuwheel.cli import main
from gpuwheel.compile.includes import IncludeScanner
from gpuwheel.config import load_config
from gpuwheel.config.reading.variables import epoch_of
from gpuwheel.errors import CompileError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = '[project]\nname = "tiny"\nversion = "1"\nrequires-python = ">=3.10"\ndynamic = ["dependencies"]\n'
TOOL = '[tool.gpuwheel]\n[tool.gpuwheel.extensions."tiny._C"]\nsources = ["a.cpp"]\n'


def _refused(root: Path, text: str) -> ConfigError:
    (root / "a.cpp").write_text("", encoding="utf-8")
    (root / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_config(root, environ={})
    assert time.process_time() - start < 10
    assert len(caught.value.message) < 2000
    assert caught.value.hint
    return caught.value


STANDARD = {
    'readme = "nope.md"': "nope.md",
    'readme = "/dev/zero"': "readme",
    'readme = ".."': "readme",
    'readme = {file = "nope.md", content-type = "text/x-unknown"}': "nope.md",
    'readme = {text = "x"}': "content-type",
    "readme = 1": "readme",
    f'readme = "{"x" * 5000}"': "readme",
    'license-files = ["../LICENSE"]': "license-files|LICENSE",
    'license-files = ["/etc/passwd"]': "license-files",
    'license-files = ["nope"]': "license-files|nope",
    'classifiers = ["a", 1]': "classifiers",
    'authors = ["somebody"]': "authors",
    "keywords = 1": "keywords",
    "urls = 1": "urls",
    "scripts = {a = 1}": "scripts",
    'optional-dependencies = {a = ["!"]}': "optional-dependencies|requirement",
}


@pytest.mark.parametrize("line", STANDARD)
def test_what_the_standard_refuses(tmp_path: Path, line: str) -> None:
    assert re.search(STANDARD[line], _refused(tmp_path, f"{HEAD}{line}\n{TOOL}").message)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "tiny"', 'name = "-tiny-"'),
        ('name = "tiny"', 'name = "ti ny"'),
        ('version = "1"', 'version = "one"'),
        ('version = "1"', "version = 1"),
        ('version = "1"', ""),
        ('version = "1"', f'version = "{"9" * 5000}"'),
    ],
)
def test_a_name_or_version_that_is_none(tmp_path: Path, old: str, new: str) -> None:
    assert "[project]" in _refused(tmp_path, HEAD.replace(old, new) + TOOL).message


def test_several_mistakes_are_all_listed(tmp_path: Path) -> None:
    error = _refused(tmp_path, HEAD.replace('"1"', '"one"') + 'readme = "nope.md"\n' + TOOL)
    assert "and 1 more" in error.message
    assert "nope.md" in (error.detail or "")
    assert "one" in (error.detail or "")


def test_doctor_and_plan_see_it(tmp_path: Path) -> None:
    _refused(tmp_path, HEAD + 'readme = "nope.md"\n' + TOOL)
    result = CliRunner().invoke(main, ["doctor", "--no-network", "--json", str(tmp_path)])
    assert result.exit_code == 1
    errors = [check for check in json.loads(result.stdout)["checks"] if check["state"] == "error"]
    assert any("nope.md" in check["found"] and check["fix"] for check in errors)
    planned = CliRunner().invoke(main, ["plan", str(tmp_path)])
    assert planned.exit_code == ConfigError.exit_code
    assert "nope.md" in planned.output


DOCUMENTS = {
    "deep lists": HEAD + "x = " + "[" * 10_000 + "\n",
    "deep tables": HEAD + "x = " + "{a=" * 10_000 + "\n",
    "deep names": HEAD + "[tool.gpuwheel]\narchs." + "a." * 200_000 + "b = 1\n",
    "deep headers": HEAD + "[tool.gpuwheel.archs." + "'a' . " * 200_000 + "b]\n",
    "a number of 5000 digits": HEAD + "x = " + "9" * 5000 + "\n",
    "not UTF-8": HEAD + "x = '\udcff'\n",
    "too large": HEAD + "#" * 5_000_000 + "\n",
    "a pattern of 3000 parts": HEAD + TOOL.replace("a.cpp", "a/" * 3000 + "a.cpp"),
    "a pattern of many depths": HEAD + TOOL.replace("a.cpp", "**/" * 20 + "a.cpp"),
    "a name of 5000 letters": HEAD + TOOL.replace("a.cpp", "a" * 5000),
    "a name with a zero": HEAD + TOOL.replace("a.cpp", "a\\u0000b.cpp"),
    "an include-dir of 5000 letters": HEAD + TOOL + f'include-dirs = ["{"a" * 5000}"]\n',
    "an include-dir with a zero": HEAD + TOOL + 'include-dirs = ["a\\u0000b"]\n',
    "an include-dir of 3000 parts": HEAD + TOOL + f'include-dirs = ["{"a/" * 3000}"]\n',
    "tool is a number": HEAD + "tool = 1\n",
    "overrides are numbers": HEAD + "[tool.scikit-build]\noverrides = [1]\n" + TOOL,
    "sdist.exclude is a number": HEAD + "[tool.scikit-build]\nsdist.exclude = 1\n" + TOOL,
    "sdist.exclude holds a number": HEAD + "[tool.scikit-build]\nsdist.exclude = [1]\n" + TOOL,
    "an option of 5000 letters": HEAD + TOOL + f'mode = "nvcc"\nlink-flags = ["{"a" * 5000}\\n"]\n',
    "dependencies are one": HEAD.replace('dynamic = ["dependencies"]', 'dependencies = "torch>=2.10"') + TOOL,
    "scikit-build is a number": HEAD + TOOL.replace("[tool.gpuwheel]", "[tool]\nscikit-build = 5\n[tool.gpuwheel]", 1),
    "overrides are one": HEAD + "[tool.scikit-build]\noverrides = 1\n" + TOOL,
}


def test_an_option_longer_than_any_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").touch()
    option = f"-Wl,--defsym=a={'a' * 5000}"
    text = HEAD + TOOL + f'link-flags = ["{option}"]\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path, environ={}).settings.extensions["tiny._C"].link_flags == (option,)


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document(tmp_path: Path, case: str) -> None:
    _refused(tmp_path, DOCUMENTS[case])


@pytest.mark.parametrize("text", ["²", "-1", "1.5", " 1", "9" * 5000, str(2**63), "soon"])
def test_a_date_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH is not a number of seconds"):
        epoch_of({"SOURCE_DATE_EPOCH": text})


def test_a_date_that_is_none_is_said_before_a_build(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").touch()
    (tmp_path / "pyproject.toml").write_text(HEAD + TOOL, encoding="utf-8")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH"):
        load_config(tmp_path, environ={"SOURCE_DATE_EPOCH": "soon"})


def test_dates() -> None:
    assert epoch_of({}) is None
    assert epoch_of({"SOURCE_DATE_EPOCH": "0"}) == 0
    assert epoch_of({"SOURCE_DATE_EPOCH": "1763776801"}) == 1763776801


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/random", "pipe", "a" * 5000, "circle"])
def test_an_include_that_never_ends(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    source = tmp_path / "a.cu"
    source.write_text(f'#include "{name}"\n', encoding="utf-8")
    with pytest.raises(CompileError) as caught:
        IncludeScanner(()).closure(source)
    assert "included" in caught.value.message or "is not a source file" in caught.value.message
    assert caught.value.hint
