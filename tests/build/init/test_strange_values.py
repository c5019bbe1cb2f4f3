"""Whatever a setup.py says, `gpuwheel init` ends with a proposal or with an error of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from setup_projects import SIMPLE

from gpuwheel.adopt import Machine, default_toolkit, fitting_torches, propose, read_setup, render_pyproject
from gpuwheel.adopt.shipped import shipped_files
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from setup_projects import Project

    from gpuwheel.adopt import SetupRecord

VALUES: tuple[Any, ...] = (
    *(1, True, "", "x", "../..", "a\nb", [], ["a"], [["a", "b"]], [1], [None], {}, {"a": 1}, {"a": ["b"]}),
    *({"": "."}, {"a": {"b": "c"}}, {"?": "a thing"}, "\0", ["\0"], "[", ["["], {"a": ["["]}, {"a": None}, [{}]),
)
KEYWORDS = (
    *("name", "version", "description", "long_description", "author", "license", "classifiers", "keywords", "url"),
    *("project_urls", "packages", "py_modules", "package_dir", "package_data", "exclude_package_data", "scripts"),
    *("include_package_data", "python_requires", "install_requires", "extras_require", "entry_points", "ext_package"),
    *("cmake_args", "cmake_source_dir", "data_files", "libraries", "unheard_of"),
)
ATTRIBUTES = (
    *("sources", "include_dirs", "define_macros", "undef_macros", "library_dirs", "libraries", "extra_compile_args"),
    *("extra_link_args", "extra_objects", "dlink", "py_limited_api", "own", "runtime_library_dirs"),
)


def _records(record: SetupRecord) -> Iterator[tuple[str, SetupRecord]]:
    (extension,) = record.extensions
    for value in VALUES:
        for key in KEYWORDS:
            yield f"{key}={value!r}", replace(record, keywords={**record.keywords, key: value})
        for key in ATTRIBUTES:
            strange = replace(extension, attributes={**extension.attributes, key: value})
            yield f"{key}={value!r}", replace(record, extensions=(strange,))
        if isinstance(value, str):
            yield f"name {value!r}", replace(record, extensions=(replace(extension, name=value),))
            yield f"archs {value!r}", replace(record, arch_lists={"9.0": value})


def test_values_of_any_kind_end_in_a_proposal_or_in_an_error_of_ours(project: Callable[..., Project]) -> None:
    tables = load_tables()
    toolkit = default_toolkit()
    machine = Machine.of(tables, toolkit, fitting_torches(tables, toolkit)[0])
    record = read_setup(project(SIMPLE).root, [machine], {})
    wrong = []
    for said, strange in _records(record):
        with suppress(ConfigError):
            try:
                render_pyproject("", propose(strange, {}, tables))
            except (TypeError, ValueError, LookupError, AttributeError, OSError, RuntimeError) as error:
                wrong.append(f"{said}: {error!r}")
    assert not wrong, "\n".join(wrong)


def test_half_a_character_ends_in_text(project: Callable[..., Project]) -> None:
    """A file that was read with `surrogateescape`, or a name that is not UTF-8."""
    tables = load_tables()
    machine = Machine.of(tables, default_toolkit(), fitting_torches(tables, default_toolkit())[0])
    record = read_setup(project(SIMPLE.replace("setup(", 'setup(description="a \\ud800 b",', 1)).root, [machine], {})
    assert record.keywords["description"] == "a ? b"
    assert "a ? b" in render_pyproject("", propose(record, {}, tables))


@pytest.mark.parametrize("pattern", ["[z-a]", "a[]", "[", "*[!]*"])
def test_a_glob_of_a_manifest_that_is_none_matches_nothing(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").touch()
    (tmp_path / "ops" / "data.json").touch()
    (tmp_path / "MANIFEST.in").write_text(f"include {pattern}\ninclude ops/*.json\n", encoding="utf-8")
    shipped = shipped_files({"ops": "ops"}, {"include_package_data": True}, tmp_path)
    assert shipped == {"ops/__init__.py", "ops/data.json"}
