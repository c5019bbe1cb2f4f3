"""Policies in place of versions: what they mean, what they became, and what is none."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.compatibility import known_versions, load_tables
from gpuwheel.config import load_config
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode
from gpuwheel.model.versions import POLICY_PATTERN, MinorVersion, VersionPolicy

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.config import LoadedConfig

KNOWN = known_versions(load_tables())
TORCHS = [str(version) for version in KNOWN.torch]
PYPROJECT = """\
[project]
name = "ops"
version = "1"
requires-python = "{python}"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
{keys}

[tool.gpuwheel.extensions."ops._C"]
sources = ["ops.cpp"]
{extension}
"""
CLASSIC = 'mode = "nvcc"\nabi = "exact"\npython = "version"'


def write(root: Path, keys: str, extension: str = CLASSIC, python: str = ">=3.10") -> Path:
    text = PYPROJECT.format(keys=keys, extension=extension, python=python)
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    (root / "ops.cpp").touch()
    return root


def load(root: Path, keys: str, extension: str = CLASSIC, python: str = ">=3.10") -> LoadedConfig:
    return load_config(write(root, keys, extension, python), environ={}, known=KNOWN)


versions = st.builds(MinorVersion, st.integers(1, 4), st.integers(0, 30))


@given(st.sets(versions, min_size=1), st.integers(1, 9))
def test_the_last_minors_are_the_newest_and_the_last_majors_the_newest_of_each(
    known: set[MinorVersion], count: int
) -> None:
    majors = {version.major for version in known}
    for unit, there in (("minors", len(known)), ("majors", len(majors))):
        policy = VersionPolicy.parse(f"last {count} {unit}")
        if there < count:
            with pytest.raises(ValueError, match="names more versions than gpuwheel knows"):
                policy.of(known)
            continue
        chosen = policy.of(known)
        assert len(chosen) == count
        assert list(chosen) == sorted(chosen)
        rivals = known - set(chosen)
        if unit == "minors":
            assert all(version < chosen[0] for version in rivals)
        else:
            assert [one.major for one in chosen] == sorted(majors)[-count:]
            assert all(max(v for v in known if v.major == one.major) == one for one in chosen)
    assert list(VersionPolicy.parse("supported").of(known)) == sorted(known)


def test_torchs_are_each_for_the_cxx_abi_and_one_floor_for_the_stable_one(tmp_path: Path) -> None:
    keys = 'cuda = "13.0"\ntorch = "last 3 minors"'
    exact = load(tmp_path, keys)
    assert [str(one) for one in exact.settings.torch] == [f"=={version}.*" for version in TORCHS[-3:]]
    assert str(exact.policies["torch"]) == "last 3 minors"
    stable = load(tmp_path, keys, 'mode = "nvcc"')
    assert [str(one) for one in stable.settings.torch] == [f">={TORCHS[-3]}"]
    assert [str(one) for one in load(tmp_path, 'torch = "supported"', "").settings.torch] == [f">={TORCHS[0]}"]


def test_pythons_are_those_of_the_project_and_its_torchs(tmp_path: Path) -> None:
    keys = 'cuda = "13.0"\ntorch = ["==2.14.*", "==2.15.*"]\npythons = "{}"'
    newest = load(tmp_path, keys.format("last 2 minors")).settings.pythons
    assert [str(one) for one in newest or ()] == ["3.14", "3.15"]
    bounded = load(tmp_path, keys.format("last 2 minors"), python=">=3.10,<3.13").settings.pythons
    assert [str(one) for one in bounded or ()] == ["3.11", "3.12"]
    every = load(tmp_path, keys.format("supported")).settings.pythons
    assert [str(one) for one in every or ()] == [f"3.{minor}" for minor in range(10, 16)]
    # Of torchs that a policy chose, too.
    both = load(tmp_path, 'cuda = "13.0"\ntorch = "last 1 minors"\npythons = "supported"').settings.pythons
    assert both == KNOWN.pythons[KNOWN.torch[-1]]


def test_toolkits_are_those_that_gpuwheel_compiles_with(tmp_path: Path) -> None:
    def toolkits(policy: str, extension: str) -> list[str]:
        return [str(one) for one in load(tmp_path, f'cuda = "{policy}"', extension).settings.cuda]

    tables = load_tables()
    brought = [str(version) for version, row in tables.cuda.items() if row.nvcc]
    # nvcc of CUDA 12 is on no index, and may be on the machine.
    assert toolkits("last 2 majors", 'mode = "nvcc"') == ["12.9", brought[-1]]
    assert toolkits("last 1 major", 'mode = "nvcc"') == [brought[-1]]
    embed = [str(version) for version in KNOWN.brought[Mode.EMBED]]
    assert toolkits("supported", "") == embed
    assert all(tables.cuda[MinorVersion.parse(text)].components for text in embed)


def test_the_plan_shows_what_a_policy_became(tmp_path: Path) -> None:
    project = write(tmp_path, 'cuda = "13.0"\ntorch = "last 2 minors"\npythons = "last 2 minors"')
    result = CliRunner().invoke(main, ["plan", str(project)])
    assert result.exit_code == 0, result.output
    assert f'torch = "last 2 minors" is =={TORCHS[-2]}.*, =={TORCHS[-1]}.*' in result.stdout
    assert 'pythons = "last 2 minors" is 3.14, 3.15' in result.stdout
    document = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    policies = {one["key"]: one["values"] for one in document["policies"]}
    assert policies == {"torch": [f"=={version}.*" for version in TORCHS[-2:]], "pythons": ["3.14", "3.15"]}
    built = [cell["torch"] for cell in document["cells"] if cell["accepted"]]
    assert set(built) == set(policies["torch"]), "what METADATA says is the versions, not the policy"
    by_setting = ["-C", "gpuwheel.torch=last 1 minors"]
    given_ = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json", *by_setting]).stdout)
    assert {cell["torch"] for cell in given_["cells"]} == {f"=={TORCHS[-1]}.*"}


@pytest.mark.parametrize(
    ("keys", "message", "hint"),
    [
        ('torch = "last 0 minors"', "torch in pyproject.toml is not valid", "one wheel serves every torch"),
        ('torch = "latest 3 minor versions"', "torch in pyproject.toml is not valid", "did you mean 'last 3 minors'?"),
        ('torch = "last 3"', "or a policy such as 'last 3 minors'", "did you mean 'last 3 minors'?"),
        ('pythons = "all"', "pythons in pyproject.toml is not valid", "did you mean 'supported'?"),
        ('cuda = "newest 2 majors"', "cuda in pyproject.toml is not valid", "did you mean 'last 2 majors'?"),
        ('torch = "last 50 minors"', "'last 50 minors' names more versions than gpuwheel knows (2.10,", "name fewer"),
        ('torch = "last 2 majors"', "'last 2 majors' names more versions than gpuwheel knows (2.", "name fewer"),
        ('torch = ["last 3 minors", "==2.10.*"]', "torch in pyproject.toml has a policy beside other", "alone"),
        ('pythons = ["last 2 minors", "last 3 minors"]', "has a policy beside other entries", "alone"),
    ],
)
def test_what_is_no_policy_is_told_what_would_be(tmp_path: Path, keys: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, keys)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_further_toolkits_of_an_extension_are_versions(tmp_path: Path) -> None:
    (tmp_path / "k.cu").touch()
    group = '\n[tool.gpuwheel.kernels.k]\nsources = ["k.cu"]'
    extension = 'mode = "kernels"\nkernels = ["k"]\ntoolkits = ["last 2 majors"]' + group
    with pytest.raises(ConfigError, match=r"toolkits in pyproject\.toml is not valid"):
        load(tmp_path, "", extension)


@given(st.from_regex(POLICY_PATTERN, fullmatch=True) | st.text())
def test_the_schema_takes_what_the_reader_does(text: str) -> None:
    in_schema = re.fullmatch(POLICY_PATTERN, text, re.ASCII) is not None
    try:
        policy = VersionPolicy.parse(text)
    except ValueError:
        assert not in_schema
    else:
        assert in_schema
        assert str(policy) == text
