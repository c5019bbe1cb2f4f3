"""The report: true to what was heard, valid, and readable without a script."""

from __future__ import annotations

import json
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel.errors import CompileError
from gpuwheel.matrix.building import Outcome, State
from gpuwheel.matrix.journal import Finished
from gpuwheel.matrix.report.history import History
from gpuwheel.matrix.report.page import page
from gpuwheel.matrix.snapshot import Snapshot
from gpuwheel.matrix.tasks import Task
from gpuwheel.matrix.trials.verdicts import Trial

if TYPE_CHECKING:
    from pathlib import Path

_VERDICTS = {10: True, 13: False, 15: None}
_VOID = {"meta", "rect", "line"}


class _Page(HTMLParser):
    """Elements, which have to close in order, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID or tag == "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _document(folder: Path) -> dict[str, Any]:
    history = History(Snapshot(folder / "ops-1.2.tar.gz", "0" * 64, folder), cores=2, memory=None)
    built = Task("nvcc-cu13.0-cp312-linux_x86_64", "3.12", {}, (), "k1")
    failed = Task("nvcc-cu13.0-cp313-linux_x86_64", "3.13", {}, (), "k2")
    now = time.time()
    for task in (built, failed):
        history.heard(task, {"event": "step", "time": now, "text": "finding the toolchain"})
        history.heard(task, {"event": "progress", "time": now, "text": "downloading", "done": 1, "total": 2})
        history.heard(task, {"event": "step", "time": now + 2, "text": "compiling <all> & everything"})
    for source, start in (("csrc/a.cu", now + 2), ("csrc/b.cu", now + 3), ("csrc/c<T>.cu", now + 7)):
        told = {"source": source, "start": start, "seconds": 4.0, "peak": 3_100_000_000}
        history.heard(built, {"event": "source", "time": start + 4, **told})
    history.heard(built, {"event": "reused", "time": now, "text": "reused csrc/kept.cpp", "source": "csrc/kept.cpp"})
    wheel = Finished("k1", built.identifier, "ops-1.2-cp312-cp312-linux_x86_64.whl", "1" * 64, 1_500_000, 11.0)
    error = CompileError("csrc/a.cu does not compile (<b>)", hint="mend it")
    tried = [Trial("3.12", f"2.{minor}.0", "smoke", passed, 1.0, "") for minor, passed in _VERDICTS.items()]
    trials = tuple({"name": f"torch {trial.torch}", **trial.as_json()} for trial in tried)
    return history.document(
        [Outcome(built, State.BUILT, wheel, None, 11.0, 20.0, trials), Outcome(failed, State.FAILED, None, error, 3.0)]
    )


def test_the_document_is_as_its_schema_says(tmp_path: Path) -> None:
    schema = json.loads(resource("data/report.schema.json").read_text(encoding="utf-8"))
    document = _document(tmp_path)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    built, failed = document["cells"]
    assert [stage["seconds"] for stage in built["stages"]] == [2.0, 9.0]
    assert [source["source"] for source in built["sources"]] == ["csrc/a.cu", "csrc/b.cu", "csrc/c<T>.cu"]
    assert built["reused"] == ["csrc/kept.cpp"]
    assert failed["error"] == {
        "message": "csrc/a.cu does not compile (<b>)",
        "hint": "mend it",
        "exit_code": CompileError.exit_code,
    }


def test_the_page_holds_what_the_document_says(tmp_path: Path) -> None:
    parsed = _Page()
    parsed.feed(page(_document(tmp_path)))
    assert parsed.open == []
    for words in ("ops-1.2-cp312-cp312-linux_x86_64.whl", "csrc/a.cu does not compile (<b>)", "csrc/c<T>.cu", "3.1 GB"):
        assert words in parsed.text
    for words in ("passed: torch 2.10.0", "FAILED: torch 2.13.0", "not tried: torch 2.15.0"):
        assert words in parsed.text
    assert not {tag for tag, _ in parsed.elements} & {"script", "link", "img", "b"}
    bars = [attributes for tag, attributes in parsed.elements if tag == "rect"]
    assert len(bars) == 7
    # The second source began before the first had ended: another lane; the third fits behind the first.
    assert len({bar["y"] for bar in bars if bar["class"] == "source"}) == 2


@pytest.mark.parametrize("cells", [[], None])
def test_a_run_that_built_nothing_has_a_page_too(tmp_path: Path, cells: list[Any] | None) -> None:
    document = _document(tmp_path)
    if cells is not None:
        document["cells"] = cells
    else:
        for cell in document["cells"]:
            cell |= {"stages": [], "sources": []}
    parsed = _Page()
    parsed.feed(page(document))
    assert "svg" not in {tag for tag, _ in parsed.elements}
