"""The table's forms are those of NVIDIA's assembler: what ci/ptx_forms/check.py found holds for the table as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuwheel.testing.ptx.forms import table

FOLDER = Path(__file__).resolve().parents[4] / "ci" / "ptx_forms"


@pytest.fixture(scope="module")
def check() -> Any:  # noqa: ANN401 - a script
    sys.path.insert(0, str(FOLDER))
    try:
        import check  # noqa: PLC0415 - of that folder

        return check
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return json.loads((FOLDER / "result.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_the_result_is_that_of_the_table(check: Any, kept: dict[str, Any]) -> None:  # noqa: ANN401
    """Else run the script again: forms were added, or are gone."""
    illegal, lacks, refused = {*kept["illegal"]}, {}, 0
    for line, texts, is_refused in check.manual():
        legal = [text for text in texts if text not in illegal]
        missing = [text for text in legal if not check.has_meaning(text)]
        if is_refused:
            assert missing == legal, line
            refused += len(legal)
        elif missing:
            lacks[line] = {"missing": len(missing), "of": len(legal), "first": missing[0]}
    assert lacks == kept["lacks"]
    assert (refused, len(table())) == (kept["refused by name"], kept["rows"])


def test_a_modifier_that_a_row_does_not_have_makes_it_no_form(check: Any) -> None:  # noqa: ANN401
    for row in table():
        text, _ = next(iter(check.texts_of(row)), ("", set()))
        name, _, operands = text.partition(" ")
        words = name.split(".")
        for at in range(1, len(words) + 1 if text else 0):
            for more in ("foo", "oob"):
                changed = f"{'.'.join((*words[:at], more, *words[at:]))} {operands}"
                assert not check.has_meaning(changed), changed
