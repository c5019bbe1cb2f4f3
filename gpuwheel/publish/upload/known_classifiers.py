"""Whether PyPI knows the classifiers of a release: by the package that its server and build backends ask too.

`trove-classifiers` comes with the extra `publish`; without it, nothing is found.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.model.findings import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.publish.upload.release_checks import Release

__all__ = ["CLASSIFIERS", "PRIVATE", "knows_classifiers"]

_PACKAGE = "trove_classifiers"
PRIVATE = "Private :: "
"""How those begin that PyPI refuses by purpose."""


def knows_classifiers() -> bool:
    """Whether the package is there to be asked."""
    return importlib.util.find_spec(_PACKAGE) is not None


@rule(
    "classifiers",
    needs=(),
    why="the upload ends at the first file",
    fix="take one from pypi.org/classifiers; for one that is new there: pip install --upgrade trove-classifiers",
    source="PyPI refuses classifiers that it does not know or has given up (warehouse/forklift/metadata.py)",
)
def _classifiers(release: Release) -> Iterator[Found]:
    """A classifier is none of PyPI's, or was given up."""
    if not release.to.is_pypi or not knows_classifiers():
        return
    package = importlib.import_module(_PACKAGE)
    for file in release.files:
        for value in file.values("Classifier"):
            instead = package.deprecated_classifiers.get(value)
            if instead is not None:
                expected = " and ".join(instead) or "none in its place"
                problem = f"has a classifier that was given up (found {cut(value)}, expected {expected})"
                yield Found(file.path.name, problem)
            elif value not in package.classifiers and not value.startswith(PRIVATE):
                yield Found(file.path.name, f"has a classifier that PyPI does not know (found {cut(value)})")


CLASSIFIERS = _classifiers
