"""Which wheel fits a machine, and why not the others."""

from __future__ import annotations

import random

import pytest
from offered import offered, random_machine, random_wheels
from packaging import tags as packaging_tags
from packaging.version import Version

from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.device_facts import DeviceCode, Ptx
from gpuwheel.publish.selector.choosing import Choice, choose
from gpuwheel.publish.selector.judging import FACTS, Reason, admits
from gpuwheel.publish.selector.offers import Offer
from gpuwheel.publish.selector.target_machine import CPUS, Machine, platform_of, platform_rank, python_rank


def chosen(machine: Machine, *wheels: object) -> Choice:
    return choose(machine, [Offer(wheel) for wheel in wheels])  # type: ignore[arg-type]


def reasons(machine: Machine, wheel: object) -> dict[str, Reason]:
    (verdict,) = chosen(machine, wheel).verdicts
    return {reason.fact: reason for reason in verdict.reasons}


def code(
    *cubins: str, ptx: tuple[Ptx, ...] = (), driver: str | None = "525", member: str = "a", further: bool = False
) -> DeviceCode:
    return DeviceCode((member,), cubins, ptx, driver, further)


def gpu(text: str, driver: str | None = None) -> Machine:
    return Machine("3.12", gpus=(Arch.parse(text),), driver=driver and DriverVersion.parse(driver))  # type: ignore[arg-type]


# ---- tags


def _platforms(machine: Machine) -> list[str]:
    """As packaging lists them on such a machine."""
    cpu = CPUS[machine.system][machine.cpu]
    if machine.system == "windows" or machine.release is None:
        return [f"win_{cpu}"]
    if machine.system == "macos":
        return list(packaging_tags.mac_platforms(machine.release, cpu))
    names = []
    for minor in range(machine.release[1], 4 if cpu == "x86_64" else 16, -1) if machine.libc == "glibc" else ():
        names.append(f"manylinux_2_{minor}_{cpu}")
        names += [
            f"{name}_{cpu}"
            for name, old in (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5))
            if old == minor
        ]
    musl = range(machine.release[1], -1, -1) if machine.libc == "musl" else ()
    return [*names, *(f"musllinux_1_{minor}_{cpu}" for minor in musl), f"linux_{cpu}"]


@pytest.mark.parametrize(
    "machine",
    [
        Machine("3.12", release=(2, 39)),
        Machine("3.14.1", free_threaded=True, release=(2, 28), cpu="aarch64"),
        Machine("3.10", libc="musl", release=(1, 2)),
        Machine("3.13", system="windows"),
        Machine("3.12", system="macos", cpu="aarch64", release=(14, 0)),
        Machine("3.11", system="macos", release=(10, 15)),
    ],
    ids=str,
)
def test_tags_are_preferred_as_installers_prefer_them(machine: Machine) -> None:
    version, platforms = (3, machine.minor), _platforms(machine)
    abi = f"cp3{machine.minor}{'t' if machine.free_threaded else ''}"
    listed = [
        *packaging_tags.cpython_tags(version, [abi], platforms),
        *packaging_tags.compatible_tags(version, f"cp3{machine.minor}", platforms),
    ]
    ranks = []
    for tag in listed:
        platform = platform_of(tag.platform)
        order = python_rank(machine, tag.interpreter, tag.abi, anywhere=tag.platform == "any")
        position = platform_rank(machine, platform)
        assert order is not None, tag
        assert position is not None, tag
        ranks.append((*order, position))
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("tag", "fact", "expected"),
    [
        ("cp310-abi3-win_amd64", "system", "Windows"),
        ("cp310-abi3-macosx_11_0_arm64", "system", "macOS"),
        ("cp310-abi3-manylinux_2_28_aarch64", "cpu", "aarch64"),
        ("cp310-abi3-manylinux_2_34_x86_64", "libc", "glibc 2.34 or newer"),
        ("cp310-abi3-musllinux_1_2_x86_64", "libc", "musl 1.2 or newer"),
        ("cp313-abi3-manylinux_2_28_x86_64", "python", "3.13 or newer"),
        ("cp311-cp311-manylinux_2_28_x86_64", "python", "3.11"),
        ("cp313-cp313t-manylinux_2_28_x86_64", "python", "3.13t"),
        ("pp310-pypy310_pp73-manylinux_2_28_x86_64", "python", "pp310-pypy310_pp73"),
        ("py2-none-any", "python", "py2-none"),
        ("cp310-abi3-plan9_mips", "system", "plan9_mips"),
    ],
)
def test_a_tag_that_does_not_fit_says_which_part(tag: str, fact: str, expected: str) -> None:
    found = reasons(Machine("3.12", release=(2, 28)), offered(tags=[tag], python=None))
    assert {name: reason.expected for name, reason in found.items()} == {fact: expected}


def test_of_several_tags_the_nearest_counts() -> None:
    tags = ["cp310-abi3-manylinux_2_34_x86_64", "cp310-abi3-manylinux_2_31_x86_64", "cp310-abi3-win_amd64"]
    assert reasons(Machine("3.12", release=(2, 28)), offered(tags=tags))["libc"].expected == "glibc 2.31 or newer"


# ---- ranges


@pytest.mark.parametrize(
    ("specifier", "version", "admitted"),
    [
        (">=2.10", "2.10", True),
        (">=2.10.4", "2.10", True),
        (">=2.10.4", "2.10.3", False),
        ("==2.13.0", "2.13", True),
        ("<2.13", "2.13", False),
        (">=2.14", "2.15.0.dev20261101+cu130", True),
        ("==2.13.*", "2.13.0+cu126", True),
        ("", "2.9", True),
        ("who knows", "2.9", True),
        ("==2.14.0+cu128", "2.14", True),
        ("==2.14.0+cu128", "2.13", False),
        ("==2.14+cu128", "2.14", True),
        (">=2.10,==2.14.0.post1", "2.14", True),
        ("===2.14.0+cu128", "2.14", True),
        ("==2.14.0+cu128,!=2.14.0", "2.14", False),
        ("==2.14.0rc1", "2.14", False),
        ("==2.14.0+cu128", "2.14.0", False),
    ],
)
def test_a_minor_version_stands_for_its_releases(specifier: str, version: str, *, admitted: bool) -> None:
    assert admits(specifier, version) is admitted


def test_python_and_torch_are_ranges() -> None:
    machine = Machine("3.9", torch="2.9.1")
    assert {fact: str(reason) for fact, reason in reasons(machine, offered(tags=["py3-none-any"])).items()} == {
        "python": "Python 3.9, expected >=3.10",
        "torch": "torch 2.9.1, expected >=2.10",
    }


def test_torch_may_differ_between_pythons() -> None:
    wheel = offered(torch=">=2.14", torchs=[("3.12", ">=2.10")])
    assert reasons(Machine("3.12.4", torch="2.12"), wheel) == {}
    assert set(reasons(Machine("3.13", torch="2.12"), wheel)) == {"torch"}


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        (Machine("3.12"), "manylinux_2_41_x86_64"),
        (Machine("3.12", libc="musl"), "musllinux_1_2_x86_64"),
        (Machine("3.12", system="macos", cpu="aarch64"), "macosx_14_0_arm64"),
        (Machine("3.12", system="macos", cpu="aarch64"), "macosx_10_9_universal2"),
        (Machine("3.12", system="macos"), "macosx_11_0_x86_64"),
        (Machine("3.12", system="macos"), "macosx_10_13_x86_64"),
        (Machine("3.12", system="macos", libc="musl"), "macosx_26_0_universal2"),
        (Machine("3.12", system="windows"), "win_amd64"),
    ],
)
def test_nothing_that_is_not_told_speaks_against_a_wheel(machine: Machine, platform: str) -> None:
    assert reasons(machine, offered(tags=[f"cp310-abi3-{platform}"])) == {}


# ---- device code


@pytest.mark.parametrize(
    ("machine", "held", "service"),
    [
        (gpu("9.0"), code("9.0"), 3),
        (gpu("8.6"), code("8.0"), 3),
        (gpu("9.0"), code("9.0a"), 3),
        (gpu("10.3"), code("10.0f"), 3),
        (gpu("12.0"), code("8.0", ptx=(Ptx("9.0", "525"),)), 2),
        (gpu("12.0", "570"), code("8.0", ptx=(Ptx("9.0", "550"),)), 2),
    ],
)
def test_code_for_a_gpu(machine: Machine, held: DeviceCode, service: int) -> None:
    verdict = chosen(machine, offered(code=[held])).best
    assert verdict is not None
    assert verdict.service == service


@pytest.mark.parametrize(
    ("machine", "held", "fact", "expected"),
    [
        (gpu("10.0"), code("8.0", "9.0"), "gpu", "one that runs code for 8.0, 9.0"),
        (gpu("8.0"), code("8.6"), "gpu", "one that runs code for 8.6"),
        (gpu("9.0"), code("10.0", ptx=(Ptx("10.0", "570"),)), "gpu", "one that runs code for 10.0, 10.0+PTX"),
        (gpu("12.0", "580"), code(ptx=(Ptx("9.0a", "525"),)), "gpu", "one that runs code for 9.0a+PTX"),
        (gpu("10.3"), code("10.0a"), "gpu", "one that runs code for 10.0a"),
        (gpu("9.0", "570.26"), code("9.0", driver="580"), "driver", "580 or newer, for GPU 9.0"),
        (gpu("12.0", "550"), code("8.0", ptx=(Ptx("9.0", "575.51.03"),)), "driver", "575.51.03 or newer, for GPU 12.0"),
        (Machine("3.12", driver=DriverVersion.parse("510")), code("9.0"), "driver", "525 or newer"),
        (
            *(gpu("12.0", "580"), code(ptx=(Ptx("9.0", None),)), "driver"),
            "one newer than all known, for the PTX for GPU 12.0",
        ),
        # What is compressed is PTX too: the floor of its container counts.
        (
            *(gpu("12.0", "545"), code(ptx=(Ptx("9.0", "525"),), driver="550.54"), "driver"),
            "550.54 or newer, for GPU 12.0",
        ),
        (
            *(gpu("12.0", "545"), code(ptx=(Ptx("9.0", "575.51.03"),), driver="580"), "driver"),
            "580 or newer, for GPU 12.0",
        ),
    ],
)
def test_why_code_does_not_run(machine: Machine, held: DeviceCode, fact: str, expected: str) -> None:
    found = reasons(machine, offered(code=[held]))
    assert {name: reason.expected for name, reason in found.items()} == {fact: expected}


@pytest.mark.parametrize(
    ("told", "floor", "fits"),
    [
        ("580", "580.65.06", True),
        ("580", "580", True),
        ("580", "581.0", False),
        ("575", "580.65.06", False),
        ("580.65", "580.65.06", False),
        ("580.65.06", "580", True),
    ],
)
def test_a_bare_branch_stands_for_its_newest_driver(told: str, floor: str, *, fits: bool) -> None:
    for held in (code("9.0", driver=floor), code("9.0", ptx=(Ptx("9.0", floor),), driver=floor)):
        assert (not reasons(gpu("9.0", told), offered(code=[held]))) is fits
        assert (not reasons(Machine("3.12", driver=DriverVersion.parse(told)), offered(code=[held]))) is fits


def test_libraries_of_cuda_ask_for_its_driver_and_a_gpu() -> None:
    called = offered("1.1+cu130", code=[], runtimes=[13])
    for machine in (gpu("9.0", "570"), Machine("3.12", driver=DriverVersion.parse("570"))):
        assert reasons(machine, called)["driver"].expected == "580 or newer"
    for machine in (gpu("9.0", "580"), gpu("9.0"), Machine("3.12"), Machine("3.12", gpus=())):
        assert reasons(machine, called) == {}
    # Each library may be for another major: some of it runs with the older driver.
    assert reasons(gpu("9.0", "570"), offered(code=[], runtimes=[12, 13])) == {}
    cpu = offered("1.1+a", code=[])
    assert str(best(Machine("3.12", gpus=()), called, cpu)).startswith("1.1+a-")
    assert str(best(gpu("9.0", "580"), called, offered("1.1+zzz", code=[]))).startswith("1.1+cu130")
    assert chosen(gpu("9.0", "580"), called, offered("1.2", code=[code("10.0")])).nearest_for_gpu is None


def test_a_library_for_other_gpus_is_named_and_does_not_stop_the_rest() -> None:
    verdict = chosen(gpu("8.0"), offered(code=[code("8.0"), code("9.0a", member="hopper.so")])).best
    assert verdict is not None
    assert (verdict.service, verdict.left_out) == (1, ("hopper.so",))


@pytest.mark.parametrize("base", ["ops/_C.so", "ops/fused.cu12.9.fatbin"])
def test_images_of_a_later_toolkit_serve_where_the_driver_takes_them(base: str) -> None:
    held = [code("7.5", member=base), code("10.0", driver="580", member="ops/fused.cu13.0.fatbin", further=True)]
    later = chosen(gpu("10.0", "580"), offered(code=held)).best
    assert later is not None
    assert (later.service, later.left_out) == (3, ())
    assert set(reasons(gpu("10.0", "570"), offered(code=held))) == {"driver"}
    assert reasons(gpu("7.5", "570"), offered(code=held)) == {}


def test_every_gpu_of_a_machine_counts() -> None:
    machine = Machine("3.12", gpus=(Arch(8, 0), Arch(12, 0)))
    assert set(reasons(machine, offered(code=[code("8.0")]))) == {"gpu"}


def test_without_a_gpu_a_wheel_without_device_code_comes_first() -> None:
    choice = chosen(Machine("3.12", gpus=()), offered("1.1+cu130"), offered("1.1+cpu", code=[]))
    assert choice.best is not None
    assert choice.best.offer.facts.version == "1.1+cpu"
    assert all(verdict.fits for verdict in choice.verdicts)


# ---- which of those that fit


def best(machine: Machine, *wheels: object) -> str | None:
    verdict = chosen(machine, *wheels).best
    return None if verdict is None else verdict.offer.facts.filename.removeprefix("ops-").removesuffix(".whl")


def test_the_newest_release_wins_then_code_compiled_for_the_gpu() -> None:
    of_ptx = offered("1.1+b", code=[code("8.0", ptx=(Ptx("8.0", "525"),))])
    native = offered("1.1+a", code=[code("9.0")])
    older = offered("1.0", code=[code("9.0")])
    assert str(best(gpu("9.0"), of_ptx, native, older)).startswith("1.1+a-")


def test_an_older_release_for_the_gpu_comes_before_a_newer_one_without() -> None:
    wheels = [offered("1.2+cu130", code=[code("9.0", driver="580")]), offered("1.2+cpu", code=[]), offered("1.1")]
    assert str(best(gpu("9.0", "570"), *wheels)).startswith("1.1-")
    assert str(best(gpu("9.0", "580"), *wheels)).startswith("1.2+cu130")
    assert str(best(Machine("3.12", gpus=()), *wheels)).startswith("1.2+cpu")


def test_where_the_best_wheel_leaves_the_gpu_alone_the_nearest_for_it_is_told() -> None:
    cpu, later = offered("1.1+cpu", code=[]), offered("1.1+cu130", code=[code("9.0", driver="580")])
    choice = chosen(gpu("9.0", "570"), cpu, later, offered("1.1+old", code=[code("7.5")]))
    assert choice.best is not None
    assert choice.best.offer.facts.version == "1.1+cpu"
    assert choice.nearest_for_gpu is not None
    assert choice.nearest_for_gpu.offer.facts.version == "1.1+cu130"
    assert chosen(gpu("9.0", "580"), cpu, later).nearest_for_gpu is None
    assert chosen(Machine("3.12", gpus=()), cpu, later).nearest_for_gpu is None
    assert chosen(gpu("9.0", "570"), cpu, offered("1.1", tags=["cp310-abi3-win_amd64"])).nearest_for_gpu is None


def test_the_toolkit_of_torch_then_the_newest() -> None:
    wheels = [offered("1.1+cu126", cuda="12.6"), offered("1.1+cu130", cuda="13.0")]
    assert str(best(Machine("3.12", torch_cuda="12.8"), *wheels)).startswith("1.1+cu126")
    assert str(best(Machine("3.12"), *wheels)).startswith("1.1+cu130")


def test_the_preferred_tag_then_the_number_of_the_build() -> None:
    old, new = (offered(tags=[f"cp310-abi3-manylinux_2_{minor}_x86_64"]) for minor in (17, 28))
    assert best(Machine("3.12"), old, new) == "1.0-cp310-abi3-manylinux_2_28_x86_64"
    assert (
        best(Machine("3.12"), offered(build="2"), offered(build="10"), offered())
        == "1.0-10-cp310-abi3-manylinux_2_28_x86_64"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_withdrawn_and_pre_releases_are_passed_over(order: int) -> None:
    wheels = [offered("1.0"), offered("1.1", yanked="broken"), offered("1.2rc1"), offered("1.3", variant="cu130")][
        ::order
    ]
    choice = chosen(Machine("3.12"), *wheels)
    assert [(one.offer.facts.version, [reason.fact for reason in one.reasons]) for one in choice.verdicts] == [
        ("1.0", []),
        ("1.2rc1", ["pre-release"]),
        ("1.3", ["variant"]),
        ("1.1", ["yanked"]),
    ]
    assert str(best(Machine("3.12", pre_releases=True), *wheels)).startswith("1.2rc1")


def test_where_installers_find_no_final_release_a_pre_release_counts() -> None:
    assert str(best(Machine("3.12"), offered("1.2rc1"), offered("1.1", python=">=3.14"))).startswith("1.2rc1")


def test_where_nothing_fits_the_nearest_needs_the_least_change() -> None:
    machine = Machine("3.12", torch="2.9", gpus=(Arch(7, 5),), release=(2, 28))
    far = offered("2.0")
    near = offered("1.0", code=[code("7.5")])
    choice = chosen(machine, far, near, offered("3.0", tags=["cp310-abi3-win_amd64"]))
    assert choice.best is None
    assert choice.nearest is not None
    assert choice.nearest.offer.facts.version == "1.0"
    assert [reason.fact for reason in choice.nearest.reasons] == ["torch"]


def test_what_installers_take_by_themselves_is_told_apart() -> None:
    wheels = [offered("1.1+cu130", code=[code("9.0", driver="580")]), offered("1.1+cu126")]
    choice = chosen(gpu("9.0", "570"), *wheels)
    assert choice.best is not None
    assert choice.best.offer.facts.version == "1.1+cu126"
    assert choice.installer is not None
    assert choice.installer.facts.version == "1.1+cu130"
    assert choice.index == "../"


def test_an_index_that_gives_the_wheel_is_found() -> None:
    # Of one version: installers take the newer tag, whatever its device code.
    newer = offered(tags=["cp310-abi3-manylinux_2_34_x86_64"], code=[code("7.5")], indexes=["../", "../cu130/"])
    older = offered(code=[code("9.0")], indexes=["../", "../cu126/"])
    assert chosen(gpu("9.0"), newer, older).index == "../cu126/"
    assert chosen(gpu("9.0"), newer, offered(code=[code("9.0")])).index is None


@pytest.mark.parametrize("yanked", [False, True])
def test_what_a_pin_of_the_version_admits_too_is_not_installed_instead(*, yanked: bool) -> None:
    # ==1.0 admits 1.0+cu12.9, which sorts higher; pinned, installers take withdrawn files too.
    other = offered("1.0+cu12.9", code=[code("7.5")], yanked=yanked)
    choice = chosen(gpu("9.0"), offered("1.0"), other)
    assert choice.best is not None
    assert choice.best.offer.facts.version == "1.0"
    assert choice.index is None
    for elsewhere in (offered("1.0+cu12.9", tags=["cp310-abi3-win_amd64"]), offered("1.0+a", python=">=3.14")):
        assert chosen(gpu("9.0"), offered("1.0"), elsewhere).index is None, "a lock is for every system and Python"
    indexes = ["../", "../cu126/"]
    assert chosen(gpu("9.0"), offered("1.0", indexes=indexes), other).index == "../cu126/"
    assert chosen(gpu("9.0"), offered("1.0"), offered("1.0.post1", code=[code("7.5")])).index == "../"
    assert chosen(gpu("9.0"), offered("1.0+a"), offered("1.0+b", code=[code("7.5")])).index == "../"


def test_no_wheels_is_an_answer() -> None:
    choice = chosen(Machine("3.12"))
    assert (choice.best, choice.nearest, choice.verdicts) == (None, None, ())


# ---- laws, for anything


def test_laws_hold_for_random_machines_and_wheels() -> None:
    chance = random.Random(11)  # noqa: S311  # the same ones each time
    for _ in range(60):
        machine = random_machine(chance)
        assert Machine.from_json(machine.to_json()) == machine
        offers = [Offer(wheel) for wheel in random_wheels(chance, 25)]
        choice = choose(machine, offers)
        assert sorted(one.offer.facts.filename for one in choice.verdicts) == sorted(
            one.facts.filename for one in offers
        )
        fits = [verdict.fits for verdict in choice.verdicts]
        assert fits == sorted(fits, reverse=True)
        assert all(
            reason.fact in FACTS and reason.found and reason.expected
            for one in choice.verdicts
            for reason in one.reasons
        )
        fitting = [one for one in choice.verdicts if one.fits]
        order = [(bool(machine.gpus) and one.service > 0, Version(one.offer.version.public)) for one in fitting]
        assert order == sorted(order, reverse=True)
        chance.shuffle(offers)
        assert choose(machine, offers).verdicts == choice.verdicts
