"""Whatever a setup.py says, `gpuwheel init` ends with a proposal or with an error of its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from setup_projects import SIMPLE

from gpuwheel.adopt import Machine, default_toolkit, fitting_torches, propose, read_setup, render_pyproject
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
