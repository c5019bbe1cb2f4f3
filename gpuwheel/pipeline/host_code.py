"""What the modes with host code do alike: a CMake project is written, configured and built, and nothing compiled twice.

The verbs are told here; a mode says what its project is, and with what it is made.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from gpuwheel.compile.cmake import inner
from gpuwheel.compile.cmake.asking import tell_kept
from gpuwheel.compile.cmake.keys import Given
from gpuwheel.compile.reuse.linked import LibraryStore, LinkedFile
from gpuwheel.model.promises import Expected
from gpuwheel.pipeline.session import Compiled
from gpuwheel.wheel import Member, add_members, read_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gpuwheel.compile.cmake.embed_project import HostProject
    from gpuwheel.compile.cmake.nvcc_project import NvccProject
    from gpuwheel.compile.reuse.linked import Recipe
    from gpuwheel.model.promises import Claims
    from gpuwheel.model.toolchain import NvccToolchain, Toolchain
    from gpuwheel.pipeline.session import Session
    from gpuwheel.wheel import Wheel

__all__ = ["HostCodeBuild"]

P = TypeVar("P", "HostProject", "NvccProject")
T = TypeVar("T", "Toolchain", "NvccToolchain")


class HostCodeBuild(ABC, Generic[T, P]):
    """Builds one cell."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._job = session.job

    @abstractmethod
    def _toolchain(self, search_path: Sequence[str] | None = None) -> T:
        """Find or fetch every compiler, and say where each came from.

        Args:
            search_path: where packages of this environment are looked for; `()`: nowhere, so that the cache is filled.
        """

    @abstractmethod
    def _project(self, toolchain: T, work: Path) -> P:
        """What CMake is to make, with kernels compiled that it does not compile."""

    @abstractmethod
    def _configured(self, project: P, toolchain: T, work: Path) -> AbstractContextManager[inner.ConfigSettings]:
        """Settings of the CMake project, the user's own or one that is written into `work`."""

    @abstractmethod
    def _recipe(self, project: P, given: Given) -> Recipe:
        """What the libraries are made from."""

    @abstractmethod
    def _files(self, toolchain: T) -> Mapping[str, Collection[str] | None]:
        """Library, as a member of the wheel -> the kernel groups inside it; `None`: it has no device code."""

    @abstractmethod
    def _claims(self, toolchain: T) -> Claims:
        """What the wheel will say of its libraries."""

    @abstractmethod
    def _doing(self, project: P, toolchain: T) -> str:
        """The line that begins a build."""

    def companions(self, members: Mapping[str, Member]) -> list[Member]:
        """Files that are made from the libraries among `members`, and go beside them."""
        return self._companions(members, self._toolchain())

    def _companions(self, members: Mapping[str, Member], toolchain: T) -> list[Member]:
        """The same."""
        del members, toolchain
        return []

    def _lasting(self, project: P, work: Path) -> P:
        """The project, for a CMake folder that stays: what changes from hour to hour is as it was."""
        del work
        return project

    def fetch(self) -> None:
        """What the build downloads goes into the cache, even where this environment has it."""
        self._toolchain(search_path=())

    @contextmanager
    def compiled(self, *, editable: bool, keep: bool = False) -> Iterator[Compiled]:
        """The inner backend's wheel."""
        session, toolchain = self._session, self._toolchain()
        with session.workspace(keep=editable or keep) as work, session.cache.scratch() as out:
            project = self._project(toolchain, work)
            # The user's own CMake may read anything: no key of ours covers what it makes. What the user keeps, Ninja
            # keeps up to date.
            if self._job.own_cmake is not None or editable or "build-dir" in session.config.inner:
                wheel, save = read_wheel(self._built(project, toolchain, work, out, editable=editable)), _nothing
            else:
                wheel, save = self._built_once(project, toolchain, work, out)
            wheel = add_members(wheel, self._companions(wheel.members, toolchain))
            expected = Expected(
                self._claims(toolchain),
                with_kernels={file: groups for file, groups in self._files(toolchain).items() if groups is not None},
                build_folders=[str(work), str(self._job.root)],
                platform=toolchain.stubs.platform if toolchain.stubs else None,
            )
            yield Compiled(wheel, expected, toolchain, save)

    def cmake_settings(self) -> inner.ConfigSettings:
        """Settings of the project's own CMake, with compilers, headers and images where they stay."""
        toolchain = self._toolchain()
        with (
            self._session.cache.workspace(f"presets {self._job.root}") as work,
            self._configured(self._project(toolchain, work), toolchain, work) as settings,
        ):
            return settings

    @contextmanager
    def prepared(self, work: Path) -> Iterator[inner.ConfigSettings]:
        """What CMake is configured with in `work`, where its project is written and kernels are compiled."""
        toolchain = self._toolchain()
        project = self._lasting(self._project(toolchain, work), work)
        with self._configured(project, toolchain, work) as settings:
            yield settings

    def _built(self, project: P, toolchain: T, work: Path, out: Path, *, editable: bool = False) -> Path:
        """The inner backend's wheel, with what CMake compiled and linked in `work`."""
        session = self._session
        session.reporter.step(self._doing(project, toolchain))
        with self._configured(project, toolchain, work) as settings:
            wheel = inner.build_wheel(session.inside, out, settings, editable=editable)
        # CMake and Ninja ran for minutes with paths into the cache: an entry that changed meanwhile is in the result.
        session.cache.check_handed_out()
        return wheel

    def _built_once(self, project: P, toolchain: T, work: Path, out: Path) -> tuple[Wheel, Callable[[], None]]:
        """The inner backend's wheel, with libraries or objects from the cache if the same ones were made before.

        Where all libraries were linked before, CMake does not run, and the wheel holds the same files. The second
        value keeps what was compiled and linked for other builds: to be called when the wheel was checked, before
        `work` goes.
        """
        session, files = self._session, self._files(toolchain)
        settings = {**session.config.inner_table, **session.config.inner}
        recipe = self._recipe(project, Given(session.cache, toolchain.host, settings, session.tools))
        if recipe.refusal is not None:
            session.reporter.info(f"nothing is taken from other builds, or kept for them: {recipe.refusal}")
        store = LibraryStore(session.cache, recipe)
        found = store.linked()
        if found is not None:
            session.reporter.step("compiled code did not change: linked libraries are taken from the cache")
            tell_kept(session.environ, (source for unit in recipe.units for _, source in unit.outputs))
            return _with_linked(session, found, project.manifests, out), _nothing
        # What is kept under the recipe's keys is made from nothing that was there.
        shutil.rmtree(work / "build", ignore_errors=True)
        objects = store.objects(work / "objects")
        tell_kept(session.environ, (source for _, source in objects))
        project = replace(project, names_link_inputs=recipe.names_link_inputs, objects=objects)
        wheel = read_wheel(self._built(project, toolchain, work, out))
        members = wheel.members
        if not members.keys() >= files.keys():  # the user's own settings may leave files out
            return wheel, _nothing
        linked = [LinkedFile(name, members[name].data, members[name].executable) for name in sorted(files)]

        def keep() -> None:
            for reason in store.save(linked, work / "build"):
                session.reporter.info(f"not kept for other builds: {reason}")

        return wheel, keep


def _with_linked(session: Session, libraries: Iterable[LinkedFile], manifests: Mapping[str, Path], out: Path) -> Wheel:
    """The inner backend's wheel of Python files, with libraries that were linked before."""
    # Without CMake, yet with the tag that a wheel with machine code has.
    settings = inner.plain_settings(session.config.inner, session.cell.python_tag)
    wheel = read_wheel(inner.build_wheel(session.inside, out, settings, editable=False))
    folder = f"{wheel.name.distribution}-{wheel.name.version}.dist-info"
    named = {f"{package or folder}/{manifest.name}": manifest for package, manifest in manifests.items()}
    linked = (Member(file.name, file.data, file.executable) for file in libraries)
    # Manifests are not kept with the libraries: they say what the configuration says today.
    return add_members(wheel, [*linked, *(Member(name, file.read_bytes()) for name, file in named.items())])


def _nothing() -> None:
    """Keep nothing."""
