"""The wheel of the inner backend with libraries, or objects of them, from the cache."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.cmake import inner
from gpuwheel.compile.reuse.linked import LibraryStore, LinkedFile
from gpuwheel.wheel import Member, add_members, read_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gpuwheel.compile.reuse.linked import Output, Recipe
    from gpuwheel.pipeline.session import Session
    from gpuwheel.wheel import Wheel

__all__ = ["Linked", "link_once"]


@dataclass(frozen=True)
class Linked:
    """What CMake is to put into the wheel."""

    files: frozenset[str]
    """Libraries, as members of the wheel."""
    manifests: Mapping[str, Path]
    """Package folder in the wheel, empty where a library is in none -> its `_kernels.json`."""


def link_once(
    session: Session,
    recipe: Recipe,
    link: Callable[[Mapping[Output, Path]], Path],
    *,
    wanted: Linked,
    work: Path,
    out: Path,
) -> tuple[Wheel, Callable[[], None]]:
    """The wheel that `link` makes in the CMake folder `work/build`, given the objects that need not be compiled.

    Where all of its libraries were linked before, CMake does not run, and the wheel holds the same files. The second
    value keeps what was compiled and linked for other builds: to be called when the wheel was checked, before `work`
    goes.

    Args:
        session: whose wheel.
        recipe: what the libraries are made from.
        link: runs CMake, and returns a wheel in `out`.
        wanted: what that has to hold.
        work: holds the CMake folder.
        out: where the inner backend writes its wheel.
    """
    if recipe.refusal is not None:
        session.reporter.info(f"nothing is taken from other builds, or kept for them: {recipe.refusal}")
    store = LibraryStore(session.cache, recipe)
    found = store.linked()
    if found is not None:
        session.reporter.step("compiled code did not change: linked libraries are taken from the cache")
        # Without CMake, yet with the tag that a wheel with machine code has.
        settings = inner.plain_settings(session.config.inner, session.cell.python_tag)
        wheel = read_wheel(inner.build_wheel(session.inside, out, settings, editable=False))
        folder = f"{wheel.name.distribution}-{wheel.name.version}.dist-info"
        named = {f"{package or folder}/{manifest.name}": manifest for package, manifest in wanted.manifests.items()}
        libraries = (Member(file.name, file.data, file.executable) for file in found)
        # Not kept with the libraries: they say what the configuration says today.
        manifests = (Member(name, file.read_bytes()) for name, file in named.items())
        return add_members(wheel, [*libraries, *manifests]), _nothing
    # What is kept under the recipe's keys is made from nothing that was there.
    shutil.rmtree(work / "build", ignore_errors=True)
    wheel = read_wheel(link(store.objects(work / "objects")))
    members = wheel.members
    if not members.keys() >= wanted.files:  # the user's own settings may leave files out
        return wheel, _nothing
    linked = [LinkedFile(name, members[name].data, members[name].executable) for name in sorted(wanted.files)]

    def keep() -> None:
        for reason in store.save(linked, work / "build"):
            session.reporter.info(f"not kept for other builds: {reason}")

    return wheel, keep


def _nothing() -> None:
    """Keep nothing."""
