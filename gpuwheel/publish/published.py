"""A wheel as an index offers it: what was found in it, and where it can be had. Rows of `wheels.json`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import DAMAGE, because, cut
from gpuwheel.errors import AuditError
from gpuwheel.publish.wheel_facts import WheelFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PublishedWheel"]

# What is a relative path or leads to a server: a page must not run what a row holds, nor open files of its reader.
_URL = re.compile(r"(?:https?://|[A-Za-z0-9._~%/-])[!-;=?-~]*", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_OWN = ("url", "yanked", "indexes")


@dataclass(frozen=True)
class PublishedWheel:
    """One row: of one file of one project."""

    facts: WheelFacts
    url: str
    """Of the file; absolute, or relative to the folder of `wheels.json` (which is that of the project's page)."""
    yanked: bool | str = False
    """Whether installers pass it over unless it is pinned (PEP 592); the reason, where one was given."""
    indexes: tuple[str, ...] = ()
    """URLs, as `url`, of the indexes (`simple/`) that list it: that of all wheels first, those of one torch or CUDA
    behind it."""

    def to_json(self) -> dict[str, Any]:
        """The facts, and beside them `url`, `yanked` and `indexes`."""
        return self.facts.to_json() | {"url": self.url, "yanked": self.yanked, "indexes": list(self.indexes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PublishedWheel:
        """From plain data that may come from anywhere.

        Raises:
            AuditError: it is not what `to_json` makes.
        """
        try:
            url, yanked, indexes = (data[key] for key in _OWN)
            if not isinstance(yanked, (bool, str)) or not isinstance(indexes, list):
                raise TypeError(f"yanked: {cut(repr(yanked))}")  # noqa: EM102, TRY003 (told below)
            for one in (url, *indexes):
                _check_url(one)
        except DAMAGE as error:
            msg = f"a row of wheels.json is not as gpuwheel writes it ({because(error)})"
            raise AuditError(msg, hint="write the index again: gpuwheel index") from error
        facts = WheelFacts.from_json({key: value for key, value in data.items() if key not in _OWN})
        return cls(facts, url, yanked, tuple(indexes))


def _check_url(url: object) -> None:
    if not isinstance(url, str) or _URL.fullmatch(url) is None:
        msg = f"{cut(repr(url))} is no address of a file"
        raise ValueError(msg)
    if _SCHEME.match(url) and not url.startswith(("http://", "https://")):
        msg = f"{cut(url)} is neither relative nor of HTTP"
        raise ValueError(msg)
