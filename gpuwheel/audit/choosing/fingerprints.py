"""One name for one finding, which stays when the wheel is built again, for another Python, or as the next version."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Container

    from gpuwheel.model.findings import Finding

__all__ = ["fingerprint", "neutral_name", "project_of", "unknown_part"]

_LENGTH = 32
"""Hexadecimal digits: 128 bits."""
_LONG = 4096
# What differs between two builds of one thing, in names of members and in sentences about them.
_VARYING = (
    (re.compile(r"[^/\s]+(?=\.(?:dist-info|data)/)"), "*"),
    # auditwheel's mark of a copy, and digests.
    (re.compile(r"(?<=-)[0-9a-f]{8}(?=\.so)"), "*"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "*"),
    (re.compile(r"sha256=[\w-]{43}"), "*"),
    (re.compile(r"\b(?:cpython-|pypy|cp)3\d+\w*(?=[-.])"), "*"),
    (re.compile(r"(?<=-)(?:x86_64|aarch64)-linux-(?:gnu|musl)"), "*"),
    (re.compile(r"[^/\s]+\.whl\b"), "*"),
    (re.compile(r"\b\d[\d,]*(?:\.\d+)?\s?(?:bytes|B|kB|MB|GB)\b"), "*"),
    (re.compile(r"\b\d{1,3}(?:,\d{3})+\b|\b\d{4,}\b|0x[0-9a-f]+"), "*"),
)


def project_of(wheel: str) -> str:
    """The project in a wheel's name, normalised."""
    return canonicalize_name(wheel.partition("-")[0].removesuffix(".whl"))


@lru_cache(maxsize=1 << 14)
def neutral_name(text: str) -> str:
    """A name or a sentence without what differs between two builds of one thing; of pages of text, all of it."""
    if len(text) > _LONG:
        return text  # patterns would begin again at each of its characters
    for pattern, stands_for in _VARYING:
        text = pattern.sub(stands_for, text)
    return text


def fingerprint(wheel: str, finding: Finding, subject: str | None = None) -> str:
    """The name of a finding about one file: `subject`, or the finding's own.

    Of two wheels of one project that show the same, it is the same one.
    """
    about = finding.subject if subject is None else subject
    parts = (project_of(wheel), finding.rule, neutral_name(about), neutral_name(finding.problem))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_LENGTH]


def unknown_part(wheel: str, finding: Finding, known: Container[str]) -> Finding | None:
    """A finding with those of its files that are not known to show it; `None` where all are."""
    where = tuple(name for name in finding.where if fingerprint(wheel, finding, name) not in known)
    if len(where) == len(finding.where):
        return finding
    return replace(finding, subject=where[0], where=where) if where else None
