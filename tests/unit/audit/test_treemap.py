"""Bytes by file and architecture: areas in proportion, the same bytes as a table, and what dropping a target saves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hostile import container, elf_library, entry

from gpuwheel.audit.contents.arch_costs import forecasts
from gpuwheel.audit.contents.wheel_contents import read_contents
from gpuwheel.audit.rendering.squarified import Box, squarified
from gpuwheel.audit.rendering.treemap import tiles, treemap
from gpuwheel.audit.repair.measuring import measured
from gpuwheel.cli import main
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from gpuwheel.compatibility import Tables

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    code = container(
        entry(bytes(40_000), arch=80) + entry(bytes(20_000), arch=86) + entry(b"x" * 8_000, kind=1, arch=80)
    )
    info = "ops-1.dist-info"
    members = {
        f"{info}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        "ops/_C.so": elf_library({}, sections={".nv_fatbin": code}),
        "ops/a<b>&.py": b"#" * 9_000,
        **{f"ops/tiny{number}.py": b"1" for number in range(5)},
    }
    path = tmp_path / "ops-1-py3-none-any.whl"
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return path


@pytest.mark.parametrize(
    "sizes", [[6, 6, 4, 3, 2, 2, 1], [1] * 17, [1000, 1], [5], [0, 0], [], [7, 0, 0], [10**10, 10**9, 1]]
)
def test_areas_are_in_proportion_and_lie_beside_each_other(sizes: list[float]) -> None:
    whole = Box(3, 4, 600, 400)
    boxes = squarified(sizes, whole)
    assert len(boxes) == len(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(600 * 400 * size / (sum(sizes) or 1), abs=1e-3)
        assert box.x >= 3 - 1e-6
        assert box.y >= 4 - 1e-6
        assert box.x + box.width <= 603 + 1e-6
        assert box.y + box.height <= 404 + 1e-6
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(wide, high) < 1e-6


def test_the_paper_s_example_is_laid_as_in_the_paper() -> None:
    # Bruls, Huizing, van Wijk: sizes 6 6 4 3 2 2 1 in 6 x 4; the first two stand in a column of width 3.
    boxes = squarified([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [(round(box.width, 3), round(box.height, 3)) for box in boxes[:3]] == [(3, 2), (3, 2), (1.714, 2.333)]


def test_every_byte_is_in_the_drawing_and_every_area_has_words(wheel: Path) -> None:
    contents = read_contents(wheel)
    assert sum(tile.size for tile in tiles(contents)) == contents.unpacked
    root = ET.fromstring(treemap(contents, alone=True))  # noqa: S314 (ours)
    assert root.get("role") == "img"
    labelled = (root.get("aria-labelledby") or "").split()
    texts = {each.get("id"): each.text or "" for each in root if each.get("id")}
    assert all(texts[name] for name in labelled)
    assert "sm_86 cubin 20.0 kB" in texts["map-text"]
    areas = root.findall(f"{SVG}rect")
    titles = [(area.findtext(f"{SVG}title") or "") for area in areas]
    assert all(titles)
    assert any("a<b>&.py" in title for title in titles)  # escaped, so that it is text again here
    assert any("other files" in title for title in titles)
    by_title = {
        title: float(a.get("width", 0)) * float(a.get("height", 0)) for title, a in zip(titles, areas, strict=True)
    }
    large, small = (by_title[f"ops/_C.so: {name}"] for name in ("sm_80 cubin 40.0 kB", "sm_86 cubin 20.0 kB"))
    assert large / small == pytest.approx(2, rel=0.02)


def test_a_forecast_says_what_is_saved_and_who_is_served_otherwise(wheel: Path, tables: Tables) -> None:
    contents = read_contents(wheel)
    found = {(one.kind, one.target): one for one in forecasts(contents, tables)}
    sm_86 = found["cubin", "sm_86"]
    assert sm_86.unpacked == 20_000
    assert 0 < sm_86.packed < contents.members["ops/_C.so"].packed
    assert ("8.6", "sm_80") in sm_86.otherwise
    assert not sm_86.unserved
    # PTX for 8.0 is what Hopper and Blackwell run: nothing else is there for them, and Ampere does not need it.
    ptx = found["ptx", "compute_80"]
    assert {"9.0", "10.0", "12.0"} <= set(ptx.unserved)
    assert not any(device.startswith("8.") for device, _ in ptx.otherwise)
    assert sum(one.packed for one in found.values()) <= contents.members["ops/_C.so"].packed


def test_a_measured_forecast_is_what_repair_saves(wheel: Path, tables: Tables, tmp_path: Path) -> None:
    found = {one.target: one for one in measured(wheel, forecasts(read_contents(wheel), tables), SilentReporter())}
    assert all(one.is_measured for one in found.values())
    for target in ("sm_86", "compute_80"):
        words = ["repair", "--no-graft", "--drop-arch", target, "--allow-holes", "--json", "-w", str(tmp_path / target)]
        result = CliRunner().invoke(main, [*words, str(wheel)])
        (row,) = json.loads(result.stdout)["wheels"]
        lost = wheel.stat().st_size - Path(row["written"]).stat().st_size
        assert abs(found[target].packed - lost) < 200, row  # RECORD says another digest
        assert row["size"] == {"before": wheel.stat().st_size, "after": wheel.stat().st_size - lost}
        dry = CliRunner().invoke(main, [*words, "--dry-run", str(wheel)])
        assert json.loads(dry.stdout)["wheels"][0]["size"] == row["size"]
    document = json.loads(CliRunner().invoke(main, ["inspect", "--measure", "--json", str(wheel)]).stdout)
    rows = {one["target"]: one for one in document["wheels"][0]["without"]}
    assert (rows["sm_86"]["packed"], rows["sm_86"]["is_estimate"]) == (found["sm_86"].packed, False)


@pytest.mark.parametrize("name", ["sizes.svg", "sizes.html"])
def test_the_command_writes_what_is_asked_for(wheel: Path, tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["inspect", "--forecast", "--treemap", str(tmp_path / name), str(wheel)])
    assert result.exit_code == 0, result.output
    assert re.search(r"sm_86 cubin +about .* 8\.6.* runs? sm_80", result.stdout)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert "a<b>" not in text
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    if name.endswith(".html"):
        assert "20,000" in text
        assert "stimated" in text


def test_one_wheel_and_one_of_two_kinds_of_file(wheel: Path, tmp_path: Path) -> None:
    for words in (["sizes.png", str(wheel)], [str(tmp_path / "sizes.svg"), str(wheel), str(wheel)]):
        result = CliRunner().invoke(main, ["inspect", "--treemap", *words])
        assert result.exit_code == 2
        assert ".svg or .html" in result.stderr
