"""Whether a wheel whose libraries use torch says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule, torch_users
from gpuwheel.audit.providers import TORCH_LIBRARIES, Provider
from gpuwheel.audit.rules.torch.cpp_symbols import common_minors
from gpuwheel.audit.torch_range import torch_range
from gpuwheel.compatibility.exports.torch_symbols import load_torch_symbols
from gpuwheel.model.findings import Found, Others, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import LibraryCase, WheelCase

__all__ = ["REQUIREMENT_RULES"]


@rule(
    "torch-requirement",
    needs={Part.METADATA, Part.LIBRARIES, Part.NAME},
    why="pip would install it beside a torch in which it does not load, or beside none",
    fix="""build with gpuwheel.backend and `torch = ">=2.10"`, which writes the floor""",
    source="Core metadata, Requires-Dist; PyTorch documentation, LibTorch Stable ABI",
)
def _torch_requirement(case: WheelCase) -> Iterator[Found]:
    """Libraries use torch, and no dependency says from which version on."""
    admitted = torch_range(case.wheel.requirements, case.wheel.tag)
    if admitted is not None and admitted.bounded:
        return
    users = torch_users(case)
    # Of C++ symbols under a range without a floor, the rule of open ranges speaks.
    if not users or (admitted is not None and any(user.imports.get(Provider.TORCH_CPP) for user in users)):
        return
    bound = [user for user in users if not TORCH_LIBRARIES.isdisjoint(user.neighbours.scopes(user.library))]
    first, more = (bound or users)[0].library.name, len(bound or users) - 1
    who = f"{first} and {more} more" if more else first
    why = severity = None
    if admitted is not None:
        problem = f"uses torch without a floor in its dependencies ({who}; {admitted.text!r}, expected 'torch>=X')"
    elif bound:
        problem = f"uses torch without requiring it ({who}; no Requires-Dist 'torch', expected one)"
        why = "pip installs no torch with it, or leaves one in which it does not load"
    else:
        problem = f"imports torch's symbols, and nothing brings torch ({who}; neither DT_NEEDED nor Requires-Dist)"
        why = "they are found only where torch was imported before, and its libraries opened for all (RTLD_GLOBAL)"
        severity = Severity.WARNING  # some mean exactly that
    others = Others(fix=f"add {_wanted(users)!r} to its dependencies")
    facts = {"libraries": [user.library.name for user in users]}
    yield Found(case.wheel.name, problem, why, severity=severity, facts=facts, others=others)


def _wanted(users: list[LibraryCase]) -> str:
    """The requirement that would be true of these libraries."""
    kinds = (Provider.SHIM, Provider.TORCH_CPP)
    imported = [symbol for user in users for kind in kinds for symbol in user.imports.get(kind, ())]
    fitting = common_minors(imported)
    cpp = any(user.imports.get(Provider.TORCH_CPP) for user in users)
    needs = any(not TORCH_LIBRARIES.isdisjoint(user.library.needed) for user in users)
    if cpp:
        return f"torch=={fitting[-1]}.*" if fitting else "torch==X.Y.*"
    newest = max(load_torch_symbols().minors)
    known = bool(imported) and bool(fitting) and fitting[-1] == newest
    return f"torch>={fitting[0]}" if known or (needs and fitting) else "torch>=X.Y"


REQUIREMENT_RULES = (_torch_requirement,)
"""About a whole wheel (`WheelCase`)."""
