"""What an inspection of a wheel found, as a value that comes back from JSON as it went."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hostile import container, entry
from made_wheels import Made, importing, made

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.publish.wheel_facts import WheelFacts, facts_of
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path


def _facts(wheel: Made, folder: Path) -> WheelFacts:
    path = folder / wheel.name
    write_wheel(path, wheel.members().values())
    return facts_of(path, load_tables())


def test_what_bytes_and_metadata_say(tmp_path: Path) -> None:
    found = _facts(made(), tmp_path)
    assert (found.name, found.version, found.tags) == ("ops", "1", ("py3-none-manylinux_2_17_x86_64",))
    assert (found.torch, found.cuda, found.driver) == (">=2.10", "12.9", "525")
    assert [(code.members, code.cubins, code.further) for code in found.code] == [(("ops/_C.so",), ("7.5",), False)]
    assert found.size == (tmp_path / found.filename).stat().st_size


def test_symbols_raise_the_floor_that_metadata_states(tmp_path: Path) -> None:
    shim = next(shim for shim in load_tables().shims.values() if str(shim.since) == "2.11")
    assert _facts(importing(shim.name), tmp_path).torch == ">=2.10,>=2.11"


def test_later_toolkits_are_told_apart(tmp_path: Path) -> None:
    files = {"ops/fused.cu13.0.fatbin": container(entry(bytes(64), arch=100))}
    found = _facts(made(files=files), tmp_path)
    assert [(code.cubins, code.driver, code.further) for code in found.code] == [
        (("7.5",), "525", False),
        (("10.0",), "580", True),
    ]
    assert found.driver == "525"


def test_facts_come_back_from_json(tmp_path: Path) -> None:
    found = _facts(made(), tmp_path)
    assert WheelFacts.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"code": [{}]}, {"tags": [1]}, {"unknown": 1}, {"code": 3}, {"requires_dist": None}]
)
def test_facts_of_others_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    data = _facts(made(), tmp_path).to_json() | change
    with pytest.raises(AuditError):
        WheelFacts.from_json(data)
