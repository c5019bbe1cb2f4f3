"""Which headers of the toolkit need the `crt` headers, as the tables say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import CompileError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import Project

pytestmark = [pytest.mark.network, pytest.mark.slow]


def _failing(project: Project, headers: Iterable[str]) -> dict[str, str]:
    """Headers that do not compile, each by itself, with what the compiler says."""
    project.archs = ("sm_90",)
    problems = {}
    for number, header in enumerate(sorted(headers)):
        source = project.root / f"k{number}.cu"
        source.write_text(f"#include <{header}>\n__global__ void k{number}() {{}}\n", encoding="utf-8")
        try:
            project.build(sources=(source,), ptx_archs=())
        except CompileError as error:
            problems[header] = f"{error.detail}\n{error.message}"
    return problems


def test_the_headers_that_need_crt_are_the_ones_of_the_table(project: Project) -> None:
    (pin,) = load_tables().cuda[MinorVersion(12, 9)].headers
    runtime = project.compiler.include_dirs[0]
    without = _failing(project, (path.name for path in runtime.glob("*.h")))
    lacking = {header for header, problem in without.items() if 'cannot open source file "crt/' in problem}
    project.add_headers()
    assert lacking - _failing(project, lacking).keys() == set(pin.required_by)
