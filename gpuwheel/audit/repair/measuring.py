"""What a wheel's file would lose without the device code for one target: measured, by compressing what is left."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.audit.inspection import opened
from gpuwheel.audit.repair.device_images import code_holders, code_parts
from gpuwheel.binary.fatbin_edit import containers, without
from gpuwheel.wheel.copying import source_wheel
from gpuwheel.wheel.deflating import deflate_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from gpuwheel.audit.contents.arch_costs import Forecast
    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.model.reporter import Reporter

__all__ = ["measured"]

_THREADS = 4


def measured(wheel: Path, found: Sequence[Forecast], reporter: Reporter) -> tuple[Forecast, ...]:
    """Forecasts with what `gpuwheel repair --drop-arch` takes out of the file, but for what RECORD and manifests say.

    Each file with device code is unpacked to disk, one at a time, and compressed as it is and without each target in
    it, both by our writer: that another one compressed the wheel is no saving. A file that holds one target alone, such
    as a cubin, would be gone.

    Raises:
        UnreadableError: the wheel cannot be edited.
        AuditError: it is damaged.
        OSError: a file cannot be written.
    """
    saved: dict[str, int] = defaultdict(int)
    targets = [one.target for one in found]
    with opened(wheel) as inspection, source_wheel(wheel) as source, ThreadPoolExecutor(_THREADS) as pool:
        held = _held(inspection, targets)
        edited = set(code_holders(inspection, {target.rpartition("_")[2] for target in targets}))
        total = sum(source.infos[name].file_size * (1 + len(held[name])) for name in edited)
        with reporter.progress(f"compressing {wheel.name} without each arch", total) as progress:
            for name, present in held.items():
                info = source.infos[name]
                if name not in edited:
                    saved.update({each: saved[each] + info.compress_size for each in present if len(present) == 1})
                    continue
                with tempfile.TemporaryDirectory(prefix="gpuwheel-measure-") as folder:
                    whole, less = Path(folder) / "whole", Path(folder) / "less"
                    source.unpack(name, whole)
                    size = _packed(whole, pool)
                    progress.advance(info.file_size)
                    for target in present:
                        _drop(whole, less, name, target)
                        saved[target] += size - _packed(less, pool)
                        progress.advance(info.file_size)
    return tuple(replace(one, packed=saved[one.target], is_measured=True) for one in found)


def _held(inspection: Inspection, targets: Sequence[str]) -> dict[str, list[str]]:
    """The targets in each file that holds device code, in the order in which they are asked for."""
    found = {name: {str(image) for image in images} for name, images in inspection.images_of.items()}
    return {name: [one for one in targets if one in present] for name, present in found.items() if present}


def _drop(whole: Path, less: Path, member: str, target: str) -> None:
    shutil.copyfile(whole, less)
    with less.open("r+b") as file:
        for container in [each for part in code_parts(file, less, member) for each in containers(file, *part)]:
            without(file, container, lambda entry: entry.target == target)


def _packed(path: Path, pool: Executor) -> int:
    """Bytes of a file in a wheel of ours."""
    with path.open("rb") as file, path.with_suffix(".packed").open("wb") as out:
        return deflate_file(file, out, pool, threads=_THREADS).packed_size
