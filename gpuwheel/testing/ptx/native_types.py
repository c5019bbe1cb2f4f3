"""The structures of native/machine.h that Python fills and reads."""

from __future__ import annotations

import ctypes

__all__ = ["REPORT_KINDS", "Launch", "Range", "RawReport"]

REPORT_KINDS = (
    "out-of-bounds",
    "misaligned",
    "shared-out-of-bounds",
    "local-out-of-bounds",
    "parameter-out-of-bounds",
    "shared-uninitialised",
    "local-uninitialised",
    "global-uninitialised",
    "shared-race",
    "global-race",
    "divergent-barrier",
    "absent-lanes",
    "not-a-member",
    "deadlock",
    "assertion",
    "trap",
    "no-meaning",
    "too-long",
    "too-deep",
    "unfinished-copy",
    "read-only",
    "bad-barrier",
)
"""`ReportKind`, in its order."""


class Range(ctypes.Structure):
    """Memory that kernels may touch: `end` exclusive."""

    _fields_ = [  # type: ignore[mutable-override]  # ctypes reads a list
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("shadow", ctypes.c_void_p),
        ("id", ctypes.c_uint64),
    ]


class RawReport(ctypes.Structure):
    """`Report`: the first of its kind at an instruction."""

    _fields_ = [  # type: ignore[mutable-override]
        ("kind", ctypes.c_uint32),
        ("instruction", ctypes.c_uint32),
        ("block", ctypes.c_uint32 * 3),
        ("thread", ctypes.c_uint32 * 3),
        ("address", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("other_block", ctypes.c_uint32),
        ("write", ctypes.c_uint32),
        ("text", ctypes.c_char * 160),
    ]

    @property
    def kind_name(self) -> str:
        """Of `REPORT_KINDS`."""
        return REPORT_KINDS[self.kind]


class Launch(ctypes.Structure):
    """`Launch`."""

    _fields_ = [  # type: ignore[mutable-override]
        ("program", ctypes.c_void_p),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("cluster", ctypes.c_uint32 * 3),
        ("dynamic_shared", ctypes.c_uint32),
        ("cooperative", ctypes.c_uint32),
        ("parameters", ctypes.c_void_p),
        ("ranges", ctypes.POINTER(Range)),
        ("variables", ctypes.POINTER(ctypes.c_uint64)),
        ("reports", ctypes.POINTER(RawReport)),
        ("covered", ctypes.POINTER(ctypes.c_uint64)),
        ("step_limit", ctypes.c_uint64),
        ("steps", ctypes.c_uint64),
        ("print", ctypes.c_void_p),
        ("range_count", ctypes.c_uint32),
        ("report_room", ctypes.c_uint32),
        ("report_count", ctypes.c_uint32),
        ("checks", ctypes.c_uint32),
        ("failed", ctypes.c_uint32),
        ("stopped", ctypes.c_uint32),
        ("workspace", ctypes.c_void_p),
        ("touched", ctypes.c_void_p),
        ("by_pages", ctypes.c_uint32),
        ("multiprocessors", ctypes.c_uint32),
    ]
