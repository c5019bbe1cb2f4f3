"""Requires-Python against the tag, and against the classifiers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.python.pythons import LATEST, admits, required_python, tagged
from gpuwheel.compatibility.exports.python_abi import load_python_abi
from gpuwheel.model.findings import Found, Part, Severity
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel.metadata import field_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["RANGE_RULES"]

_ANY_PYTHON = re.compile(r"py([23])(\d{0,3})")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")


@rule(
    "requires-python-tag",
    needs={Part.NAME, Part.METADATA},
    why="installers refuse the wheel on every Python that its tag fits",
    fix="correct requires-python, or build and tag the wheel for a Python that it admits",
    source="core metadata, Requires-Python; Platform compatibility tags",
)
def _tag(case: WheelCase) -> Iterator[Found]:
    """Requires-Python admits none of the Pythons that the tag is for (a warning: none that exists)."""
    required, tag = required_python(case), case.wheel.tag
    if required is None:
        return
    told = f"Requires-Python {cut(str(required))}, tag {cut(tag.python)}-{cut(tag.abi)}"
    # With the stable ABI, any later Python as well.
    abi3 = "abi3" in tag.abi.split(".") or "none" in tag.abi.split(".")
    minors = {
        MinorVersion(python.version.major, minor)
        for python in tagged(tag)
        for minor in range(python.version.minor, LATEST if abi3 else python.version.minor + 1)
    }
    for match in filter(None, map(_ANY_PYTHON.fullmatch, tag.python.split("."))):
        first = int(match[2] or 0)
        minors |= {MinorVersion(int(match[1]), minor) for minor in (range(first, LATEST) if match[1] == "3" else [7])}
    admitted = sorted(minor for minor in minors if admits(required, str(minor)))
    newest = load_python_abi().newest
    if minors and not admitted:
        yield Found(case.wheel.name, f"admits none of the Pythons of its tag ({told})")
    elif admitted and admitted[0] > newest:
        problem = f"admits Pythons alone that are newer than any known one ({told}, expected {newest} or older)"
        why = "no installer takes the wheel until there is such a Python"
        yield Found(case.wheel.name, problem, why, severity=Severity.WARNING)


@rule(
    "tag-impossible",
    needs={Part.NAME},
    why="installers find that the wheel fits no Python, and take another one or none",
    fix="name the ABI of the Python that built it (cp311-cp311), abi3 or none, and build again",
    source="PEP 425 and PEP 703; `packaging.tags` and uv: which tags each Python has",
)
def _impossible(case: WheelCase) -> Iterator[Found]:
    """No Python has the ABI that the tag of the name puts beside it."""
    pythons, abis = case.wheel.tag.python.split("."), case.wheel.tag.abi.split(".")
    # Of a compressed set, some combinations never are.
    if not any(_possible(python.lower(), abi.lower()) for python in pythons for abi in abis):
        found = f"{cut(case.wheel.tag.python)}-{cut(case.wheel.tag.abi)}"
        yield Found(case.wheel.name, f"has a tag that no Python has (found {found}, expected the ABI of that Python)")


def _possible(python: str, abi: str) -> bool:
    if python.startswith("py"):
        return abi == "none"
    if python.startswith("cp") and python[2:].rstrip("t").isdigit():
        if abi in {"abi3", "abi3t"}:  # of free-threaded Pythons, a rule of its own speaks
            return python.startswith("cp3")
        return abi == "none" or re.fullmatch(f"{python.rstrip('t')}[a-z]*", abi) is not None
    if python.startswith("pp"):
        return abi == "none" or abi.startswith("pypy")
    return True  # of other Pythons nothing is known


@rule(
    "python-classifier",
    needs={Part.METADATA},
    why="people and indexes read classifiers to learn for which Pythons the project is, and installers do not",
    fix="list the Pythons that requires-python admits, and build again",
    source="PyPI classifiers, Programming Language :: Python",
    severity=Severity.NOTE,
)
def _classifier(case: WheelCase) -> Iterator[Found]:
    """A classifier names a Python that Requires-Python does not admit."""
    required = required_python(case)
    if required is None:
        return
    values = field_values(case.wheel.document("METADATA") or b"", "Classifier")
    named = [match[1] for match in map(_CLASSIFIER.fullmatch, values) if match]
    if strange := [python for python in named if not admits(required, python)]:
        problem = f"names Pythons that Requires-Python does not admit ({cut(', '.join(strange))}, {cut(str(required))})"
        yield Found(f"{case.wheel.dist_info}/METADATA", problem)


RANGE_RULES = (_tag, _impossible, _classifier)
"""About a whole wheel (`WheelCase`)."""
