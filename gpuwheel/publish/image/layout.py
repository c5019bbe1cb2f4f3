"""A folder of blobs by digest, with an index of what is named: the OCI image layout (image-spec, `image-layout.md`).

A blob appears under its digest whole and checked, or not at all; the index is replaced by one rename, after everything
that it names is there. So whoever is interrupted leaves a layout as it was, and at most a hidden file, which goes with
the next opening. Several processes may write into one layout.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from gpuwheel._endings import cut
from gpuwheel._files import atomic_file, held_folder, sha256_of
from gpuwheel._limits import OCI_DOCUMENT
from gpuwheel.errors import ImageError
from gpuwheel.publish.image.descriptors import (
    INDEX,
    Descriptor,
    canonical_json,
    descriptors_of,
    hex_of,
    parse_document,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["BlobWriter", "Layout"]

_MARK = "oci-layout"
_VERSION = {"imageLayoutVersion": "1.0.0"}
_PART, _LINK = ".part", ".link"
_OLD = 24 * 3600.0
"""Seconds after which a file that nobody writes to is taken for what a killed process left."""


class BlobWriter:
    """A blob on its way into a layout."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        """Append `data`."""
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)

    @property
    def digest(self) -> str:
        """Of everything written, `sha256:...`."""
        return f"sha256:{self._digest.hexdigest()}"


class Layout:
    """An image layout on disk."""

    def __init__(self, folder: Path) -> None:
        """Use `Layout.open` or `Layout.create`."""
        self.folder = folder
        self._blobs = folder / "blobs" / "sha256"

    @classmethod
    def open(cls, folder: Path) -> Layout:
        """The layout that is in `folder`.

        Raises:
            ImageError: there is none that can be read.
        """
        mark = folder / _MARK
        if not mark.is_file():
            problem = "has no file oci-layout" if folder.is_dir() else "does not exist"
            msg = f"{folder} is not an OCI image layout ({problem}, expected a folder with oci-layout and index.json)"
            raise ImageError(msg, hint="name the folder of a layout: gpuwheel image and skopeo copy write them")
        version = parse_document(_bounded(mark), f"{mark}").get("imageLayoutVersion")
        if not str(version).startswith("1."):
            msg = f"{folder} is an image layout of version {cut(version)} (expected 1.0.0)"
            raise ImageError(msg, hint="copy it with skopeo copy")
        return cls(folder)

    @classmethod
    def create(cls, folder: Path) -> Layout:
        """The layout in `folder`; an empty one where there is none yet.

        Raises:
            ImageError: something else is in the folder.
            OSError: it cannot be written.
        """
        layout = cls(folder)
        if not (folder / _MARK).exists():
            if folder.is_dir() and any(one.name != "blobs" for one in folder.iterdir()):
                msg = f"{folder} is not an OCI image layout (found other files, expected a layout or an empty folder)"
                raise ImageError(msg, hint="choose another folder")
            layout._blobs.mkdir(parents=True, exist_ok=True)
            with held_folder(folder):
                if not (folder / "index.json").exists():
                    layout._write_index(())
                # Last: a folder without it is no layout yet.
                with atomic_file(folder / _MARK) as file:
                    file.write(canonical_json(_VERSION))
        layout = cls.open(folder)
        layout.clean()
        return layout

    def clean(self) -> None:
        """Remove what a killed process left unfinished a day ago."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        for path in [*self._blobs.glob(f".*{_PART}"), *self._blobs.glob(f".*{_LINK}")]:
            with suppress(OSError):
                found = path.stat()
                # A second name of an old file has that file's time of modification, but was given it now.
                touched = found.st_ctime if path.suffix == _LINK else found.st_mtime
                if touched < time.time() - _OLD:
                    path.unlink()

    def blob_path(self, digest: str) -> Path:
        """Where a blob is, or would be.

        Raises:
            ImageError: it is no digest.
        """
        return self._blobs / hex_of(digest)

    def part_path(self, digest: str) -> Path:
        """Where an unfinished blob may wait for its rest: to be given to `adopt`; forgotten after a day.

        Raises:
            ImageError: it is no digest.
        """
        return self._blobs / f".{hex_of(digest)}{_PART}"

    def has(self, blob: Descriptor | str) -> bool:
        """Whether it is here; of a descriptor, whether it has its size too."""
        path = self.blob_path(blob if isinstance(blob, str) else blob.digest)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return False
        return isinstance(blob, str) or size == blob.size

    @contextmanager
    def incoming(self) -> Iterator[BlobWriter]:
        """A blob whose digest is known when all of it was written; it appears at the end.

        Raises:
            OSError: it cannot be written; nothing is left behind.
        """
        part = self._blobs / f".{secrets.token_hex(8)}{_PART}"
        try:
            with part.open("xb") as file:
                writer = BlobWriter(file)
                yield writer
            self._take(part, writer.digest)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename in {None, os.fspath(part)}:
                error.filename, error.filename2 = os.fspath(self.folder), None  # nobody knows the temporary name
            raise

    def put(self, data: bytes, media_type: str, **further: Any) -> Descriptor:  # noqa: ANN401 (of a Descriptor)
        """Store a document and return its descriptor, with further fields of it.

        Raises:
            OSError: it cannot be written.
        """
        descriptor = Descriptor(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), **further)
        path = self.blob_path(descriptor.digest)
        if not self.has(descriptor) or path.read_bytes() != data:  # whatever else took its place is mended
            with self.incoming() as blob:
                blob.write(data)
        return descriptor

    def put_json(self, document: Mapping[str, Any], media_type: str, **further: Any) -> Descriptor:  # noqa: ANN401
        """Store a document in its canonical spelling, as `put` does."""
        return self.put(canonical_json(document), media_type, **further)

    def adopt(self, path: Path, blob: Descriptor) -> None:
        """Take a finished file, on the same disk, as a blob; the file is gone afterwards, whatever comes of it.

        Raises:
            ImageError: it has another digest or size.
            OSError: it cannot be read or moved.
        """
        try:
            self._check(path, blob)
            self._take(path, blob.digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def copy_from(self, path: Path, blob: Descriptor, *, trusted: bool = False) -> None:
        """Take a file that stays where it is: by a second name where the disk allows it, else as a copy.

        Args:
            path: of the file.
            blob: what it is.
            trusted: whether somebody has just looked that it is so: of a second name only the size is checked then.

        Raises:
            ImageError: it has another digest or size.
            OSError: it cannot be read, or not be written here.
        """
        target = self.blob_path(blob.digest)
        if self.has(blob) and ((trusted and target.samefile(path)) or self._is_whole(target, blob)):
            return
        part = self._blobs / f".{secrets.token_hex(8)}{_LINK}"
        try:
            _link(path.resolve(), part)
        except OSError:  # another disk, no hard links, or not ours to link
            with path.open("rb") as source, self.incoming() as writer:
                while block := source.read(1 << 20):
                    writer.write(block)
                if (writer.digest, writer.size) != (blob.digest, blob.size):
                    raise _other(path, blob, writer.digest, writer.size) from None
            return
        try:
            if not trusted or part.stat().st_size != blob.size:
                self._check(part, blob)
            # As it is: its mode is that of a file which is somebody else's too.
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def check(self, blob: Descriptor) -> None:
        """Make sure that a blob is here, and has its digest.

        Raises:
            ImageError: it is not here, or another one.
        """
        path = self.blob_path(blob.digest)
        if not path.is_file():
            raise self._lacks(blob)
        self._check(path, blob)

    def _is_whole(self, path: Path, blob: Descriptor) -> bool:
        try:
            self._check(path, blob)
        except ImageError:
            return False
        return True

    def _lacks(self, blob: Descriptor) -> ImageError:
        msg = f"{self.folder} lacks {blob.digest} ({cut(blob.media_type)}), which its index leads to"
        return ImageError(msg, hint="pull or build the image again")

    def read(self, blob: Descriptor) -> bytes:
        """A document, checked against its digest.

        Raises:
            ImageError: it is not here, too large for a document, or another one.
        """
        path = self.blob_path(blob.digest)
        if not path.is_file():
            raise self._lacks(blob)
        data = _bounded(path)
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if found != blob.digest:
            raise _other(path, blob, found, len(data))
        return data

    def read_json(self, blob: Descriptor) -> dict[str, Any]:
        """A JSON document; raises what `read` raises, and `ImageError` where it is none."""
        return parse_document(self.read(blob), f"{self.folder}: {blob.digest}")

    def index(self) -> tuple[Descriptor, ...]:
        """What the layout names: manifests and indexes.

        Raises:
            ImageError: index.json is missing or damaged.
        """
        path = self.folder / "index.json"
        return descriptors_of(parse_document(_bounded(path), f"{path}"), "manifests", f"{path}")

    def write_index(self, change: Callable[[tuple[Descriptor, ...]], Sequence[Descriptor]]) -> None:
        """Replace what the layout names by what `change` makes of it, of several processes one at a time.

        Raises:
            ImageError: index.json is damaged, or would name what is not here.
            OSError: it cannot be written.
        """
        with held_folder(self.folder):
            named = change(self.index())
            for one in named:
                if not self.has(one):
                    msg = f"{self.folder} would name {one.digest} and lack it"
                    raise ImageError(msg, hint="pull or build the image again")
            self._write_index(named)

    def name(self, blob: Descriptor) -> None:
        """Give what the descriptor points to its tag (`Descriptor.tag`), which anything else of that name loses.

        Raises:
            ImageError: index.json is damaged, or the blob is not here.
            OSError: it cannot be written.
        """

        def change(named: tuple[Descriptor, ...]) -> list[Descriptor]:
            others = [one for one in named if (one.tag != blob.tag if blob.tag else one.digest != blob.digest)]
            return [*others, blob]

        self.write_index(change)

    def find(self, tag: str | None) -> Descriptor:
        """What has this tag or digest; without one, the only thing that is named.

        Raises:
            ImageError: nothing has it, or there are several to choose from.
        """
        named = self.index()
        # An artifact beside an image, such as a bill of materials, is not what somebody means who names none.
        found = [one for one in named if (not one.artifact_type if tag is None else tag in {one.tag, one.digest})]
        # The same content under two tags is one thing.
        if len({one.digest for one in found}) != 1:
            shown = cut(", ".join(sorted(one.tag or one.digest for one in named)) or "nothing")
            wanted = "one image" if tag is None else cut(tag)
            msg = f"{self.folder} does not say which image is meant (found {shown}, expected {wanted})"
            raise ImageError(msg, hint=f"name one: oci:{self.folder}:TAG")
        return found[0]

    def _write_index(self, named: Sequence[Descriptor]) -> None:
        # One order, whoever came first.
        rows = sorted((one.to_json() for one in named), key=canonical_json)
        with atomic_file(self.folder / "index.json") as file:
            file.write(canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}))

    def _check(self, path: Path, blob: Descriptor) -> None:
        size = path.stat().st_size
        if size == blob.size:
            with path.open("rb") as file:
                digest = f"sha256:{sha256_of(file)}"
            if digest == blob.digest:
                return
        else:
            digest = "another digest"
        raise _other(path, blob, digest, size)

    def _take(self, path: Path, digest: str) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.chmod(0o644)
        path.replace(self.blob_path(digest))


def _link(path: Path, name: Path) -> None:
    """A second name of a file that everybody may read, as those of a layout.

    Raises:
        OSError: it cannot have one, or not everybody may.
    """
    if path.stat().st_mode & 0o444 != 0o444:  # noqa: PLR2004 (read, for all three)
        raise PermissionError
    os.link(path, name)


def _bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(OCI_DOCUMENT.value + 1)
    except FileNotFoundError as error:
        msg = f"{path} does not exist (expected a document of an image layout)"
        raise ImageError(msg, hint="pull or build the image again") from error
    if len(data) > OCI_DOCUMENT.value:
        msg = f"{path} is too large for a document of an image ({OCI_DOCUMENT.passed('more')})"
        raise ImageError(msg, hint="pull or build the image again")
    return data


def _other(path: Path, blob: Descriptor, digest: str, size: int) -> ImageError:
    found, expected = f"{digest} of {size:,} bytes", f"{blob.digest} of {blob.size:,} bytes"
    msg = f"{path.name} is not the expected content (found {found}, expected {expected})"
    return ImageError(msg, hint="pull or build it again: the file is damaged, or was changed")
