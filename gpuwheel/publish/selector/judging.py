"""Whether one wheel fits one machine, and every reason why not, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from gpuwheel._endings import cut
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.selector.target_machine import CPUS, SYSTEMS, platform_of, platform_rank, python_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gpuwheel.publish.device_facts import DeviceCode
    from gpuwheel.publish.selector.offers import Offer
    from gpuwheel.publish.selector.target_machine import Machine, Platform

__all__ = ["FACTS", "Judge", "Reason", "Verdict", "admits"]

T = TypeVar("T")

FACTS = {
    "pre-release": ("version", 1, "allow pre-releases"),
    "torch": ("torch", 4, "install another torch"),
    "python": ("Python", 8, "use another Python"),
    "driver": ("driver", 16, "update the NVIDIA driver"),
    "variant": ("variant", 24, "let uv install variants"),
    "yanked": ("version", 32, "take a withdrawn release"),
    "libc": ("C library", 64, "use a newer system or a container"),
    "gpu": ("GPU", 512, "use another GPU"),
    "cpu": ("CPU", 1024, "use another machine"),
    "system": ("system", 2048, "use another system"),
}
"""Fact -> its name, how much it takes to change it, and what that is. The least sum finds the nearest wheel."""
_RELEASES = 100
"""Releases of one minor version that a version of two numbers stands for; more than any ever had."""
_STATED = re.compile(r"[<>=!~]=?=?\s*(?P<version>[^\s,*]+)")
_CPYTHON = re.compile(r"(?P<name>cp|py)3(?P<minor>\d*)", re.ASCII)
_NATIVE, _COMPILED, _PARTLY = 3, 2, 1


@dataclass(frozen=True)
class Reason:
    """Why a wheel does not fit."""

    fact: str
    """A key of `FACTS`."""
    found: str
    """What the machine has, or the wheel where the fact is its own."""
    expected: str

    @property
    def cost(self) -> int:
        """How much it takes to change it."""
        return FACTS[self.fact][1]

    def __str__(self) -> str:
        return f"{FACTS[self.fact][0]} {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class Verdict:
    """What came of comparing a wheel with a machine."""

    offer: Offer
    reasons: tuple[Reason, ...]
    """Empty: it fits."""
    service: int
    """3: compiled for every GPU; 2: the driver compiles some of it; 1: some of it does not run on some GPU; 0: it has
    no device code. Without a GPU 1 for a wheel that asks for none, 0 for others; 0 where GPUs are not told."""
    tag_rank: tuple[int, ...] | None
    """Of its best tag, lowest first; `None`: none fits."""
    left_out: tuple[str, ...] = ()
    """Members whose device code does not run on some GPU of the machine, although other code does."""

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def cost(self) -> int:
        """How much it takes until it fits."""
        return sum(reason.cost for reason in self.reasons)


def admits(specifier: str, version: str) -> bool:
    """Whether a version, or for one of two numbers some release of it, is in a range that others wrote.

    A range that cannot be read admits all, as for installers.
    """
    try:
        wanted = SpecifierSet(specifier)
        if version.count(".") == 1 and version.replace(".", "").isdigit():
            releases = [f"{version}.{patch}" for patch in range(_RELEASES)]
            return any(wanted.contains(one, prereleases=True) for one in (*releases, *_stated(specifier, version)))
        return wanted.contains(version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def _stated(specifier: str, minor: str) -> Iterator[str]:
    """Versions that a range names itself: ==2.14.0+cu128 admits one release of 2.14, which no number alone finds."""
    for match in _STATED.finditer(specifier):
        try:
            version = Version(match["version"])
        except InvalidVersion:
            continue
        of_minor = (version.epoch, version.major, version.minor) == (0, *map(int, minor.split(".")))
        if of_minor and not version.is_prerelease:
            yield match["version"]


@dataclass
class Judge:
    """One machine; wheels have much in common, and each question about them is answered once."""

    machine: Machine
    _known: dict[object, Any] = field(default_factory=dict, repr=False)

    def of(self, offer: Offer, *, pre_releases: bool) -> Verdict:
        """Compare a wheel.

        Args:
            offer: the wheel.
            pre_releases: whether one is taken.
        """
        facts = offer.facts
        rank, reasons = self._once(("tags", facts.tags), lambda: self._tags(facts.tags))
        service, of_gpus, left_out = self._once(
            ("code", facts.code, offer.driver, offer.asks_gpu), lambda: self._code(offer)
        )
        torch = facts.torch_for(".".join(self.machine.python.split(".")[:2]))
        found = [
            *reasons,
            *self._once(("range", facts.requires_python, torch), lambda: tuple(self._ranges(offer, torch))),
            *of_gpus,
        ]
        if facts.variant is not None:
            found.append(Reason("variant", facts.variant, "a wheel for every installer"))
        if offer.published.yanked is not False:
            found.append(Reason("yanked", f"{facts.version} ({_withdrawn(offer.published.yanked)})", "one that stands"))
        if offer.version.is_prerelease and not pre_releases:
            found.append(Reason("pre-release", f"{facts.version} (a pre-release)", "a final one"))
        return Verdict(offer, tuple(found), service, rank, left_out)

    def _once(self, key: object, answer: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = answer()
        known: T = self._known[key]
        return known

    def _tags(self, tags: Sequence[str]) -> tuple[tuple[int, ...] | None, tuple[Reason, ...]]:
        """The rank of the best tag; or why the one that is nearest to fit does not."""
        ranks, failures = [], []
        for tag in tags:
            python, abi, place = tag.split("-")
            platform = platform_of(place)
            order = python_rank(self.machine, python, abi, anywhere=platform.system is None)
            position = platform_rank(self.machine, platform)
            if order is not None and position is not None:
                ranks.append((*order, position))
                continue
            reasons = [] if position is not None else [self._of_platform(platform)]
            if order is None:
                reasons.append(Reason("python", _python_of(self.machine), _wanted_python(python, abi)))
            failures.append((sum(reason.cost for reason in reasons), platform.release or (0, 0), tuple(reasons)))
        if ranks:
            return min(ranks), ()
        return None, min(failures, key=lambda failure: failure[:2])[2] if failures else ()

    def _of_platform(self, platform: Platform) -> Reason:
        machine, names = self.machine, CPUS[self.machine.system]
        if platform.system != machine.system:
            wanted = SYSTEMS.get(str(platform.system), str(platform.system))
            return Reason("system", SYSTEMS[machine.system], wanted)
        if machine.system != "macos" and platform.cpu != names.get(machine.cpu, machine.cpu):
            plain = {tag: cpu for cpu, tag in names.items()}
            return Reason("cpu", machine.cpu, plain.get(str(platform.cpu), str(platform.cpu)))
        version = "any" if machine.release is None else ".".join(map(str, machine.release))
        wanted = ".".join(map(str, platform.release or ()))
        if machine.system == "linux":
            return Reason("libc", f"{machine.libc} {version}", f"{platform.libc} {wanted} or newer")
        if platform.release is not None and machine.release is not None and platform.release > machine.release:
            return Reason("system", f"macOS {version}", f"macOS {wanted} or newer")
        return Reason("cpu", machine.cpu, str(platform.cpu))

    def _ranges(self, offer: Offer, torch: str | None) -> Iterator[Reason]:
        machine, facts = self.machine, offer.facts
        if facts.requires_python and not admits(facts.requires_python, machine.python):
            yield Reason("python", machine.python, facts.requires_python)
        if torch and machine.torch is not None and not admits(torch, machine.torch):
            yield Reason("torch", machine.torch, torch)

    # ---- device code

    def _code(self, offer: Offer) -> tuple[int, tuple[Reason, ...], tuple[str, ...]]:
        """How the GPUs are served; why one is not at all; members that do not run on one."""
        machine, facts = self.machine, offer.facts
        if machine.gpus is None:
            return 0, tuple(self._oldest_driver(offer.driver)), ()
        if not machine.gpus:
            return int(not offer.asks_gpu), (), ()
        if not facts.code:
            return 0, tuple(self._oldest_driver(offer.driver)), ()
        service, reasons, left_out = _NATIVE, [], set[str]()
        for gpu in machine.gpus:
            served = [max(self._serves(code, gpu) for code in part) for part in offer.parts]
            if not any(served):
                reasons.append(self._not_served(offer, gpu))
            for part, how in zip(offer.parts, served, strict=True):
                if not how:
                    left_out.update(part[0].members)
            service = min(service, _PARTLY if not all(served) else min(served))
        return service, tuple(dict.fromkeys(reasons)), () if reasons else tuple(sorted(left_out))

    def _serves(self, code: DeviceCode, gpu: Arch) -> int:
        # That of its container too: what is compressed is PTX as well.
        if not self._takes(code.driver):
            return 0
        if any(Arch.parse(cubin).cubin_runs_on(gpu) for cubin in code.cubins):
            return _NATIVE
        fitting = (ptx for ptx in code.ptx if Arch.parse(ptx.arch).ptx_runs_on(gpu))
        # PTX that no known driver reads may be read by one that is not told.
        if any(self._takes(ptx.driver) and (ptx.driver or self.machine.driver is None) for ptx in fitting):
            return _COMPILED
        return 0

    def _takes(self, floor: str | None) -> bool:
        return floor is None or self.machine.takes_driver(DriverVersion.parse(floor))

    def _oldest_driver(self, floor: str | None) -> Iterator[Reason]:
        if not self._takes(floor):
            yield Reason("driver", str(self.machine.driver), f"{floor} or newer")

    def _not_served(self, offer: Offer, gpu: Arch) -> Reason:
        """That a newer driver would do, or else what it is compiled for."""
        codes = offer.facts.code
        fitting = [(code, ptx) for code in codes for ptx in code.ptx if Arch.parse(ptx.arch).ptx_runs_on(gpu)]
        floors = [[code.driver] for code in codes if any(Arch.parse(cubin).cubin_runs_on(gpu) for cubin in code.cubins)]
        floors += [[code.driver, ptx.driver] for code, ptx in fitting if ptx.driver]
        known = [max(DriverVersion.parse(floor) for floor in both if floor) for both in floors if any(both)]
        if known:
            return Reason("driver", str(self.machine.driver), f"{min(known)} or newer, for GPU {gpu}")
        if fitting:
            return Reason("driver", str(self.machine.driver), f"one newer than all known, for the PTX for GPU {gpu}")
        cubins = sorted({Arch.parse(cubin) for code in codes for cubin in code.cubins})
        ptx = sorted({Arch.parse(one.arch) for code in codes for one in code.ptx})
        held = ", ".join([*map(str, cubins), *(f"{arch}+PTX" for arch in ptx)])
        return Reason("gpu", str(gpu), f"one that runs code for {held}")


def _withdrawn(why: str | bool) -> str:  # noqa: FBT001  # PEP 592 has both
    return f"withdrawn: {cut(why)}" if isinstance(why, str) and why else "withdrawn"


def _python_of(machine: Machine) -> str:
    return machine.python + ("t" if machine.free_threaded else "")


def _wanted_python(python: str, abi: str) -> str:
    """Of a tag, in words: "3.12", "3.9 or newer", "3.13t"; the tag itself where it is of no CPython 3."""
    match = _CPYTHON.fullmatch(python)
    if match is None or (match["name"] == "py" and abi != "none"):
        return f"{python}-{abi}"
    version = f"3.{match['minor']}" if match["minor"] else "3"
    if match["name"] == "py":
        return f"{version} or newer"
    words = {"abi3": f"{version} or newer", "abi3t": f"{version}t or newer", f"{python}t": f"{version}t"}
    words |= {python: version, "none": version}
    return words.get(abi, f"{python}-{abi}")
