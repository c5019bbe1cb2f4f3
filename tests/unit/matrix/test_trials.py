"""Where a wheel says that it runs, and what its trials mean for it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.matrix.trials import Trial, check_trials
from gpuwheel.matrix.trials.claims import Pair, claims_of
from gpuwheel.wheel import Member, write_wheel

if TYPE_CHECKING:
    from pathlib import Path

TORCHES = {str(version): row for version, row in load_tables().torch.items()}
HERE = f"manylinux_2_28_{platform.machine()}"


def _wheel(folder: Path, tag: str, *headers: str) -> Path:
    path = folder / f"ops-1-{tag}.whl"
    info = "ops-1.dist-info"
    metadata = "\n".join(["Metadata-Version: 2.1", "Name: ops", "Version: 1", *headers, "", ""])
    wheel = f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n"
    write_wheel(path, [Member(f"{info}/METADATA", metadata.encode()), Member(f"{info}/WHEEL", wheel.encode())])
    return path


def _pairs(folder: Path, tag: str, *headers: str) -> tuple[Pair, ...]:
    return claims_of(_wheel(folder, tag, *headers)).pairs


def test_a_narrow_wheel_claims_one_python_and_one_torch(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, f"cp312-cp312-{HERE}", "Requires-Dist: torch==2.13.*")

    assert pairs == (Pair(TORCHES["2.13"].release, "3.12"),)


def test_a_collapsed_wheel_claims_a_range_from_the_oldest_of_both_to_the_newest(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, f"py3-none-{HERE}", "Requires-Python: >=3.10", "Requires-Dist: torch>=2.10")
    newest = TORCHES[max(TORCHES, key=lambda text: tuple(map(int, text.split("."))))]

    assert pairs[0] == Pair(TORCHES["2.10"].release, "3.10")
    assert pairs[-1].torch == newest.release
    assert pairs[-1].python == max((one for one in newest.pythons if not one.endswith("t")), key=lambda t: int(t[2:]))
    # What a torch has no wheel for, nobody can try.
    assert all(pair.python in {row.release: row for row in TORCHES.values()}[str(pair.torch)].pythons for pair in pairs)


def test_the_limited_api_begins_with_its_python(tmp_path: Path) -> None:
    pythons = {pair.python for pair in _pairs(tmp_path, f"cp311-abi3-{HERE}", "Requires-Dist: torch>=2.10")}

    assert "3.10" not in pythons
    assert {"3.11", "3.12", "3.13"} <= pythons
    assert not any(python.endswith("t") for python in pythons)


def test_a_free_threaded_wheel_claims_that_python(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, f"cp314-cp314t-{HERE}", "Requires-Dist: torch>=2.10")

    assert {pair.python for pair in pairs} == {"3.14t"}


def test_a_wheel_without_torch_claims_pythons_alone(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, "py3-none-any", "Requires-Python: >=3.11,<3.13", 'Requires-Dist: torch; extra == "torch"')

    assert pairs == (Pair(None, "3.11"), Pair(None, "3.12"))


def test_what_does_not_exist_is_claimed_in_vain(tmp_path: Path) -> None:
    assert _pairs(tmp_path, "py3-none-any", "Requires-Dist: torch>=99") == ()


def test_a_wheel_for_another_machine_says_so(tmp_path: Path) -> None:
    other = "aarch64" if platform.machine() != "aarch64" else "x86_64"

    assert claims_of(_wheel(tmp_path, f"py3-none-manylinux_2_28_{other}")).foreign == f"manylinux_2_28_{other}"
    assert claims_of(_wheel(tmp_path, f"py3-none-{HERE}")).foreign is None


def _trial(*, passed: bool | None, output: str = "what was printed") -> Trial:
    return Trial("3.12", "2.13.0", "smoke", passed, 1.0, output)


def test_a_wheel_that_fails_a_trial_is_refused_with_what_was_printed(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"ops\.whl failed its trial with Python 3\.12 and torch 2\.13\.0") as caught:
        check_trials(tmp_path / "ops.whl", [_trial(passed=True), _trial(passed=False)])

    assert caught.value.detail == "what was printed"


def test_a_wheel_that_could_be_tried_nowhere_is_refused_with_the_reasons(tmp_path: Path) -> None:
    trials = [_trial(passed=None, output="Python 3.12 is not installed")]

    with pytest.raises(AuditError, match="could not be tried anywhere") as caught:
        check_trials(tmp_path / "ops.whl", trials)

    assert "Python 3.12 is not installed" in str(caught.value.detail)


def test_one_trial_that_took_place_is_enough_and_none_asked_for_is_none(tmp_path: Path) -> None:
    check_trials(tmp_path / "ops.whl", [_trial(passed=None), _trial(passed=True)])
    check_trials(tmp_path / "ops.whl", [])
