"""Wheels as an index offers them, and machines, for tests of who chooses between them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.device_facts import DeviceCode, Ptx
from gpuwheel.publish.published import PublishedWheel
from gpuwheel.publish.selector.target_machine import Machine
from gpuwheel.publish.wheel_facts import TorchOfPython, WheelFacts

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["many_offered", "offered", "random_machine", "random_wheels"]

LINUX = "cp310-abi3-manylinux_2_28_x86_64"


def offered(  # noqa: PLR0913  # a keyword for each fact that a test changes
    version: str = "1.0",
    *,
    tags: Sequence[str] = (LINUX,),
    python: str | None = ">=3.10",
    torch: str | None = ">=2.10",
    torchs: Sequence[tuple[str, str | None]] = (),
    code: Sequence[DeviceCode] | None = None,
    cuda: str | None = None,
    runtimes: Sequence[int] = (),
    yanked: bool | str = False,
    build: str = "",
    variant: str | None = None,
    indexes: Sequence[str] = ("../",),
) -> PublishedWheel:
    """One wheel of `ops`; with code for 8.0 and 9.0 by CUDA 12 unless told otherwise."""
    code = (DeviceCode(("ops/_C.so",), ("8.0", "9.0"), (), "525", further=False),) if code is None else tuple(code)
    drivers = [DriverVersion.parse(one.driver) for one in code if one.driver]
    parts = [version, build, tags[0], variant]
    filename = "-".join(["ops", *(part for part in parts if part)]) + ".whl"
    facts = WheelFacts(
        filename=filename,
        size=1_000_000 + len(filename),
        sha256=hashlib.sha256(filename.encode()).hexdigest(),
        metadata_sha256="0" * 64,
        name="ops",
        version=version,
        variant=variant,
        tags=tuple(tags),
        requires_python=python,
        requires_dist=(),
        summary="operators",
        torch=torch,
        torch_by_python=tuple(TorchOfPython(*row) for row in torchs),
        cuda=(cuda or "12.9") if code else None,
        runtimes=tuple(runtimes),
        driver=str(min(drivers)) if drivers else None,
        code=code,
    )
    return PublishedWheel(facts, f"../../{filename.replace('+', '%2B')}", yanked, tuple(indexes))


def many_offered() -> list[PublishedWheel]:
    """10,000 wheels: releases, toolkits, Pythons and CPUs."""
    return [
        offered(f"{major}.{minor}+cu{cuda}", tags=[f"cp3{python}-cp3{python}-manylinux_2_28_{cpu}"], cuda=cuda)
        for major in range(1, 11)
        for minor in range(50)
        for cuda in ("12.6", "13.0")
        for python in range(10, 15)
        for cpu in ("x86_64", "aarch64")
    ]


PLATFORMS = (
    *("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
    *("manylinux_2_28_aarch64", "musllinux_1_2_x86_64", "linux_x86_64", "win_amd64", "win_arm64", "macosx_11_0_arm64"),
    *("macosx_10_13_x86_64", "macosx_14_0_universal2", "any"),
)
PYTHONS = ("cp310-abi3", "cp312-abi3", "cp315-abi3t", "cp312-cp312", "cp313-cp313t", "cp314-cp314", "py3-none")
PYTHONS += ("py2-none", "cp311-none", "py312-none", "pp310-pypy310_pp73", "cp3-none")
VERSIONS = (
    "1.0",
    "1.1",
    "1.1+cu126",
    "1.1+cu130",
    "1.1+cpu",
    "1.2rc1",
    "1.2",
    "1.2.post1",
    "2.0.dev3",
    "1!0.1",
    "1.10",
)
RANGES = (
    "",
    ">=2.10",
    ">=2.10,<2.14",
    "==2.13.*",
    "~=2.12.1",
    "!=2.13.0,>=2.9",
    "==2.14.0",
    "<2.12",
    None,
    "===2.13.0",
    "==2.13.0+cu126",
    "==2.14.0.post1",
)
ASKED = (None, ">=3.10", ">=3.12", ">=3.9,<3.13", "==3.12.*", ">=3.10.4", "~=3.11", "!=3.12.*")
ARCHS = ("7.5", "8.0", "8.6", "8.9", "9.0", "9.0a", "10.0", "10.0f", "10.0a", "12.0", "12.1a")
DRIVERS = (None, "525", "550.54", "570.26", "575.51.03", "580.65.06", "595.45.04")


def _random_code(chance: random.Random) -> list[DeviceCode]:
    code = []
    for number in range(chance.choice((0, 1, 1, 2, 3))):
        cubins = tuple(sorted(chance.sample(ARCHS, chance.randint(0, 4))))
        ptx = tuple(Ptx(arch, chance.choice(DRIVERS)) for arch in sorted(chance.sample(ARCHS, chance.randint(0, 2))))
        further = number > 0 and chance.random() < 0.4
        member = (
            f"ops/k{chance.randint(0, 1)}.cu{13 if further else 12}.0.fatbin" if chance.random() < 0.6 else "ops/_C.so"
        )
        code.append(DeviceCode((member,), cubins, ptx, chance.choice(DRIVERS), further))
    return code


def random_wheels(chance: random.Random, count: int) -> list[PublishedWheel]:
    """Wheels of every kind, no two of one name."""
    wheels: dict[str, PublishedWheel] = {}
    while len(wheels) < count:
        platforms = chance.sample(PLATFORMS, chance.choice((1, 1, 2)))
        python = chance.choice(PYTHONS)
        one = offered(
            chance.choice(VERSIONS),
            tags=[f"{python}-{platform}" for platform in sorted(platforms)],
            python=chance.choice(ASKED),
            torch=chance.choice(RANGES),
            torchs=[("3.12", chance.choice(RANGES))] if chance.random() < 0.1 else [],
            code=_random_code(chance),
            cuda=chance.choice(("12", "12.9", "13.0", "13.2")),
            runtimes=chance.choice(((), (12,), (13,))),
            yanked=chance.choice((False, False, False, False, True, "broken")),
            build=chance.choice(("", "", "", "1", "2b")),
            variant="cu130" if chance.random() < 0.05 else None,
            indexes=chance.choice((("../../",), ("../../", "../../cu126/simple/"), ())),
        )
        wheels[one.facts.filename] = one
    return list(wheels.values())


def random_machine(chance: random.Random) -> Machine:
    """A machine, of which some is not told."""
    system = chance.choice(("linux", "linux", "linux", "windows", "macos"))
    libc = chance.choice(("glibc", "glibc", "glibc", "musl"))
    releases = {"glibc": [(2, 17), (2, 28), (2, 36), (2, 41), None], "musl": [(1, 1), (1, 2), None]}
    macos = [(10, 15), (12, 0), (14, 0), None]
    gpus = [None, (), *[tuple(Arch.parse(arch) for arch in chance.sample(ARCHS[:5], count)) for count in (1, 1, 1, 2)]]
    driver = chance.choice((*DRIVERS, "575", "580", "610.43"))
    return Machine(
        python=chance.choice(("3.10", "3.11.7", "3.12", "3.12.3", "3.13", "3.14", "3.15.0")),
        free_threaded=chance.random() < 0.15,
        system=system,
        cpu=chance.choice(("x86_64", "x86_64", "x86_64", "aarch64", "ppc64le")),
        libc=libc,
        release=chance.choice(macos if system == "macos" else releases[libc] if system == "linux" else [None]),
        torch=chance.choice(
            (None, "2.9", "2.13", "2.13.0+cu126", "2.14", "2.14.0", "2.14.1", "2.15.0.dev20261101+cu130")
        ),
        torch_cuda=chance.choice((None, "12.6", "13.0")),
        gpus=None if (chosen := chance.choice(gpus)) is None else tuple(Arch(one.major, one.minor) for one in chosen),
        driver=None if driver is None else DriverVersion.parse(driver),
        pre_releases=chance.random() < 0.15,
    )
