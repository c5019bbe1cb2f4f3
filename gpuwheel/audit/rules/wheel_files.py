"""What a wheel says of itself: its name, RECORD, WHEEL, METADATA and kernel manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.kernel_manifests import MANIFEST
from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.model.findings import Found, Others, Part, Profile, Severity
from gpuwheel.wheel.naming import expand_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["CLAIM_RULES", "MANIFEST_RULES", "SIZE_RULES", "UNREADABLE", "size_by_target"]

_FORMAT = "Binary distribution format"
_MANIFEST_SCHEMA = "`gpuwheel/data/kernels.schema.json`"


@rule(
    "unreadable",
    needs=frozenset(Part) - {Part.SIZE, Part.BUILD, Part.ARCHIVE},
    why="nothing that it claims can be checked",
    fix="download or build the file again",
    source=f"{_FORMAT}; `gpuwheel/_limits.py` has each limit",
)
def _unreadable(case: WheelCase) -> Iterator[Found]:
    """The wheel, a file in it, or what such a file holds is damaged, or passes a limit."""
    wheel = case.wheel
    _ = wheel.tag, wheel.requirements  # without which nothing else can be asked: these raise
    for name, error in wheel.damaged.items():
        yield Found(name, error.message.removeprefix(f"{name} "))
    for member in wheel.members.values():
        # In anybody's wheel ".so" may end the name of a text; what a build calls so, it means to load.
        if case.expected is not None and member.name.endswith(".so") and not member.starts_with(MAGIC):
            read_elf(member.data, member.name)  # which says what it lacks


UNREADABLE = _unreadable


@rule(
    "tag-mismatch",
    needs={Part.NAME, Part.METADATA},
    why="installers read the name, and tools that look at what is installed read WHEEL: they do not agree",
    fix="do not rename wheels; `wheel tags` and auditwheel change both",
    source=f"{_FORMAT}: the Tag lines of WHEEL; Platform compatibility tags",
    others=Others(Severity.WARNING),
)
def _tag_mismatch(case: WheelCase) -> Iterator[Found]:
    """WHEEL has other tags than the wheel's name (a warning with `--profile any`: installers take it all the same)."""
    wheel = case.wheel
    # A compressed tag of the name stands for several lines of WHEEL (PEP 425, "Compressed Tag Sets").
    named = sorted({str(tag).lower() for tag in expand_tag(wheel.tag)})
    # Without WHEEL there is nothing to agree with: a finding of its own.
    text = wheel.document("WHEEL")
    if text is not None and b"\0" not in text and named != sorted({tag.lower() for tag in wheel.tags}):
        yield Found(
            wheel.name,
            f"has other tags in WHEEL than in its name ({cut(' '.join(wheel.tags)) or 'none'}, "
            f"expected {cut(' '.join(named))})",
        )


@rule(
    "manifest-missing",
    needs={Part.IMAGES, Part.MANIFESTS},
    why="nothing says which GPUs and drivers it is for",
    fix="build with gpuwheel.backend",
    source=_MANIFEST_SCHEMA,
    severity=Severity.WARNING,
    profile=Profile.OWN,
)
def _manifest_missing(case: WheelCase) -> Iterator[Found]:
    """The wheel holds device code, and no kernel manifest."""
    if case.wheel.manifests == () and case.wheel.images:
        problem = f"holds device code and no kernel manifest (no {MANIFEST}, expected one)"
        yield Found(case.wheel.name, problem)


@rule(
    "manifest",
    needs={Part.MANIFESTS},
    why="tools and people read it to learn where the wheel runs",
    fix="build the wheel again; do not edit it by hand",
    source=_MANIFEST_SCHEMA,
)
def _manifest(case: WheelCase) -> Iterator[Found]:
    """A file has the name of a kernel manifest, and is none."""
    if isinstance(case.wheel.manifests, ValueError):
        problem = f"holds a file that is not a kernel manifest ({case.wheel.manifests}, expected schema 1)"
        yield Found(case.wheel.name, problem)


@rule(
    "size-budget",
    needs={Part.SIZE, Part.IMAGES},
    why="package indexes refuse files above their limit, and every user downloads every architecture",
    fix="drop an architecture from `archs`, or raise `max-size` in [tool.gpuwheel.wheel]",
    source="the project's own `max-size`; PyPI, Storage limits: 100 MB a file unless raised",
)
def _size_budget(case: WheelCase) -> Iterator[Found]:
    """The wheel is larger than `max-size` in [tool.gpuwheel.wheel]."""
    size, limit = case.wheel.size, case.max_size
    if size is not None and limit is not None and size > limit:
        shares = ", ".join(f"{target} {_megabytes(count)}" for target, count in size_by_target(case).items())
        expected = f"expected {_megabytes(limit)} or less; device code: {shares or 'none'}"
        yield Found(case.wheel.name, f"is too large ({_megabytes(size)}, {expected})")


def size_by_target(case: WheelCase) -> dict[str, int]:
    """Bytes of device code in the file per target ("sm_80", "compute_100"), largest first."""
    sizes: dict[str, int] = {}
    for image in case.wheel.images:
        sizes[str(image)] = sizes.get(str(image), 0) + image.size
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


CLAIM_RULES = (
    _unreadable,
    _tag_mismatch,
)
MANIFEST_RULES = (_manifest_missing, _manifest)
SIZE_RULES = (_size_budget,)
"""About a whole wheel (`WheelCase`)."""
