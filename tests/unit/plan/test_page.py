"""The page of a plan: whole without a network and a script, and readable by more than eyes."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from matrix_project import copy_matrix_project

from gpuwheel.cli import main
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.plan.views.plan_page import plan_page

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.plan.views.overview import Overview

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What a reader of the page meets; a tag that is not closed is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


@pytest.fixture(scope="module")
def overview(tmp_path_factory: pytest.TempPathFactory) -> Overview:
    project = copy_matrix_project(tmp_path_factory.mktemp("page") / "matrix")
    return Build(project, {}, {}, SilentReporter()).overview()


def test_it_holds_everything_and_fetches_nothing(overview: Overview) -> None:
    text = plan_page(overview)
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert page.values("src") == []
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.values("content")
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    ids, links = page.values("id"), page.values("href")
    assert len(ids) == len(set(ids)) == len(overview.cells)
    assert {link.removeprefix("#") for link in links} == set(ids)
    for facts in overview.cells:
        assert facts.decision.reason in page.text
        assert (facts.file or "reject") in page.text
    for gain in overview.gains:
        assert gain.text in page.text


def test_tables_say_what_their_cells_are(overview: Overview) -> None:
    page = Page(plan_page(overview))
    heads = [attrs for tag, attrs in page.tags if tag == "th"]
    assert heads
    assert all(attrs.get("scope") in {"row", "col"} for attrs in heads)
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert any(tag == "main" for tag, _ in page.tags)
    # A verdict is a word, and not a colour alone.
    assert page.text.count("build") >= 2 * len(overview.accepted)


def test_what_a_project_is_called_cannot_become_markup(overview: Overview) -> None:
    hostile = '"><script>alert(1)</script>&amp;'
    cells = tuple(
        replace(facts, narrow=(hostile,), decision=replace(facts.decision, reason=hostile, hint=hostile))
        for facts in overview.cells
    )
    text = plan_page(replace(overview, name=hostile, version=hostile, cells=cells))
    assert "<script" not in text
    assert hostile in Page(text).text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_plan_of_any_size_has_a_page(overview: Overview, count: int) -> None:
    page = Page(plan_page(replace(overview, cells=overview.cells[:count])))
    assert [facts.cell.identifier in page.text for facts in overview.cells] == [
        number < count for number in range(len(overview.cells))
    ]


def test_the_command_writes_it_whole_or_not_at_all(tmp_path: Path) -> None:
    project = copy_matrix_project(tmp_path / "matrix", torchs=["2.13"], pythons=["3.12"])
    written = CliRunner().invoke(main, ["plan", str(project), "--html", str(tmp_path / "plan.html")])
    assert written.exit_code == 0, written.output
    assert "nvcc-cu13.0-torch2.13-cp312-linux_x86_64  build" in written.stdout
    assert Page((tmp_path / "plan.html").read_text(encoding="utf-8")).text.strip().startswith("matrix-ops 1.0: 1 of 1")
    nowhere = CliRunner().invoke(main, ["plan", str(project), "--html", str(tmp_path / "none" / "plan.html")])
    assert nowhere.exit_code != 0
    assert "error: " in nowhere.stderr
    assert str(tmp_path / "none") in nowhere.stderr
