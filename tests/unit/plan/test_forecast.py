"""What a build takes: from records alone, and unknown where there are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner
from matrix_project import copy_matrix_project

from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.matrix.journal import Finished, Journal
from gpuwheel.matrix.wheelhouse import journal_of
from gpuwheel.model.jobs import SourceCost
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.planning.planned import with_forecast
from gpuwheel.plan.views.forecast import BuiltBefore, Forecast, Recorded, shown_size, shown_time

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_matrix_project(tmp_path / "matrix", torchs=["2.13", "2.14"], pythons=["3.11", "3.12", "3.13"])


def sources_of(project: Path) -> list[str]:
    return sorted(path.relative_to(project).as_posix() for path in (project / "csrc").rglob("*.c[up]*"))


def of(project: Path, recorded: Recorded, cores: int = 2) -> Forecast:
    build = Build(project, {}, {}, SilentReporter())
    found = with_forecast(build.overview(), build.config, recorded, cores=cores).forecast
    assert found is not None
    return found


def test_nothing_is_known_of_what_was_never_built(project: Path) -> None:
    found = of(project, Recorded({}, {}))
    assert (found.seconds, found.size, found.wheels) == (None, None, 6)
    assert list(found.unknown) == sources_of(project)
    assert found.text == (
        "time unknown: 12 of 12 sources were never compiled here, 6 wheels, size unknown: none was built here"
    )
    assert found.of("nvcc-cu13.0-torch2.13-cp312-linux_x86_64") == "never built here: time and size unknown"


def test_one_source_that_nobody_compiled_leaves_the_time_unknown(project: Path) -> None:
    first, *others = sources_of(project)
    found = of(project, Recorded(dict.fromkeys(others, 10.0), {}))
    assert (found.seconds, found.unknown) == (None, (first,))
    assert found.text.startswith("time unknown: 1 of 12 sources were never compiled here")


def test_each_source_counts_as_often_as_wheels_differ_in_it(project: Path) -> None:
    names = sources_of(project)

    def seconds(name: str, cores: int = 1) -> float:
        found = of(project, Recorded({one: float(one == name) for one in names}, {}), cores).seconds
        assert found is not None
        return found

    # Without torch: once. With torch's C++ headers: once for each torch. The module: for each torch and each Python.
    assert {seconds(name) for name in names if "/device/" in name} == {1.0}
    assert seconds("csrc/operators.cpp") == 2.0
    assert seconds("csrc/module.cpp") == 6.0
    assert seconds("csrc/module.cpp", cores=3) == 2.0
    assert seconds("csrc/module.cpp", cores=64) == 1.0, "never less than the longest takes"
    links = {"_C.cpython-311-x86_64-linux-gnu.so": 1.0, "_C.cpython-312-x86_64-linux-gnu.so": 2.0}
    linked = of(project, Recorded({**dict.fromkeys(names, 0.0), **links}, {}), cores=1).seconds
    assert linked == 12.0


def test_wheels_that_were_never_built_are_taken_for_the_average_of_the_others(project: Path) -> None:
    cells = {
        "nvcc-cu13.0-torch2.13-cp311-linux_x86_64": BuiltBefore(61.0, 4_000_000),
        "nvcc-cu13.0-torch2.13-cp312-linux_x86_64": BuiltBefore(5.0, 8_000_000),
        "nvcc-cu13.0-torch2.9-cp312-linux_x86_64": BuiltBefore(5.0, 10**12),  # of another plan
    }
    found = of(project, Recorded({}, cells))
    assert found.size == 36_000_000
    assert found.of("nvcc-cu13.0-torch2.13-cp311-linux_x86_64") == "built before in 61 s, 4.0 MB"
    assert len(found.cells) == 2


def test_the_command_reads_what_builds_recorded(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(cache))
    monkeypatch.setenv("MAX_JOBS", "2")
    costs = RecordedCosts(Cache(cache), "matrix_ops")
    for name in sources_of(project):
        costs.add(name, "cuda sm_80", SourceCost(40.0, 60.0, 10**9, 1))
    costs.save()
    cell = "nvcc-cu13.0-torch2.13-cp311-linux_x86_64"
    Journal(journal_of(project / "dist")).add(Finished("k", cell, "matrix_ops-1.whl", "0" * 64, 7_000_000, 93.0))
    document = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    found = document["forecast"]
    assert (found["cores"], found["size"], found["cells"]) == (
        2,
        42_000_000,
        {cell: {"seconds": 93.0, "size": 7_000_000}},
    )
    assert found["seconds"] > 60
    text = CliRunner().invoke(main, ["plan", str(project)]).stdout
    assert " min of compiling on 2 cores if nothing is kept, 6 wheels, about 42 MB\n" in text
    explained = CliRunner().invoke(main, ["plan", str(project), "--explain", cell]).stdout
    assert "  forecast: built before in 2 min, 7.0 MB\n" in explained
    assert "  forecast: never built here" in CliRunner().invoke(main, ["plan", str(project), "--explain", "*"]).stdout


def test_a_damaged_record_is_none(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    journal = journal_of(project / "dist")
    journal.parent.mkdir(parents=True)
    journal.write_bytes(b'{"key": 1}\n\xff\n[]\n')
    result = CliRunner().invoke(main, ["plan", str(project)])
    assert result.exit_code == 0, result.output
    assert "forecast: time unknown" in result.stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (41, "41 s"), (120, "2 min"), (720, "12 min"), (12000, "3 h 20 min")],
)
def test_times_are_as_people_say_them(seconds: float, text: str) -> None:
    assert shown_time(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(430_000, "430 kB"), (4_100_000, "4.1 MB"), (41_000_000, "41 MB"), (1_200_000_000, "1200 MB")]
)
def test_sizes_are_as_people_say_them(size: int, text: str) -> None:
    assert shown_size(size) == text
