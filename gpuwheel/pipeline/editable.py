"""An editable install: Python files stay where they are, and compiled files go beside them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel.compile.cmake import inner
from gpuwheel.config import product_patterns
from gpuwheel.errors import ConfigError, GpuwheelError
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.pipeline.in_place import EditableParts, Places, divide, search_folders, stubs_of, tell_git, write_members
from gpuwheel.wheel import Member, Wheel, add_members, edit_wheel, pack_wheel, read_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gpuwheel.pipeline.session import Compiled, ModeBuild, Session
    from gpuwheel.wheel import WheelEdits

__all__ = ["bare_editable", "build_editable", "own_products"]


def build_editable(session: Session, mode: ModeBuild, out: Path, edits: WheelEdits) -> str:
    """Compile, put compiled files beside the sources, pack the rest into a wheel in `out`; return its name.

    Objects and libraries come from the cache where the same ones were made before, by whichever build in whichever
    environment. Where scikit-build-core is to run CMake again on import, or a package lies in no folder of its name,
    compiled files are in the wheel, as scikit-build-core makes it.

    Raises:
        ConfigError: CMake is to run on import, and a module is one that gpuwheel writes.
    """
    config = session.config
    rebuilds = inner.rebuilds_on_import(config.inner, config.inner_table, session.environ)
    made = [name for name, one in config.settings.extensions.items() if one.abi is TorchAbi.COMPAT]
    if rebuilds and made:
        why = f"and gpuwheel writes the module of {made[0]!r} after it"
        msg = f"editable.rebuild has CMake run on import, {why} (found true, expected no such setting)"
        raise ConfigError(msg, hint="remove it: gpuwheel dev --watch compiles what changed")
    with session.cache.scratch() as scratch:
        if not rebuilds:
            bare = read_wheel(bare_editable(session, scratch))
            # Compiled as for a wheel, so that the keys are those of wheels: each takes the objects and libraries that
            # the other made.
            with mode.compiled(editable=False, keep=True) as compiled:
                _keep_if_right(compiled, session, edits)
                parts = _placed(session, compiled.wheel, bare)
            if parts is not None:
                return _shipped(add_members(Wheel(bare.name, {}), parts.wheel), edits, session, out)
        with mode.compiled(editable=True) as compiled:
            return _shipped(compiled.wheel, edits, session, out)


def _shipped(wheel: Wheel, edits: WheelEdits, session: Session, out: Path) -> str:
    """The name of the file in `out`."""
    edited = edit_wheel(wheel, edits)
    pack_wheel(edited.members.values(), epoch=session.epoch).write(out / str(edited.name))
    return str(edited.name)


def _keep_if_right(compiled: Compiled, session: Session, edits: WheelEdits) -> None:
    """Keep what was compiled for other builds, unless a wheel of it would be refused; then say so."""
    from gpuwheel.pipeline.finishing import check  # noqa: PLC0415 (gpuwheel dev does without)

    try:
        check(session, compiled, edits)
    except GpuwheelError as error:
        session.reporter.warn(f"a wheel of this would be refused: {error.message}")
    else:
        compiled.save()


def bare_editable(session: Session, out: Path) -> Path:
    """The editable wheel of the project without anything compiled, written into `out`."""
    config, cell = session.config, session.cell
    # Modes whose wheel is py3-none-any.
    pure = cell.mode in {Mode.PYTHON, Mode.KERNELS}
    settings = inner.pure_settings(config.inner) if pure else inner.plain_settings(config.inner, cell.python_tag)
    return inner.build_wheel(session.inside, out, settings, editable=True)


def own_products(session: Session, paths: Iterable[Path]) -> Iterator[Path]:
    """Those of `paths` that gpuwheel writes, and may replace."""
    root = session.config.project.root
    patterns = product_patterns(session.config.settings, root)
    return (path for path in paths if any(PurePosixPath(path.as_posix()).match(pattern) for pattern in patterns))


def _placed(session: Session, built: Wheel, bare: Wheel) -> EditableParts | None:
    """What goes into the wheel, with the rest written beside the sources; `None` if that has no place there."""
    root, members = session.config.project.root, bare.members
    places = Places(root, search_folders(members))
    parts = divide(built.members, members, places)
    if parts is None:
        session.reporter.info("compiled files go to site-packages: their package is in no writable folder of its name")
        return None
    files = {**parts.sources, **stubs_of(own_products(session, parts.sources))}
    changed = write_members(files, ours=own_products(session, files), root=root)
    for path in changed:
        session.reporter.info(f"in place  {path.relative_to(root) if path.is_relative_to(root) else path}")
    tell_git(session, changed)
    # A module in no package lies in the project's folder itself, and no package has put that on sys.path: a line of
    # our own does.
    if places.folders or not any(path.parent == root for path in files):
        return parts
    name = f"_gpuwheel_{bare.name.distribution}.pth"
    return EditableParts((*parts.wheel, Member(name, f"{root}\n".encode())), parts.sources)
