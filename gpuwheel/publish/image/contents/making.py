"""Layers as blobs: made once from what they hold, and then found by what they were made from."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import index_problem
from gpuwheel.publish.image.contents.installed import Place, folder, installed_files
from gpuwheel.publish.image.contents.layer_tar import FILE_TIME, write_tar
from gpuwheel.publish.image.contents.opened_wheel import open_wheel
from gpuwheel.publish.image.descriptors import Descriptor, canonical_json
from gpuwheel.publish.image.layout import BlobWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.publish.image.compression import Compression
    from gpuwheel.publish.image.contents.installed import ImageFile
    from gpuwheel.publish.image.contents.opened_wheel import OpenWheel
    from gpuwheel.publish.image.image_plan import ImagePlan, LayerGroup
    from gpuwheel.publish.image.layout import Layout

__all__ = ["LayerMaker", "MadeLayer"]

_SCHEMA = 1
_KEPT_FROM = 1_000_000
"""Bytes of wheels from which a layer is kept: a smaller one is made faster than its entry is looked over."""


@dataclass(frozen=True)
class MadeLayer:
    """A layer that is in a layout."""

    title: str
    blob: Descriptor
    diff_id: str
    unpacked: int
    """Bytes of its tar."""
    files: int
    wheels: tuple[str, ...]
    """File names."""
    reused: bool = False
    """Whether it was made before."""


@dataclass(frozen=True)
class _Facts:
    digest: str
    size: int
    diff_id: str
    unpacked: int
    files: int


class LayerMaker:
    """Makes the layers of one image."""

    def __init__(self, plan: ImagePlan, compression: Compression, layout: Layout, cache: Cache) -> None:
        self._plan, self._compression = plan, compression
        self._layout, self._cache = layout, cache
        self._place = Place(plan.prefix, plan.python)

    def make(self, group: LayerGroup, made: Sequence[ImageFile], advance: Callable[[int], None]) -> MadeLayer:
        """The layer of a group in the layout, from the cache where it was made before.

        Args:
            group: its wheels.
            made: files that come with them and are of no wheel.
            advance: hears of bytes that were written; may raise, to stop.

        Raises:
            AuditError: a wheel is damaged, or was changed since it was planned with.
            OSError: it cannot be written.
        """
        reused = True

        def fill(write_to: Path) -> None:
            nonlocal reused
            reused = False
            with (write_to / "blob").open("xb") as file:
                facts = self._write(group, made, BlobWriter(file), advance)
            (write_to / "layer.json").write_bytes(canonical_json(asdict(facts)))

        if sum(wheel.size for wheel in group.wheels) < _KEPT_FROM:
            with self._layout.incoming() as blob:
                facts = self._write(group, made, blob, advance)
            reused = False
        else:
            kept = self._cache.publish_tree("layers", self._key(group, made), fill, check=index_problem)
            facts = _Facts(**json.loads((kept / "layer.json").read_bytes()))
            self._layout.copy_from(kept / "blob", self._descriptor(group, facts), trusted=True)
        if reused:
            advance(facts.size)
        names = tuple(wheel.filename for wheel in group.wheels)
        blob_of = self._descriptor(group, facts)
        return MadeLayer(group.title, blob_of, facts.diff_id, facts.unpacked, facts.files, names, reused)

    def _descriptor(self, group: LayerGroup, facts: _Facts) -> Descriptor:
        annotations = {"dev.gpuwheel.contents": group.title}
        return Descriptor(self._compression.media_type, facts.digest, facts.size, annotations)

    def _write(
        self, group: LayerGroup, made: Sequence[ImageFile], blob: BlobWriter, advance: Callable[[int], None]
    ) -> _Facts:
        def write(data: bytes) -> None:
            advance(len(data))
            blob.write(data)

        with ExitStack() as stack:
            above = [folder(path, *kept) for path, kept in self._plan.folders.items()]
            contents: list[tuple[OpenWheel | None, Sequence[ImageFile]]] = [(None, [*above, *made])]
            for one in group.wheels:
                wheel = stack.enter_context(open_wheel(one.path, one.state))
                contents.append((wheel, installed_files(wheel, self._place)))
            written = write_tar(contents, self._compression.packer(write))
        return _Facts(blob.digest, blob.size, written.diff_id, written.size, written.files)

    def _key(self, group: LayerGroup, made: Sequence[ImageFile]) -> str:
        """Of everything that the bytes of a layer depend on."""
        parts: dict[str, Any] = {
            "schema": _SCHEMA,
            "wheels": [wheel.sha256 for wheel in group.wheels],
            "prefix": self._plan.prefix,
            "python": str(self._plan.python),
            "time": FILE_TIME,
            "compression": self._compression.made_by,
            "folders": self._plan.folders,
            "made": [[file.path, file.mode, file.owner, file.digest, file.target] for file in made],
        }
        return hashlib.sha256(canonical_json(parts)).hexdigest()
