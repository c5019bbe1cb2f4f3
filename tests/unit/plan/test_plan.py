"""What is built, what is rejected and why, with the tables that ship."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from gpuwheel.compatibility import load_tables
from gpuwheel.config.model import Extension, Kernels, LoadedConfig, ProjectFacts, Settings, WheelSettings
from gpuwheel.errors import PlanError
from gpuwheel.model.archs import Arch, ArchTarget
from gpuwheel.model.versions import DriverVersion, MinorVersion
from gpuwheel.plan import choose, explain, plan

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.cells import Decision

TABLES = load_tables()
TOOLKIT = MinorVersion(12, 9)
NEWER, UNKNOWN = MinorVersion(13, 0), MinorVersion(12, 19)


def archs(text: str) -> tuple[ArchTarget, ...]:
    return tuple(ArchTarget.parse(part) for part in text.split())


SETTINGS = Settings(
    cuda=(TOOLKIT,),
    driver=DriverVersion((525,)),
    archs=archs("7.5 8.0 9.0 10.0+PTX 12.0"),
    torch=(SpecifierSet(">=2.10"),),
    kernels={"fused": Kernels(sources=("a.cu",))},
    extensions={"fused_ops._C": Extension(sources=("ops.cpp",), kernels=("fused",))},
)


class Heard:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def decide(settings: Settings, root: Path, python: str | None = ">=3.10", machine: str = "x86_64") -> Decision:
    project = ProjectFacts(root=root, name="fused-ops", requires_python=python, dependencies=None)
    oldest = MinorVersion(3, 10)
    config = LoadedConfig(settings, project, origins={}, inner={}, inner_table={}, warnings=(), oldest_python=oldest)
    (decision,) = plan(config, TABLES, machine=machine)
    return decision


def test_the_defaults_make_one_cell(root: Path) -> None:
    decision = decide(SETTINGS, root)
    assert decision.accepted
    assert decision.cell.identifier == "embed-cu12.9-torch2.10-linux_x86_64"
    assert decision.cell.torch_floor == MinorVersion(2, 10)
    assert decision.cell.archs == SETTINGS.archs


def test_a_cell_is_for_the_machine_that_host_code_is_compiled_for(root: Path) -> None:
    decision = decide(SETTINGS, root, machine="aarch64")
    assert decision.accepted
    assert decision.cell.identifier == "embed-cu12.9-torch2.10-linux_aarch64"
    assert decision.cell.platform == "linux_aarch64"


def test_the_defaults_serve_every_known_device_from_their_lowest_on(root: Path) -> None:
    rows = decide(SETTINGS, root).coverage
    assert [row.device for row in rows] == [device for device in TABLES.devices if device >= Arch(7, 5)]
    assert all(row.served_by for row in rows)
    served = {str(row.device): row.served_by for row in rows}
    assert (served["8.9"], served["10.3"], served["11.0"]) == ("sm_80", "sm_100", "compute_100")


def test_what_is_not_served_is_listed(root: Path) -> None:
    decision = decide(replace(SETTINGS, archs=archs("9.0a 12.0")), root)
    gaps = [str(row.device) for row in decision.coverage if row.served_by is None]
    assert {"10.0", "10.3", "11.0"} <= set(gaps)
    heard = Heard()
    choose([decision], heard)
    assert heard.warnings == [f"no image serves compute capability {', '.join(gaps)}: add them or a +PTX to archs"]


@given(st.sets(st.sampled_from([arch for arch in TABLES.cuda[TOOLKIT].archs if not arch.suffix]), min_size=1))
def test_ptx_of_the_lowest_architecture_serves_everything_above(root: Path, chosen: set[Arch]) -> None:
    targets = tuple(ArchTarget(arch, ptx=arch == min(chosen)) for arch in chosen)
    decision = decide(replace(SETTINGS, archs=targets), root)
    assert decision.accepted
    assert decision.cell.archs == tuple(sorted(targets))
    assert all(row.served_by for row in decision.coverage)


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ((525,), ("-compress-all", "-compress-level=9")),
        ((550,), ("-compress-all", "-compress-level=9")),
        ((550, 54), ("-compress-all", "-compress-mode=size")),
        ((580,), ("-compress-all", "-compress-mode=size")),
    ],
)
def test_compression_follows_the_driver_floor(root: Path, driver: tuple[int, ...], options: tuple[str, ...]) -> None:
    assert decide(replace(SETTINGS, driver=DriverVersion(driver)), root).cell.compression == options


def test_ptx_newer_than_the_driver_floor_is_a_note(root: Path) -> None:
    (note,) = decide(SETTINGS, root).notes
    assert "ISA 8.8" in note
    assert ">=575.51.03" in note
    assert decide(replace(SETTINGS, driver=DriverVersion((580,))), root).notes == ()
    assert decide(replace(SETTINGS, archs=archs("8.0 9.0")), root).notes == ()


def test_a_deprecated_architecture_is_a_note(root: Path) -> None:
    (note,) = decide(replace(SETTINGS, archs=archs("7.0 8.0")), root).notes
    assert note.startswith("NVRTC 12.9 calls 7.0 deprecated")


def test_a_renamed_architecture_is_a_note(root: Path) -> None:
    (note,) = decide(replace(SETTINGS, archs=archs("10.1")), root).notes
    assert note == "10.1 is called 11.0 by later toolkits"


def test_a_group_that_covers_less_is_a_note(root: Path) -> None:
    group = Kernels(sources=("a.cu",), archs=archs("9.0a"))
    notes = decide(replace(SETTINGS, kernels={"hopper": group}), root).notes
    assert any(note.startswith("kernels.hopper.archs has no image for 7.5, 8.0, ") for note in notes)


@pytest.mark.parametrize(
    ("changes", "reasons", "hint"),
    [
        ({"archs": archs("8.0 10.7")}, ["archs names 10.7, which cuda 12.9 does not", "10.7: cuda 13."], "'10.3+PTX'"),
        ({"archs": archs("11.0")}, ["11.0: cuda 13.0 and newer"], "cuda 12.9 knows 11.0 as '10.1'"),
        ({"archs": archs("8.1")}, ["(it knows 5.0, ", "8.1: no toolkit"], "did you mean '8."),
        ({"archs": archs("9.0f")}, ["archs names 9.0f", "10.0f"], None),
        ({"archs": archs("3.5+PTX 8.0")}, ["archs names 3.5"], "leave 3.5 out: '5.0' is the oldest"),
        ({"archs": archs("3.0")}, ["archs names 3.0"], "leave 3.0 out"),
        (
            {"kernels": {"hopper": Kernels(sources=("a.cu",), archs=archs("9.1"))}},
            ["kernels.hopper.archs names 9.1, which cuda 12.9 does not compile for"],
            "did you mean '9.0'?",
        ),
        ({"torch": (SpecifierSet(">=2.9"),)}, ["torch 2.9 has no complete stable ABI"], 'torch = ">=2.10"'),
        ({"torch": (SpecifierSet(">=99.0"),)}, ["torch 99.0 is newer than the headers"], "pip install -U gpuwheel"),
        ({"driver": DriverVersion((470, 57))}, ["driver 470.57 cannot load images of cuda 12.9"], 'driver = ">=525"'),
        ({"cuda": (NEWER,)}, ["cuda 13.0 has no device compiler", "expected 580 or newer"], 'cuda = "12.9"'),
        ({"cuda": (UNKNOWN,)}, ["cuda 12.19 is not a toolkit that gpuwheel knows"], "did you mean '12.9'?"),
        ({"wheel": WheelSettings(platform="manylinux_2_82")}, ["wheel.platform 'manylinux_2_82'"], "did you mean"),
    ],
)
def test_a_cell_that_cannot_be_built(
    root: Path, changes: dict[str, object], reasons: list[str], hint: str | None
) -> None:
    decision = decide(replace(SETTINGS, **changes), root)
    assert not decision.accepted
    for reason in reasons:
        assert reason in decision.reason
    if hint is not None:
        assert hint in (decision.hint or "")


def test_a_rejection_says_everything_that_is_wrong(root: Path) -> None:
    changed = replace(SETTINGS, archs=archs("10.7"), torch=(SpecifierSet(">=2.8"),), driver=DriverVersion((450,)))
    reason = decide(changed, root).reason
    assert all(subject in reason for subject in ("archs names 10.7", "torch 2.8", "driver 450"))


@pytest.mark.parametrize("python", [">=3.10", None, "==3.12.*", ">=3.10.4"])
def test_pythons_that_have_a_torch(root: Path, python: str | None) -> None:
    assert decide(SETTINGS, root, python).accepted


def test_pythons_that_no_torch_has(root: Path) -> None:
    decision = decide(SETTINGS, root, ">=3.99")
    assert "requires-python '>=3.99' admits no Python that torch >=2.10 has a wheel for" in decision.reason
    assert decision.hint == 'requires-python = ">=3.10"'


def test_choosing_from_a_plan_takes_what_is_accepted(root: Path) -> None:
    good, bad = decide(SETTINGS, root), decide(replace(SETTINGS, cuda=(NEWER,)), root)
    heard = Heard()
    assert choose([bad, good], heard) == good.cell
    assert heard.infos == list(good.notes)
    assert heard.warnings == []


def test_a_rejected_plan_is_an_error_with_its_reason(root: Path) -> None:
    bad = decide(replace(SETTINGS, torch=(SpecifierSet(">=2.9"),)), root)
    with pytest.raises(
        PlanError, match=r"^embed-cu12.9-torch2.9-linux_x86_64 cannot be built: torch 2.9 has"
    ) as caught:
        choose([bad], Heard())
    assert caught.value.hint == 'torch = ">=2.10"'


def test_several_rejected_candidates_are_all_named(root: Path) -> None:
    bad = [decide(replace(SETTINGS, torch=(SpecifierSet(f">=2.{minor}"),)), root) for minor in (8, 9)]
    with pytest.raises(PlanError, match=r"^none of 2 candidates can be built") as caught:
        choose(bad, Heard())
    assert caught.value.detail == explain(bad)


def test_a_plan_in_words(root: Path) -> None:
    text = explain([decide(SETTINGS, root), decide(replace(SETTINGS, torch=(SpecifierSet(">=2.9"),)), root)])
    lines = text.splitlines()
    assert lines[0].startswith(
        "embed-cu12.9-torch2.10-linux_x86_64  build: one wheel serves every Python, torch >=2.10"
    )
    assert "  compute_100  11.0" in lines
    assert any(line.startswith("  note: PTX of cuda 12.9") for line in lines)
    assert any(line.startswith("embed-cu12.9-torch2.9-linux_x86_64  reject: torch 2.9") for line in lines)
    assert lines[-1] == '  hint: torch = ">=2.10"'
