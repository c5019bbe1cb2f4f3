"""Kernels with one mistake each are reported as what they are, and their correct twins are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cuda_ptx import compile_to_ptx

from gpuwheel.testing.ptx.executor import Configuration, Executor
from gpuwheel.testing.ptx.reports import as_annotations, as_json, as_text

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.executor import LaunchResult, LoadedModule

pytestmark = [pytest.mark.network, pytest.mark.compiler]

SOURCE = Path(__file__).with_name("mistakes.cu")


@dataclass(frozen=True)
class Case:
    """What must be reported, and how it is launched."""

    kind: str
    grid: int = 1
    block: int = 64
    n: int = 64
    shared: int = 0
    cooperative: bool = False


CASES = {
    "off_by_one": Case("out-of-bounds", grid=2, n=100),
    "before_start": Case("out-of-bounds"),
    "no_guard": Case("out-of-bounds", grid=2, n=100),
    "wrong_pitch": Case("out-of-bounds", block=1024, n=1024),
    "index_overflow": Case("out-of-bounds"),
    "null_pointer": Case("out-of-bounds"),
    "misaligned_load": Case("misaligned", block=16),
    "misaligned_store": Case("misaligned", block=32),
    "shared_overrun": Case("shared-out-of-bounds"),
    "dynamic_overrun": Case("shared-out-of-bounds", shared=256),
    "before_shared": Case("shared-out-of-bounds"),
    "into_neighbour": Case("shared-out-of-bounds"),
    "local_overrun": Case("local-out-of-bounds"),
    "uninitialised_shared": Case("shared-uninitialised"),
    "uninitialised_half": Case("shared-uninitialised"),
    "uninitialised_counter": Case("shared-uninitialised"),
    "uninitialised_local": Case("local-uninitialised"),
    "uninitialised_global": Case("global-uninitialised"),
    "uninitialised_element": Case("global-uninitialised"),
    "no_barrier": Case("shared-race", block=256, n=256),
    "no_second_barrier": Case("shared-race", block=256, n=1024),
    "warp_race": Case("shared-race", block=32),
    "early_barrier": Case("shared-race"),
    "partial_barrier": Case("shared-race", block=128, n=128),
    "many_writers": Case("shared-race"),
    "tree": Case("shared-race", block=128, n=128),
    "atomic_and_plain": Case("shared-race"),
    "reset_and_atomic": Case("shared-race"),
    "plain_counter": Case("shared-race"),
    "scan_in_place": Case("shared-race", block=128, n=128),
    "bytes_of_a_word": Case("shared-race"),
    "half_meets": Case("shared-race", block=32),
    "shuffle_of_eight": Case("shared-race", block=32),
    "vote_of_pair": Case("shared-race", block=32),
    "read_by_a_tile": Case("shared-race", block=32),
    "told_on": Case("shared-race", block=32),
    "halves_at_a_barrier": Case("shared-race"),
    "halves_at_one_barrier": Case("shared-race"),
    "leader_arrives": Case("shared-race"),
    "leader_waits": Case("shared-race"),
    "writes_after_its_arrival": Case("shared-race"),
    "ring": Case("shared-race"),
    "flag_of_a_warp": Case("shared-race"),
    "last_of_a_block": Case("shared-race"),
    "polled_counter": Case("shared-race"),
    "volatile_steps": Case("shared-race", block=32),
    "plain_sum": Case("global-race", grid=4, block=1),
    "last_block": Case("global-race", grid=4, block=32),
    "warps_of_a_block": Case("global-race"),
    "sums_of_warps": Case("global-race"),
    "written_twice": Case("global-race"),
    "halves_of_words": Case("global-race"),
    "lock_in_a_block": Case("global-race"),
    "neighbour_block": Case("global-race", grid=4, n=256),
    "overlapping_tiles": Case("global-race", grid=4, n=256),
    "two_phases": Case("global-race", grid=4, n=256, cooperative=True),
    "handed_by_flag": Case("global-race", grid=2, cooperative=True),
    "divergent_barrier": Case("divergent-barrier"),
    "barrier_in_loop": Case("divergent-barrier"),
    "ends_in_turns": Case("divergent-barrier"),
    "odd_barrier": Case("bad-barrier"),
    "nobody_comes": Case("deadlock", block=128, n=128),
    "absent_lanes": Case("absent-lanes", block=32),
    "beyond_mask": Case("absent-lanes", block=32),
    "not_in_mask": Case("not-a-member", block=32),
    "vote_of_some": Case("absent-lanes", block=32),
    "warp_barrier_mask": Case("not-a-member", block=32),
    "no_wait": Case("unfinished-copy", n=256),
    "too_many_left": Case("unfinished-copy", n=256),
    "no_commit": Case("unfinished-copy", n=256),
    "copy_of_others": Case("shared-race", n=256),
    "copy_over_read": Case("shared-race", n=1024),
    "misaligned_copy": Case("misaligned", n=256),
    "failed_assertion": Case("assertion"),
    "trapped": Case("trap"),
}


@dataclass
class Machine:
    """The executor and the kernels of mistakes.cu."""

    executor: Executor
    module: LoadedModule

    def launch(self, name: str, case: Case) -> tuple[LaunchResult, Any]:
        y = self.executor.fresh(case.n)
        x = np.random.default_rng(1).standard_normal(case.n).astype("f4")
        counters = np.zeros(64, "i4")
        how = Configuration(
            (case.grid,), (case.block,), case.shared, cooperative=case.cooperative, step_limit=1_000_000
        )
        done = self.executor.launch(self.module, name, how, [y, x, counters, case.n])
        return done, y


@pytest.fixture(scope="session")
def machine() -> Machine:
    ((ptx, log),) = compile_to_ptx([SOURCE])
    assert ptx is not None, log
    executor = Executor()
    return Machine(executor, executor.load(ptx))


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_reported_as_what_it_is(name: str, machine: Machine) -> None:
    done, _ = machine.launch(f"{name}_wrong", CASES[name])
    assert CASES[name].kind in {raw.kind_name for raw in done.reports}, as_text(done.mistakes)


@pytest.mark.parametrize("name", CASES)
def test_the_correct_twin_is_silent(name: str, machine: Machine) -> None:
    done, _ = machine.launch(f"{name}_right", CASES[name])
    assert not done.reports, as_text(done.mistakes)
    assert done.code == 0


def test_every_kernel_of_the_source_is_a_case(machine: Machine) -> None:
    assert {name.rpartition("_")[0] for name in machine.module.module.spans} == set(CASES)


def test_a_report_names_kernel_thread_memory_and_source_line(machine: Machine) -> None:
    done, _ = machine.launch("off_by_one_wrong", CASES["off_by_one"])
    (read, write) = sorted(done.mistakes, key=lambda each: each.what)
    line = next(number for number, text in enumerate(SOURCE.read_text().split("\n"), 1) if "y[i] = x[i] * 2" in text)
    assert write.what.startswith("out of bounds: a write of 4 bytes at 0x")
    assert write.what.endswith(", 0 bytes after the end of an allocation of 400 bytes")
    assert read.what.startswith("out of bounds: a read of 4 bytes")
    for mistake in (read, write):
        assert mistake.kernel == "off_by_one_wrong"
        assert (mistake.block, mistake.thread) == ((1, 0, 0), (36, 0, 0))
        assert mistake.places[0].file.endswith("mistakes.cu")
        assert mistake.places[0].line == line
        assert "PAIR(off_by_one)" in SOURCE.read_text().split("\n")[mistake.places[-1].line - 1]
        assert mistake.count == 1
    assert "st.global.f32" in write.instruction
    assert f"mistakes.cu,line={line},title=out-of-bounds in off_by_one_wrong::out of bounds" in as_annotations([write])
    assert '"version": 1' in as_json([write])


def test_what_lies_between_arrays_in_shared_memory_is_nobodys(machine: Machine) -> None:
    done, _ = machine.launch("into_neighbour_wrong", CASES["into_neighbour"])
    between, behind = sorted(done.mistakes, key=lambda each: "beyond" not in each.what)
    assert between.what.endswith("of shared memory, beyond the variables that are there")
    assert behind.what.endswith("bytes)")


def test_one_report_for_one_mistake_whatever_the_threads(machine: Machine) -> None:
    done, _ = machine.launch("no_guard_wrong", Case("", grid=40, n=100))
    (mistake,) = done.mistakes
    assert mistake.count == 40 * 64 - 100
