"""How many compilers run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.cmake.memory import available_cores, available_memory, nvcc_jobs, oom_kills

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30
UNLIMITED = "9223372036854771712"


@pytest.mark.parametrize(
    ("jobs", "available", "expected"),
    [(8, 16, 8), (8, 6, 3), (8, 1, 1), (8, None, 8), (1, 100, 1)],
)
def test_no_more_than_there_is_memory_for_and_one_at_least(jobs: int, available: int | None, expected: int) -> None:
    assert nvcc_jobs(jobs, 2, available) == expected


def test_this_machine_has_some_memory() -> None:
    available = available_memory()
    assert available is None or available > 1 << 20
    assert available_cores() >= 1
    assert oom_kills() >= 0


class Machine:
    """A /proc and the control groups that it speaks of."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.groups = folder / "sys fs"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text(f"MemFree: 1 kB\nMemAvailable:   {16 * GIB // 1024} kB\n")

    def mount(self, kind: str, place: str, options: str, *, top: str = "/") -> None:
        where = str(self.groups / place).replace(" ", r"\040")
        with (self.proc / "self" / "mountinfo").open("a") as file:
            file.write(f"36 31 0:33 {top} {where} rw,relatime shared:9 - {kind} {kind} rw,{options}\n")

    def member(self, *lines: str) -> None:
        (self.proc / "self" / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def files(self, group: str, **texts: object) -> None:
        folder = self.groups / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_control_groups_the_machine_alone_counts(machine: Machine) -> None:
    assert available_memory(machine.proc) == 16 * GIB


def test_version_2_counts_each_group_on_the_way_up(machine: Machine) -> None:
    machine.mount("cgroup2", "", "nsdelegate")
    machine.member("0::/ci/job/step")
    machine.files("ci", memory__max=8 * GIB, memory__current=3 * GIB)
    machine.files("ci/job", memory__max="max", memory__high=6 * GIB, memory__current=2 * GIB)
    machine.files("ci/job/step", memory__max="max", memory__current=GIB)
    assert available_memory(machine.proc) == 4 * GIB
    machine.files("ci", memory__current=7 * GIB)
    assert available_memory(machine.proc) == GIB
    machine.files("ci/job/step", memory__max=GIB)
    assert available_memory(machine.proc) == 0


def test_files_that_the_kernel_gives_back_are_free(machine: Machine) -> None:
    machine.mount("cgroup2", "", "nsdelegate")
    machine.member("0::/job")
    stat = f"anon 5\ninactive_file {GIB}\nactive_file {GIB}\nshmem 7"
    machine.files("job", memory__max=4 * GIB, memory__current=3 * GIB, memory__stat=stat)
    assert available_memory(machine.proc) == 3 * GIB


def test_version_1_and_both_beside_each_other(machine: Machine) -> None:
    machine.mount("cgroup", "cpu", "cpu,cpuacct")
    machine.mount("cgroup", "memory", "memory")
    machine.mount("cgroup2", "unified", "nsdelegate")
    machine.member("4:memory:/docker/ab", "2:cpu,cpuacct:/docker/ab", "0::/elsewhere")
    machine.files("memory", memory__limit_in_bytes=UNLIMITED, memory__usage_in_bytes=9 * GIB)
    machine.files("memory/docker", memory__limit_in_bytes=UNLIMITED, memory__usage_in_bytes=9 * GIB)
    stat = f"inactive_file 1\ntotal_inactive_file {GIB}"
    machine.files("memory/docker/ab", memory__limit_in_bytes=6 * GIB, memory__usage_in_bytes=2 * GIB, memory__stat=stat)
    machine.files("cpu/docker/ab", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    assert available_memory(machine.proc) == 5 * GIB
    machine.files("memory/docker", memory__limit_in_bytes=10 * GIB)
    assert available_memory(machine.proc) == GIB


def test_in_a_container_that_sees_its_own_group_as_the_root(machine: Machine) -> None:
    machine.mount("cgroup", "memory", "memory", top="/docker/ab")
    machine.member("4:memory:/docker/ab")
    machine.files("memory", memory__limit_in_bytes=2 * GIB, memory__usage_in_bytes=0)
    assert available_memory(machine.proc) == 2 * GIB
    machine.member("4:memory:/../outside")
    assert available_memory(machine.proc) == 2 * GIB


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000", 1), ("max 100000", None), ("", None)])
def test_a_quota_of_time_is_a_number_of_cores(machine: Machine, quota: str, cores: int | None) -> None:
    machine.mount("cgroup2", "", "nsdelegate")
    machine.member("0::/a/b")
    machine.files("a", cpu__max=quota)
    assert available_cores(machine.proc) == (cores or available_cores(machine.proc / "absent"))
