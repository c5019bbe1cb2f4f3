"""Rows of wheels.json: what a page is written from comes back as it went, and leads nowhere but to files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from made_wheels import made

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.publish.published import PublishedWheel
from gpuwheel.publish.wheel_facts import facts_of
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def row(tmp_path: Path) -> PublishedWheel:
    path = tmp_path / made().name
    write_wheel(path, made().members().values())
    return PublishedWheel(facts_of(path, load_tables()), f"../../{path.name}", "broken on 9.0", ("../",))


def test_rows_come_back_from_json(row: PublishedWheel) -> None:
    assert PublishedWheel.from_json(json.loads(json.dumps(row.to_json()))) == row


@pytest.mark.parametrize(
    "change",
    [
        {"url": "javascript:alert(1)"},
        {"url": "data:text/html,x"},
        {"url": "file:///etc/passwd"},
        {"url": 'a" onclick="x'},
        {"url": "a<b"},
        {"url": ""},
        {"url": 1},
        {"indexes": ["javascript:x"]},
        {"indexes": "../"},
        {"yanked": 1},
        {"sha256": "x"},
    ],
)
def test_rows_that_lead_elsewhere_are_refused(change: dict[str, object], row: PublishedWheel) -> None:
    with pytest.raises(AuditError):
        PublishedWheel.from_json(row.to_json() | change)


@pytest.mark.parametrize("url", ["https://example.com/ops-1%2Bcu13.0.whl?x=1#y", "../files/ops.whl", "/ops.whl"])
def test_addresses_of_files_are_taken(url: str, row: PublishedWheel) -> None:
    assert PublishedWheel.from_json(row.to_json() | {"url": url}).url == url
