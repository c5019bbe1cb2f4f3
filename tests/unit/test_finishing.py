"""From what the inner backend built to the wheel that ships: its platform, its judgement, its file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from heard import Heard
from made_wheels import BUILT, importing, made

from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config
from gpuwheel.errors import AuditError
from gpuwheel.model.toolchain import KernelsToolchain
from gpuwheel.pipeline.finishing import check, finish
from gpuwheel.pipeline.session import Compiled, Session
from gpuwheel.plan import plan
from gpuwheel.wheel import WheelEdits, read_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from made_wheels import Made

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel.extensions."ops._C"]
sources = ["ops.cpp"]
"""


@pytest.fixture
def heard() -> Heard:
    return Heard()


def session(root: Path, heard: Heard, more: str = "") -> Session:
    (root / "pyproject.toml").write_text(PYPROJECT + more, encoding="utf-8")
    (root / "ops.cpp").write_text("", encoding="utf-8")
    config = load_config(root, environ={})
    return Session(config, plan(config, load_tables())[0].cell, {}, heard)


def compiled(wheel: Made, platform: str | None = None) -> Compiled:
    """As the inner backend leaves it: with the platform tag of this machine."""
    plain = replace(wheel, tag="py3-none-linux_x86_64")
    return Compiled(plain.wheel(), replace(BUILT, platform=platform), KernelsToolchain(()))


@pytest.mark.parametrize(
    ("asked", "tag"), [(None, "manylinux_2_17_x86_64"), ("manylinux_2_35", "manylinux_2_35_x86_64")]
)
def test_a_wheel_gets_the_platform_that_was_asked_for_or_the_oldest(
    tmp_path: Path, heard: Heard, asked: str | None, tag: str
) -> None:
    edits = WheelEdits(("numpy>=2",), files={"sboms/x.json": b'{"bomFormat": "CycloneDX"}'}, generator="gpuwheel 1")
    name, packed = finish(session(tmp_path, heard), compiled(made(), asked), edits)
    packed.write(tmp_path / name)
    assert name == f"ops-1-py3-none-{tag}.whl"
    assert (tmp_path / name).stat().st_size == packed.size
    assert audit_wheel(tmp_path / name, load_tables()) == ()
    members = read_wheel(tmp_path / name).members
    assert b"Requires-Dist: numpy>=2" in members["ops-1.dist-info/METADATA"].data
    assert members["ops-1.dist-info/sboms/x.json"].data == b'{"bomFormat": "CycloneDX"}'
    assert heard.warnings == []


@pytest.mark.parametrize(
    ("wheel", "platform", "words"),
    [
        (made(), "manylinux_2_5", r"GLIBC_2\.14"),
        (importing("forgotten"), None, "forgotten"),
        (made(code=b"", archs=()), None, "kernel group 'fused'"),
        (made(files={"ops/other.so": b"text"}), None, "is not a readable ELF file"),
    ],
)
def test_what_is_not_fit_to_ship_is_refused_and_would_be(
    tmp_path: Path, heard: Heard, wheel: Made, platform: str | None, words: str
) -> None:
    with pytest.raises(AuditError, match=words):
        finish(session(tmp_path, heard), compiled(wheel, platform), WheelEdits())
    with pytest.raises(AuditError, match=words):
        check(session(tmp_path, heard), compiled(wheel, platform), WheelEdits())


def test_every_error_is_in_the_detail_with_its_rule(tmp_path: Path, heard: Heard) -> None:
    wheel = importing("forgotten", executable_stack=True)
    with pytest.raises(AuditError, match="and 1 more") as caught:
        finish(session(tmp_path, heard), compiled(wheel), WheelEdits())
    detail = caught.value.detail or ""
    assert "[unresolved-symbol]" in detail
    assert "[executable-stack]" in detail


def test_a_warning_is_told_once(tmp_path: Path, heard: Heard) -> None:
    changes: dict[str, Any] = {"library": {"exports": ["shown"]}}
    finish(session(tmp_path, heard), compiled(made(**changes)), WheelEdits())
    assert len(heard.warnings) == 1
    assert "exports symbols (shown" in heard.warnings[0]


def test_a_wheel_above_its_budget_is_refused(tmp_path: Path, heard: Heard) -> None:
    limited = session(tmp_path, heard, '[tool.gpuwheel.wheel]\nmax-size = "1 kB"\n')
    with pytest.raises(AuditError, match="is too large"):
        finish(limited, compiled(made()), WheelEdits())
    check(limited, compiled(made()), WheelEdits())
