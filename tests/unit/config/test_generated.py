"""The JSON schema and the reference page: generated, stored, and in agreement with the loader."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel._toml import parse_toml
from gpuwheel.config.documents.reference import reference_page
from gpuwheel.config.documents.schema import json_schema
from gpuwheel.config.model import Settings
from gpuwheel.config.reading.defaults import default_texts
from gpuwheel.config.reading.setting_keys import keys_of
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).resolve().parents[3]

GOOD = """
[tool.gpuwheel]
minimum-version = "0.1"
cuda = "12.9"
driver = ">=525.60"
archs = ["7.5", "9.0a", "10.0+PTX"]
torch = ">=2.10"
dependencies = ["numpy>=1.26"]
[tool.gpuwheel.kernels.fused]
sources = ["csrc/kernels/*.cu"]
std = "c++20"
budget = 64
lineinfo = true
[tool.gpuwheel.extensions."fused_ops._C"]
sources = ["csrc/ops.cpp"]
kernels = ["fused"]
mode = "embed"
[tool.gpuwheel.wheel]
platform = "manylinux_2_28"
max-size = "1.5 GiB"
graft = ["libfftw3.so.*"]
"""

BAD = [
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', "archs = []"),
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', 'archs = ["sm_90"]'),
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', 'archs = ["8.0", "8.0"]'),
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', 'archs = "8.0"'),
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', "archs = [8.0]"),
    ('archs = ["7.5", "9.0a", "10.0+PTX"]', 'arch = ["8.0"]'),
    ('cuda = "12.9"', 'cuda = ["12.9", "12.9"]'),
    ('cuda = "12.9"', "cuda = 12.9"),
    ('cuda = "12.9"', 'cuda = "12"'),
    ('driver = ">=525.60"', 'driver = "525"'),
    ('torch = ">=2.10"', 'torch = ">=2.10,<3"'),
    ('torch = ">=2.10"', 'torch = "2.10"'),
    ('minimum-version = "0.1"', 'minimum-version = "soon"'),
    ('dependencies = ["numpy>=1.26"]', 'dependencies = ["numpy", "numpy"]'),
    ('dependencies = ["numpy>=1.26"]', "dependencies = [1]"),
    ('std = "c++20"', 'std = "c++14"'),
    ("budget = 64", "budget = 0"),
    ("budget = 64", "budget = true"),
    ("lineinfo = true", 'lineinfo = "true"'),
    ('sources = ["csrc/kernels/*.cu"]', ""),
    ('sources = ["csrc/kernels/*.cu"]', "sources = []"),
    ('sources = ["csrc/kernels/*.cu"]', 'sources = ["/csrc/*.cu"]'),
    ('sources = ["csrc/kernels/*.cu"]', 'sources = ["csrc/../../x.cu"]'),
    ('sources = ["csrc/kernels/*.cu"]', 'sources = ["a.cu", "a.cu"]'),
    ('kernels = ["fused"]', 'kernels = ["fused-ops"]'),
    ('mode = "embed"', 'mode = "nvrtc"'),
    ('"fused_ops._C"', '"fused-ops._C"'),
    ("kernels.fused]", "kernels.fused-x]"),
    ('platform = "manylinux_2_28"', 'platform = "linux"'),
    ('max-size = "1.5 GiB"', "max-size = 100"),
    ('max-size = "1.5 GiB"', 'max-size = "0 MB"'),
    ('max-size = "1.5 GiB"', 'max_size = "1 MB"'),
]


def accepted_by_schema(text: str) -> bool:
    return jsonschema.Draft7Validator(json_schema()).is_valid(parse_toml(text.encode())["tool"]["gpuwheel"])


def project_with(project: Project, text: str) -> Project:
    return project.replace(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\ndynamic = ["dependencies"]\n' + text
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_stored_schema_is_the_generated_one() -> None:
    assert json.loads(resource("data", "gpuwheel.schema.json").read_text(encoding="utf-8")) == json_schema()


def test_a_good_configuration_is_accepted_by_both(project: Project) -> None:
    assert accepted_by_schema(GOOD)
    assert project_with(project, GOOD).load().settings.wheel.max_size == 3 * 2**29


@pytest.mark.parametrize(("good", "bad"), BAD)
def test_a_bad_configuration_is_rejected_by_both(project: Project, good: str, bad: str) -> None:
    assert good in GOOD
    text = GOOD.replace(good, bad)
    assert not accepted_by_schema(text)
    with pytest.raises(ConfigError):
        project_with(project, text).load()


def test_defaults_of_data_are_keys_that_the_schema_accepts() -> None:
    defaults = dict(default_texts())
    wheel = {name.partition(".")[2]: defaults.pop(name) for name in list(defaults) if name.startswith("wheel.")}
    assert set(defaults) == {key.name for key in keys_of(Settings).values() if key.required}
    jsonschema.Draft7Validator(json_schema()).validate({**defaults, "wheel": wheel})


def test_every_key_is_documented() -> None:
    page = reference_page()

    def check(fields: type) -> None:
        for key in keys_of(fields).values():
            assert key.doc, key.name
            assert key.doc in page
            nested = getattr(key.value, "fields", None)
            if nested is not None:
                check(nested)

    check(Settings)


def test_check_passes_on_what_is_stored_and_shows_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(ROOT / "ci" / "generate_reference.py"))

    def main(*words: str) -> tuple[int, str]:
        return script["main"](list(words)), capsys.readouterr().out

    assert main("--check") == (0, "")
    assert main("--root", str(tmp_path))[0] == 0
    assert main("--check", "--root", str(tmp_path)) == (0, "")
    schema = tmp_path / "gpuwheel" / "data" / "gpuwheel.schema.json"
    schema.write_text(schema.read_text(encoding="utf-8").replace("draft-07", "draft-06"), encoding="utf-8")
    status, shown = main("--check", "--root", str(tmp_path))
    assert status == 1
    assert "+  " in shown
    assert "draft-06" in shown
