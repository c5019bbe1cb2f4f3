"""What a failing build ends with. Each row of the table of causes has a case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._toml import read_toml
from gpuwheel.compile.messages import Place, build_failure, read_causes, read_messages
from gpuwheel.compile.messages.causes import field_names
from gpuwheel.compile.messages.ending import known_cause

if TYPE_CHECKING:
    from gpuwheel.compile.messages import Message


@dataclass(frozen=True)
class Case:
    """What a tool says of line 2 of `csrc/a.cpp` or `csrc/k.cu`, and how the build then ends."""

    build: str
    output: str
    message: str
    line: str = ""
    hint: str = ""


DATA = Path(__file__).parents[1] / "data" / "messages" / "cases.toml"
CASES = [Case(**case) for case in read_toml(DATA)["cases"]]


def placed(case: Case, root: Path) -> tuple[str, Place]:
    source = "csrc/k.cu" if case.build == "group" else ""
    (root / "csrc").mkdir(exist_ok=True)
    for name in ("a.cpp", "k.cu"):
        (root / "csrc" / name).write_text(f"// first\n{case.line}\n", encoding="utf-8")
    place = Place(root, case.build, None if source else root / "build", source=source, groups=("one", "two"))
    return case.output.replace("{root}", str(root)), place


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.message[:50])
def test_a_known_cause_has_its_own_words(tmp_path: Path, case: Case) -> None:
    error = build_failure(*placed(case, tmp_path), "build failed")
    assert error.message.startswith(case.message.replace("{root}", str(tmp_path)))
    assert case.hint in (error.hint or "")
    assert len(error.message.splitlines()) <= 3
    assert "\0" not in error.message


def test_each_row_of_the_table_has_a_case(tmp_path: Path) -> None:
    used = set()
    for case in CASES:
        output, place = placed(case, tmp_path)
        _, cause, _ = known_cause([message for message in read_messages(output) if message.is_error], place)
        used.add(cause)
    assert [(cause.match.pattern, cause.says) for cause in read_causes() if cause not in used] == []


def test_the_words_of_each_row_name_what_its_patterns_find() -> None:
    for cause in read_causes():
        patterns = [it for it in (cause.match, cause.line, cause.whole, cause.requires) if it is not None]
        known = {name.rstrip("2") for pattern in patterns for name in pattern.groupindex} | {"source", "groups"}
        assert field_names(cause.says) | field_names(cause.hint or "") <= known, cause.says


def test_a_row_explains_nothing_where_a_name_in_its_words_was_not_found(tmp_path: Path) -> None:
    """Older toolkits leave the function out."""
    output = "csrc/a.cu(3): error: calling a __host__ function from a __global__ function is not allowed\n"
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cu").write_text("\n\nf();\n")
    error = build_failure(output, Place(tmp_path, "nvcc"), "building")
    assert error.message.splitlines() == [
        "csrc/a.cu:3: calling a __host__ function from a __global__ function is not allowed",
        "  f();",
    ]


def only(output: str) -> Message:
    (message,) = read_messages(output)
    return message


def test_colours_links_and_foreign_letters_are_read_through() -> None:
    coloured = (
        "\x1b[01m\x1b[K/p/gr\u00f6\u00dfe.cpp:3:5:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[K"
        "\u2018unbekannt\u2019 was not declared"
        " [\x1b[01;35m\x1b[K\x1b]8;;https://gcc.gnu.org\x07-Wx\x1b]8;;\x07\x1b[m\x1b[K]\r\n"
    )
    message = only(coloured)
    assert message.position is not None
    assert (message.position.file, message.position.line, message.position.column) == ("/p/gr\u00f6\u00dfe.cpp", 3, 5)
    assert message.text == "\u2018unbekannt\u2019 was not declared [-Wx]"


def test_progress_that_is_written_over_does_not_hide_an_error() -> None:
    assert only("[1/5] Building a\r[2/5] Building b\rFAILED: b\r\ncc b\r\n/p/b.c:1:2: error: no\n").command == "cc b"


def test_an_error_in_a_header_of_others_names_the_users_line(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("one\ntwo\nthree\n")
    output = (
        f"In file included from /usr/include/vector:66,\n                 from {tmp_path}/a.cpp:1:\n"
        "/usr/include/bits/x.h: In instantiation of \u2018void f(T) [with T = int]\u2019:\n"
        f"/usr/include/bits/y.h:9:3:   required from \u2018void g()\u2019\n{tmp_path}/a.cpp:3:7:   required from here\n"
        "/usr/include/bits/x.h:5:1: error: use of deleted function \u2018N::N(const N&)\u2019\n"
    )
    error = build_failure(output, Place(tmp_path, "embed", tmp_path / "build"), "build failed")
    assert error.message == "a.cpp:3: use of deleted function \u2018N::N(const N&)\u2019 (in bits/x.h:5)\n  three"


@pytest.mark.parametrize("inside", ["build", ".venv/lib/python3.11/site-packages/torch"])
def test_what_is_below_the_project_and_not_the_users_is_not_named(tmp_path: Path, inside: str) -> None:
    output = f"In file included from {tmp_path}/a.cpp:1:\n{tmp_path}/{inside}/x.h:5:1: error: broken\n"
    error = build_failure(output, Place(tmp_path, "embed", tmp_path / "build"), "build failed")
    assert error.message.startswith("a.cpp:1: broken (in ")


def test_without_an_error_that_is_known_the_messages_above_are_pointed_at(tmp_path: Path) -> None:
    error = build_failure("make: nothing\n", Place(tmp_path, "embed"), "scikit-build-core build failed (exit status 7)")
    assert error.message == "scikit-build-core build failed (exit status 7): the messages above say why"
    assert "logging.level" in str(error.hint)


def test_the_first_error_is_shown_in_the_compilers_words_where_no_cause_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.cpp").write_text("int x = y;\n")
    output = f"{tmp_path}/a.cpp:1:9: error: \u2018y\u2019 was not declared\n{tmp_path}/a.cpp:1:1: error: second\n" * 40
    error = build_failure(output, Place(tmp_path, "embed", tmp_path / "build"), "build failed")
    assert error.message == "a.cpp:1: \u2018y\u2019 was not declared\n  int x = y;"


def test_much_output_is_read_in_little_time(tmp_path: Path) -> None:
    output = (
        "x" * 1_000_000 + "\n" + "a.cpp:1:1: error: " + "(" * 100_000 + "\n" + "In file included from a\n" * 100_000
    )
    assert len(build_failure(output, Place(tmp_path, "embed"), "build failed").message) < 1000
