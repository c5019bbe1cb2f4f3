"""A folder that is written whole: made beside its place, and put there at the end; of others nothing is touched.

A file in it says what was written. A folder with anything else in it, or with a text that somebody has changed, is not
ours to replace.
"""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpuwheel._endings import DAMAGE, cut
from gpuwheel._files import atomic_file, sha256_of
from gpuwheel._limits import OCI_DOCUMENT
from gpuwheel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["own_folder"]

_MARK = ".gpuwheel-containerfile.json"
_HINT = "name a folder that does not exist yet, or an empty one"


@contextmanager
def own_folder(folder: Path, texts: Sequence[str], sources: Sequence[Path]) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` at the end; an error or interrupt leaves that as it was.

    Args:
        folder: its name.
        texts: names of files in it that a person may edit: changed ones are not replaced.
        sources: files that are read meanwhile, and must not be in it.

    Raises:
        ImageError: `folder` holds what was not written here, or a source.
        OSError: it cannot be written.
    """
    # Links are followed: what is replaced is the folder, not a link to it.
    folder = folder.resolve()
    _check(folder, sources)
    folder.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    fresh, old = (folder.with_name(f".{folder.name}.{token}.{kind}") for kind in ("part", "old"))
    try:
        fresh.mkdir()
        yield fresh
        written = {name: _digest(fresh / name) if name in texts else "" for name in _names(fresh)}
        with atomic_file(fresh / _MARK) as file:
            file.write(
                json.dumps({"written by": "gpuwheel image --containerfile", "files": written}, indent=1).encode()
            )
        if folder.exists():
            _check(folder, sources)  # somebody may have come meanwhile
            folder.replace(old)
        try:
            fresh.replace(folder)
        except BaseException:
            if old.exists():
                old.replace(folder)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _check(folder: Path, sources: Sequence[Path]) -> None:
    if not folder.exists():
        return
    inside = [source for source in sources if source.resolve().is_relative_to(folder)]
    if inside:
        msg = f"{folder} holds {inside[0].name}, which goes into the image (expected a folder apart from the wheels)"
        raise ImageError(msg, hint=_HINT)
    found = _names(folder) if folder.is_dir() else [folder.name]
    if not found:
        return
    ours = _written(folder)
    others = [name for name in found if name not in {*ours, _MARK}]
    changed = [name for name, digest in ours.items() if digest and name in found and _digest(folder / name) != digest]
    if others or not ours:
        msg = f"{folder} is not a folder that gpuwheel wrote (found {cut((others or found)[0])}, expected it empty)"
        raise ImageError(msg, hint=_HINT)
    if changed:
        msg = f"{folder} was changed since gpuwheel wrote it (found another {cut(changed[0])})"
        raise ImageError(msg, hint=f"{_HINT}, and keep your changes")


def _names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def _written(folder: Path) -> dict[str, str]:
    """Name -> digest of a text, or "", of what an earlier call wrote."""
    try:
        with (folder / _MARK).open("rb") as file:
            document = json.loads(file.read(OCI_DOCUMENT.value))
        return {str(name): str(digest) for name, digest in document["files"].items()}
    except (FileNotFoundError, *DAMAGE):
        return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_of(file)
