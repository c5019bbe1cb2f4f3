"""Platform tags as names say them: for which machine and C library, and what each promises (PEP 600, PEP 656)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel.compatibility.platforms import glibc_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.compatibility.rows import PlatformPolicy

__all__ = ["PlatformTag", "parse_platform", "policy_of"]

_FORMS = (
    ("any", re.compile(r"(?P<name>any)")),
    ("glibc", re.compile(r"(?P<name>manylinux(?:_\d{1,3}_\d{1,3}|1|2010|2014))_(?P<machine>[a-z]\w*)")),
    ("musl", re.compile(r"(?P<name>musllinux_\d{1,3}_\d{1,3})_(?P<machine>[a-z]\w*)")),
    ("linux", re.compile(r"(?P<name>linux)_(?P<machine>[a-z]\w*)")),
    ("elsewhere", re.compile(r"(?P<name>macosx|win|win32|ios|android|emscripten|pyodide|wasi|freebsd|openbsd|netbsd"
                             r"|solaris|aix|cygwin|mingw)(?:_\w+)?")),
)  # fmt: skip


@dataclass(frozen=True)
class PlatformTag:
    """One platform tag."""

    text: str
    kind: str
    """"any"; "glibc", "musl", or "linux", which promises no C library; "elsewhere": no Linux; "unknown": no tag."""
    name: str
    """Without the machine: "manylinux_2_28"."""
    machine: str | None


def parse_platform(text: str) -> PlatformTag:
    """One tag, of which a compressed one holds several."""
    for kind, form in _FORMS:
        if match := form.fullmatch(text):
            return PlatformTag(text, kind, match["name"], match.groupdict().get("machine"))
    return PlatformTag(text, "unknown", text, None)


def policy_of(policies: Sequence[PlatformPolicy], tag: PlatformTag) -> PlatformPolicy | None:
    """What a manylinux tag promises; of a glibc without a policy of its own, what the next older policy does.

    `None` where no policy of the machine is known.
    """
    known = [policy for policy in policies if policy.machine == tag.machine]
    exact = next((policy for policy in known if tag.name in {policy.name, *policy.aliases}), None)
    if exact is not None or not known or not tag.name.startswith("manylinux_"):
        return exact
    # PEP 600: the tag is for every distribution with that glibc or a newer one.
    glibc = glibc_of(tag.name)
    older = [policy for policy in known if glibc_of(policy.name) <= glibc] or known[:1]
    return replace(older[-1], name=tag.name, aliases=(), newest={**older[-1].newest, "GLIBC": glibc})
