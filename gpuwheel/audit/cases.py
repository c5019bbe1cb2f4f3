"""What rules are asked about: a whole wheel, one library of it, one set of its images."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, TypeVar

from gpuwheel.audit.closure.closures import Closure
from gpuwheel.audit.cuda_claims import claimed_majors
from gpuwheel.audit.kernel_manifests import TOOLKIT_FILE, DeclaredCode
from gpuwheel.audit.neighbours import Neighbours
from gpuwheel.audit.providers import TORCH_LIBRARIES, Provider, provider
from gpuwheel.audit.torch_range import torch_range
from gpuwheel.binary.elf import MACHINES
from gpuwheel.compatibility.distributions.releases import load_releases
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.model.choices import TorchAbi
from gpuwheel.model.findings import Found, Judged, Others, Part, Profile, Rule, Severity
from gpuwheel.model.promises import Claims, Expected
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Unpack

    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.binary.elf import ElfFile, Import
    from gpuwheel.binary.fatbin import Image
    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.distributions.releases import ReleaseSource
    from gpuwheel.model.versions import DriverVersion
    from gpuwheel.wheel import Content

__all__ = [
    "CodeCase",
    "LibraryCase",
    "WheelCase",
    "code_cases",
    "library_cases",
    "oldest_driver",
    "promised_driver",
    "rule",
    "runtime_majors",
    "siblings",
    "torch_users",
    "uses_torch",
]

Subject = TypeVar("Subject", bound=Judged)

_RUNTIME = re.compile(r"libcudart\.so\.(\d+)(?:\.\d+)*")
_LATER = frozenset(Part) - {Part.BUILD, Part.SIZE, Part.ARCHIVE}
"""What is known of any wheel."""


class _Held(TypedDict, total=False):
    """What `Rule` has a default for."""

    severity: Severity
    others: Others
    profile: Profile


def rule(
    identifier: str, *, needs: Collection[Part], why: str, fix: str, source: str, **held: Unpack[_Held]
) -> Callable[[Callable[[Subject], Iterable[Found]]], Rule[Subject]]:
    """Make a check a rule; the check's documentation, one sentence, is the rule's summary.

    `severity`, `others` and `profile` are as `Rule` has them.
    """

    def made(check: Callable[[Subject], Iterable[Found]]) -> Rule[Subject]:
        # One text for readers of the code, of the page and of the JSON: three would drift apart.
        summary = (check.__doc__ or "").strip()
        return Rule(identifier, summary, why, fix, source, frozenset(needs), check, **held)

    return made


@dataclass(frozen=True)
class WheelCase:
    """A wheel, and what it is held to."""

    wheel: Inspection
    tables: Tables
    """What the world allows."""
    expected: Expected | None = None
    """What a build set out to make, while it lasts."""
    max_size: int | None = None
    """Largest size of the file in bytes."""
    grafts: tuple[str, ...] = ()
    """Patterns of SONAMEs of which `gpuwheel repair` will put copies into it."""
    releases: ReleaseSource | None = None
    """Who knows what distributions bring; `None`: the table."""
    asked: Profile | None = None
    """What it is to be held to; `None`: what it says of itself tells."""

    @cached_property
    def profile(self) -> Profile:
        """What it is held to.

        Raises:
            AuditError: it has not exactly one `.dist-info` folder.
        """
        if self.asked is not None:
            return self.asked
        return Profile.OWN if self.expected is not None or self.wheel.made_by_gpuwheel else Profile.ANY

    @cached_property
    def closure(self) -> Closure:
        """What is installed beside it, and where its libraries find others."""
        return Closure(self.wheel, self.tables, self.releases or load_releases())

    @property
    def to_be_copied(self) -> frozenset[str]:
        """What libraries need that the grafts name, and that may be copied."""
        needed = {name for library in self.wheel.libraries for name in library.needed}
        named = {name for name in needed if any(fnmatchcase(name, pattern) for pattern in self.grafts)}
        return frozenset(name for name in named if not load_sonames().is_never_copied(name))

    @cached_property
    def parts(self) -> frozenset[Part]:
        """What is known of it."""
        wheel = self.wheel
        unknown = {Part.SIZE: wheel.size is None, Part.ARCHIVE: wheel.survey is None, Part.BUILD: self.expected is None}
        return frozenset(part for part in Part if not unknown.get(part))


@dataclass(frozen=True)
class LibraryCase:
    """One library, and what it is held to."""

    library: ElfFile
    claims: Claims
    """What the wheel says of it."""
    tables: Tables
    expected: Expected | None = None
    content: Content | None = None
    """The whole file, for who looks at more than the dynamic facts."""
    profile: Profile = Profile.OWN
    neighbours: Neighbours = field(default_factory=Neighbours)
    """It and the other libraries of the wheel."""

    @cached_property
    def parts(self) -> frozenset[Part]:
        """What is known of it."""
        return _LATER if self.expected is None or self.content is None else _LATER | {Part.BUILD}

    @cached_property
    def imports(self) -> Mapping[Provider, Sequence[Import]]:
        """Undefined symbols by who provides them."""
        groups: dict[Provider, list[Import]] = defaultdict(list)
        for symbol in self.library.imports:
            # The wheel's own libraries first: names of theirs may be like anybody's.
            own = symbol.version is None and self.neighbours.show(self.library, symbol.name)
            groups[Provider.SIBLING if own else provider(symbol, self.tables.shims)].append(symbol)
        return groups


@dataclass(frozen=True)
class CodeCase:
    """Images that are loaded together, and what was declared of them."""

    images: Sequence[Image]
    subject: str
    """What to call them in messages."""
    declared: DeclaredCode | None
    """`None`: there is no manifest."""
    driver: DriverVersion
    """The oldest that is to load them: as declared, or of the CUDA major that they are for."""
    tables: Tables
    profile: Profile = Profile.OWN

    @cached_property
    def parts(self) -> frozenset[Part]:
        """What is known of them."""
        return _LATER if self.declared is not None else _LATER - {Part.MANIFESTS}

    def targets(self, kind: str) -> set[str]:
        """What the images of a kind ("cubin", "ptx") are for: "sm_80", "compute_100"."""
        return {str(image) for image in self.images if image.kind == kind}


def library_cases(case: WheelCase) -> Iterator[LibraryCase]:
    """Every library, held to what the build set out to make, and to what the wheel itself says."""
    wheel, tables, expected = case.wheel, case.tables, case.expected
    own = _own_claims(wheel, tables) if wheel.libraries else None
    neighbours = Neighbours(wheel.libraries)
    # By both: a build may set out to make less than METADATA then says, and the installer believes METADATA.
    if expected is not None:
        claims = replace(expected.claims, provided=expected.claims.provided | case.to_be_copied)
        for library in wheel.libraries:
            content = wheel.members[library.name]
            yield LibraryCase(library, claims, tables, expected, content, case.profile, neighbours)
    if own is not None and (expected is None or expected.claims != own):
        own = replace(own, provided=own.provided | case.to_be_copied)
        for library in wheel.libraries:
            yield LibraryCase(library, own, tables, profile=case.profile, neighbours=neighbours)


def code_cases(case: WheelCase) -> Iterator[CodeCase]:
    """All images that every driver loads as one set; those by each further CUDA toolkit as one of their own."""
    wheel, tables, manifests = case.wheel, case.tables, case.wheel.manifests
    if isinstance(manifests, ValueError) or not manifests:
        yield from _undeclared_code(case)
        return  # that there are none is told by rules of their own
    groups = [code for manifest in manifests for code in manifest.groups.values()]
    whole = DeclaredCode(
        cubins=frozenset().union(*(code.cubins for code in groups)),
        ptx=frozenset().union(*(code.ptx for code in groups)),
        driver=min(manifest.driver for manifest in manifests),
    )
    further: dict[str, DeclaredCode] = {}
    for name in wheel.members:  # one that is emptied holds no images, and is there
        match = TOOLKIT_FILE.fullmatch(name)
        toolkit = tables.cuda.get(MinorVersion.parse(match["toolkit"])) if match else None
        if match and toolkit is not None and all(manifest.toolkit != toolkit.version for manifest in manifests):
            # The file's name has no package: of two groups of one name in two packages, the first is taken.
            code = next((m.groups[match["group"]] for m in manifests if match["group"] in m.groups), whole)
            # Older drivers never load the file.
            further[name] = replace(code, driver=max(whole.driver, toolkit.driver_floor))
    images = [image for name, images in wheel.images_of.items() if name not in further for image in images]
    yield CodeCase(images, wheel.name, whole, whole.driver, tables, case.profile)
    for name, declared in further.items():
        yield CodeCase(wheel.images_of.get(name, ()), name, declared, declared.driver, tables, case.profile)


def runtime_majors(libraries: Iterable[ElfFile]) -> frozenset[int]:
    """The CUDA majors whose runtime libraries need."""
    needed = (_RUNTIME.fullmatch(name) for library in libraries for name in library.needed)
    return frozenset(int(match[1]) for match in needed if match)


def oldest_driver(majors: Collection[int], tables: Tables) -> DriverVersion | None:
    """The oldest that a toolkit of these CUDA majors is for; `None`: the tables have no such toolkit."""
    floors = (toolkit.driver_floor for version, toolkit in tables.cuda.items() if version.major in majors)
    return min(floors, default=None)


def promised_driver(wheel: Inspection, tables: Tables) -> tuple[DriverVersion | None, str]:
    """The oldest driver that a wheel is for, and what says so: its manifest, or the CUDA runtime that it needs."""
    if not isinstance(wheel.manifests, ValueError) and wheel.manifests:
        return min(manifest.driver for manifest in wheel.manifests), "its manifest"
    majors = runtime_majors(wheel.libraries)
    return oldest_driver(majors, tables), f"that of {', '.join(f'libcudart.so.{major}' for major in sorted(majors))}"


def _undeclared_code(case: WheelCase) -> Iterator[CodeCase]:
    """The images of each file that is for one CUDA major, which says what its drivers are.

    By the runtime that it is linked to; where there is none, by what the wheel says of itself.
    """
    claimed = claimed_majors(case.wheel)
    linked = {library.name: runtime_majors([library]) for library in case.wheel.libraries}
    for name, images in case.wheel.images_of.items():
        majors = linked.get(name) or claimed
        driver = oldest_driver(majors, case.tables) if len(majors) == 1 else None
        if driver is not None and images:
            yield CodeCase(images, name, None, driver, case.tables, case.profile)


def uses_torch(wheel: Inspection, tables: Tables) -> bool:
    """Whether a library needs one of torch's, or imports a symbol of torch's."""
    if any(not TORCH_LIBRARIES.isdisjoint(library.needed) for library in wheel.libraries):
        return True
    symbols = (symbol for library in wheel.libraries for symbol in library.imports)
    return any(provider(symbol, tables.shims) in {Provider.SHIM, Provider.TORCH_CPP} for symbol in symbols)


def torch_users(case: WheelCase) -> list[LibraryCase]:
    """The libraries that import a symbol of torch's, or need a library of torch's that the wheel does not have."""
    wheel, neighbours = case.wheel, Neighbours(case.wheel.libraries)
    claims = Claims(case.tables.torch_floor)
    cases = [LibraryCase(library, claims, case.tables, neighbours=neighbours) for library in wheel.libraries]
    torchs = (Provider.SHIM, Provider.TORCH_CPP)
    return [
        one
        for one in cases
        if any(not symbol.weak for kind in torchs for symbol in one.imports.get(kind, ()))
        or not TORCH_LIBRARIES.isdisjoint(neighbours.outside(one.library).intersection(one.library.needed))
    ]


def siblings(libraries: Sequence[ElfFile]) -> frozenset[str]:
    """By which names libraries of a wheel need others of it: those of their files, and SONAMEs."""
    files = {library.name.rpartition("/")[2] for library in libraries}
    names = files | {library.soname for library in libraries if library.soname is not None}
    return frozenset(needed for library in libraries for needed in library.needed if needed in names)


def _own_claims(wheel: Inspection, tables: Tables) -> Claims:
    """What the tag and METADATA say of the libraries."""
    torch = [found for found in wheel.requirements if found.name.lower() == "torch"]
    admitted = torch_range(wheel.requirements, wheel.tag)
    stable = admitted is not None or uses_torch(wheel, tables)  # a missing requirement is a finding of its own
    others = [found for found in wheel.requirements if found not in torch]
    brought = {soname for machine in MACHINES for soname in load_sonames().direct(others, machine)}
    return Claims(
        torch_floor=admitted.minors[0] if admitted and admitted.minors and admitted.bounded else tables.torch_floor,
        # One minor: its C++ ABI may be used.
        torch=TorchAbi.EXACT if admitted and admitted.single else TorchAbi.STABLE if stable else TorchAbi.NONE,
        python=(wheel.tag.python, wheel.tag.abi) != ("py3", "none"),
        provided=frozenset(brought | siblings(wheel.libraries)),
        torch_minors=admitted.minors if admitted else (),
        torch_bounded=admitted is not None and admitted.bounded,
    )
