"""The platform tags of a wheel's name against what its libraries ask of the machine."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.audit.platform import MUSL, platform_tag, system_libraries
from gpuwheel.audit.providers import shown
from gpuwheel.compatibility.platform_tags import parse_platform, policy_of
from gpuwheel.compatibility.platforms import allows, glibc_of, version_numbers
from gpuwheel.errors import AuditError
from gpuwheel.model.findings import Found, Others, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility.platform_tags import PlatformTag
    from gpuwheel.compatibility.rows import PlatformPolicy

__all__ = ["TAG_RULES", "hosts", "of_host"]

_NEEDS = {Part.NAME, Part.LIBRARIES}
_OF_GPUS = re.compile(r"ELF machine (?:190|224|247)")
"""EM_CUDA, EM_AMDGPU, EM_BPF: files of these run on no host."""
_RETAG = "gpuwheel repair WHEEL"
_GLIBC = re.compile(r"lib(?:c\.so\.6|m\.so\.6|dl\.so\.2|pthread\.so\.0|rt\.so\.1|util\.so\.1)|ld-linux[\w-]*\.so\.\d")
_SYMBOLS = 3
"""Named for each version."""


def of_host(library: ElfFile) -> bool:
    """Whether some CPU would run it."""
    return not _OF_GPUS.fullmatch(library.machine)


def hosts(libraries: Iterable[ElfFile]) -> list[ElfFile]:
    """Those that some CPU would run."""
    return list(filter(of_host, libraries))


def _tags(case: WheelCase) -> list[PlatformTag]:
    return [parse_platform(text) for text in dict.fromkeys(case.wheel.tag.platform.split("."))]


@rule(
    "platform-tag",
    needs=_NEEDS,
    why="the wheel would be installed where its libraries cannot be loaded, or nowhere",
    fix="build on a system as old as the tag says, or name the tag that its libraries keep (auditwheel repair --plat)",
    source="PEP 600; `gpuwheel/data/platforms.toml` has each policy",
)
def _platform_tag(case: WheelCase) -> Iterator[Found]:
    """Libraries ask for more than the platform tag promises, or are for another machine or system."""
    libraries = hosts(case.wheel.libraries)
    seen: set[str] = set()
    for tag in _tags(case) if libraries else ():
        if tag.kind == "unknown":
            problem = f"has a platform tag that no installer knows ({tag.text}, expected one as manylinux_2_28_x86_64)"
            why, command = "nothing would install it", _RETAG if honest_of(case) else None
            yield Found(case.wheel.name, problem, why, facts={"tag": tag.text}, command=command)
            continue
        yield from _foreign(case, tag, libraries)
        policy = policy_of(case.tables.platforms, tag) if tag.kind == "glibc" else None
        if policy is not None and policy.name not in seen:
            seen.add(policy.name)
            yield from _beyond(case, policy, [one for one in libraries if one.machine == tag.machine])


def _foreign(case: WheelCase, tag: PlatformTag, libraries: Sequence[ElfFile]) -> Iterator[Found]:
    """Libraries that a machine or system of the tag cannot load."""
    for library in libraries:
        if tag.kind in {"any", "elsewhere"}:
            expected = "that of its machine" if tag.kind == "any" else "the libraries of that system"
            problem = f"holds libraries for Linux on {library.machine} under the tag {tag.text} (expected {expected})"
            where = "machine" if tag.kind == "any" else "such system"
            why = f"it is installed on every {where}, and others cannot load them"
        elif library.machine != tag.machine:
            problem = f"holds libraries for {library.machine} under the tag {tag.text} (expected {tag.machine})"
            why = f"a machine of the tag ({tag.machine}) cannot load them"
        else:
            continue
        facts = {"tag": tag.text, "machine": library.machine}
        known = library.machine in {policy.machine for policy in case.tables.platforms}
        fix = f"leave those libraries out, or build a wheel of its own for {library.machine}"
        if tag.kind == "any" and known:
            fix = f"name the platform in the tag, for example {platform_tag([library], case.tables).tag}"
        command = _RETAG if honest_of(case) else None
        yield Found(library.name, problem, why, fix, facts=facts, command=command)


def honest_of(case: WheelCase) -> str | None:
    """The oldest tag that is true of all libraries; `None` where there is none that indexes take."""
    try:
        tag = platform_tag(hosts(case.wheel.libraries), case.tables).tag
    except AuditError:  # libraries for different machines
        return None
    return tag if tag.startswith("many") else None


def _beyond(case: WheelCase, policy: PlatformPolicy, libraries: Sequence[ElfFile]) -> Iterator[Found]:
    """What the libraries want and a policy lacks: one tag is one mistake, whatever shows it."""
    needs = _needs(case, policy, libraries)
    if not needs:
        return
    shown_needs, rows, files = [], [], dict[str, None]()
    for (provider, version), (symbols, users) in sorted(needs.items(), key=lambda item: _order(*item[0])):
        names = f" ({shown(sorted(symbols)[:_SYMBOLS])})" if symbols else ""
        shown_needs.append(f"{version} of {provider}{names}" if version else provider)
        rows.append({"library": provider, "version": version, "symbols": sorted(symbols), "needed_by": list(users)})
        files.update(users)
    namespaces = dict.fromkeys(version.partition("_")[0] for _, version in needs if version)
    newest = [f"{name}_{'.'.join(map(str, policy.newest[name]))}" for name in namespaces if name in policy.newest]
    has = f"{policy.name} has {', '.join(newest)}" if newest else f"{policy.name} lacks that"
    honest = platform_tag(libraries, case.tables).tag
    fix = f'build on an older system, or set `platform = "{honest.removesuffix(f"_{policy.machine}")}"`'
    others = Others(fix=f"build on an older system, or call it {honest}")
    if honest.startswith("linux"):
        fix = "build on a released system whose libraries a policy knows"
        others = Others(fix=fix)
    problem = f"needs {' and '.join(shown_needs)}, which is more than its tag promises ({has})"
    why = f"the wheel would be installed on systems of {policy.name}, and fail to load there"
    facts = {"tag": policy.tag, "honest": honest, "needs": rows}
    for name in files:
        command = _RETAG if honest_of(case) else None
        yield Found(name, problem, why, fix, facts=facts, cause=policy.tag, others=others, command=command)


def _needs(
    case: WheelCase, policy: PlatformPolicy, libraries: Sequence[ElfFile]
) -> dict[tuple[str, str], tuple[set[str], dict[str, None]]]:
    """`(provider, version)` -> symbols, and files: of each provider's namespaces the newest that the policy lacks."""
    system = system_libraries(case.tables, policy.machine) - MUSL
    # What the wheel brings itself is nothing to ask of the machine.
    own = {library.soname or library.name.rpartition("/")[2] for library in libraries}
    found: dict[tuple[str, str], tuple[set[str], dict[str, None]]] = defaultdict(lambda: (set(), {}))
    for library in libraries:
        for needed in library.needed:
            if needed in system - own and needed not in policy.libraries and not needed.startswith("ld-linux"):
                found[needed, ""][1][library.name] = None
        for needed, versions in library.version_needs.items():
            if needed not in system - own:
                continue
            for version in versions:
                if not allows(policy, version):
                    symbols, users = found[needed, version]
                    users[library.name] = None
                    asking = (one.name for one in library.imports if (one.library, one.version) == (needed, version))
                    symbols.update(asking)
    newest = {}
    for key in sorted(found, key=lambda key: _order(*key)):
        newest[key[0], key[1].partition("_")[0]] = key
    files = {kind: dict[str, None]() for kind in newest}
    for (provider, version), (_, users) in found.items():
        files[provider, version.partition("_")[0]].update(users)
    return {key: (found[key][0], files[kind]) for kind, key in newest.items()}


def _order(provider: str, version: str) -> tuple[str, str, tuple[int, ...]]:
    namespace, _, number = version.partition("_")
    try:
        return provider, namespace, version_numbers(number)
    except ValueError:
        return provider, namespace, ()


@rule(
    "platform-local",
    needs=_NEEDS,
    why="package indexes refuse such wheels",
    fix="name the manylinux tag that its libraries keep (auditwheel repair; gpuwheel.backend does by itself)",
    source="PEP 513, Platform Tags in the Wheel file: PyPI takes no linux_* wheels",
    severity=Severity.WARNING,
)
def _platform_local(case: WheelCase) -> Iterator[Found]:
    """The platform tag is that of a local build."""
    machines = {library.machine for library in hosts(case.wheel.libraries)}
    for tag in _tags(case):
        if tag.kind == "linux" and machines <= {tag.machine}:
            problem = "has the platform tag of a local build (linux_*, expected manylinux_*)"
            yield Found(case.wheel.name, problem, command=_RETAG if honest_of(case) else None)
            return


@rule(
    "libc-mismatch",
    needs=_NEEDS,
    why="glibc and musl have neither the same loader nor the same symbols: what is built for one fails with the other",
    fix="build the wheel of each tag on a system with its C library",
    source="PEP 656 (musllinux), PEP 600 (manylinux)",
)
def _libc_mismatch(case: WheelCase) -> Iterator[Found]:
    """A library is for another C library than the platform tag."""
    for tag in _tags(case):
        others = {"musl": _is_glibc, "glibc": MUSL.__contains__}.get(tag.kind)
        for library in hosts(case.wheel.libraries) if others else ():
            needs = list(filter(others, (*library.needed, *library.version_needs)))
            if needs and library.machine == tag.machine:
                is_for, of_tag = ("glibc", "musl") if tag.kind == "musl" else ("musl", "glibc")
                problem = f"is built for {is_for} (needs {needs[0]}) under the tag {tag.text} (expected {of_tag})"
                facts = {"tag": tag.text, "library": needs[0]}
                command = _RETAG if tag.kind == "musl" and honest_of(case) else None
                yield Found(library.name, problem, facts=facts, cause=tag.kind, command=command)


def _is_glibc(name: str) -> bool:
    return _GLIBC.fullmatch(name) is not None


@rule(
    "platform-not-checked",
    needs=_NEEDS,
    why="a wheel of which nothing is said here may still be broken on that platform",
    fix="check it with the tools of that platform (delocate, delvewheel)",
    source="gpuwheel audit reads ELF files for Linux; PEP 600 policies are those of `gpuwheel/data/platforms.toml`",
    severity=Severity.NOTE,
)
def _platform_not_checked(case: WheelCase) -> Iterator[Found]:
    """The wheel is for a platform whose libraries are not read, or of which no policy is known."""
    known = {policy.machine for policy in case.tables.platforms}
    for tag in _tags(case):
        if tag.kind == "elsewhere" and not hosts(case.wheel.libraries):
            yield Found(case.wheel.name, f"is for {tag.text}, whose libraries are not read (expected a tag of Linux)")
        elif newest := _newest_before(case, tag):
            problem = f"is for {tag.text}, of which no policy is known (expected {newest} or older)"
            yield Found(case.wheel.name, problem, fix="name the oldest tag that is true: gpuwheel repair WHEEL")
        elif tag.machine is not None and tag.machine not in known and not _for_others(case, tag.machine):
            problem = f"is for {tag.machine}, of which no policy is known (expected {' or '.join(sorted(known))})"
            yield Found(case.wheel.name, problem, fix="check it with `auditwheel show`, which knows further machines")


def _newest_before(case: WheelCase, tag: PlatformTag) -> str | None:
    """The newest policy of the tag's machine, where the tag is of a newer glibc."""
    policies = [policy.name for policy in case.tables.platforms if policy.machine == tag.machine]
    if not policies or not tag.name.startswith("manylinux_"):
        return None
    newest = max(policies, key=glibc_of)
    return newest if glibc_of(tag.name) > glibc_of(newest) else None


def _for_others(case: WheelCase, machine: str) -> bool:
    """Whether all libraries are for other machines, which is told of the tag."""
    found = {library.machine for library in hosts(case.wheel.libraries)}
    return bool(found) and machine not in found


TAG_RULES = (_platform_tag, _platform_local, _libc_mismatch, _platform_not_checked)
"""About a whole wheel (`WheelCase`)."""
