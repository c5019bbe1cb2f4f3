"""What `abi = "compat"` covers and what it refuses: `gpuwheel/data/compat.toml`, and the headers themselves."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._toml import own_table
from gpuwheel.config.survey.code import without_words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Api", "CompatFacts", "load_facts"]

_WORD = re.compile(r"[A-Za-z_]\w*")
_REFUSED = re.compile(r'^ *GWC_REFUSED\((\w+), "([^"]*)"\)', re.MULTILINE)
_SHARED = {"use_count", "weak_use_count"}
"""Of pointers of the standard library, too: only the compiler knows whose they are."""
_OPERATOR = re.compile(r"ATen/ops/(\w+)\.h")


@dataclass(frozen=True)
class Api:
    """A part of torch's, pybind11's or Python's API that nothing stands in for."""

    name: str
    """As it is told: "c10::Dispatcher"."""
    match: str | None
    """Regular expression, searched in code without comments and texts; `None`: told by its headers alone."""
    headers: tuple[str, ...]
    """Of it, with wildcards."""
    why: str
    edit: str | None
    """What to write instead; `None`: nothing that a line could say."""


@dataclass(frozen=True)
class CompatFacts:
    """The table."""

    headers: Mapping[str, str]
    """Header of torch's, pybind11's or Python's -> ours that stands in for it."""
    apis: tuple[Api, ...]
    given: frozenset[str]
    """Names that the headers of torch's stable ABI give, beside those of ours."""
    defined: Mapping[str, int]
    """Macros that a build with these headers defines."""
    undefined: frozenset[str]
    """Macros that it does not: those of ROCm, of other systems, of torch's own build."""
    foreign: tuple[str, ...]
    """How names of headers begin that nothing but `headers` gives."""
    stable: tuple[str, ...]
    """How those of torch's stable ABI begin."""

    def covers(self, header: str) -> bool:
        """Whether one of ours stands in for it, or it is of torch's stable ABI."""
        operator = _OPERATOR.fullmatch(header)
        by_name = operator is not None and operator[1] in self.names and self.refused_by(header) is None
        return header in self.headers or header.startswith(self.stable) or by_name

    def refused_by(self, header: str) -> Api | None:
        """The API that a header is of."""
        return next((api for api in self.apis if any(fnmatchcase(header, each) for each in api.headers)), None)

    @functools.cached_property
    def members(self) -> Mapping[str, str]:
        """Member functions of tensors that our headers refuse -> what to do instead."""
        text = resource("include", "compat", "gpuwheel_compat", "tensor.h").read_text(encoding="utf-8")
        return {name: way for name, way in _REFUSED.findall(text) if name not in _SHARED}

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Every name that our headers say in code, and what is given beside them."""
        folder = resource("include", "compat")
        files = (path for path in folder.rglob("*") if path.suffix in {".h", ".inc"})
        texts = (without_words(path.read_text(encoding="utf-8")) for path in files)
        return self.given.union(*(_WORD.findall(text) for text in texts))


@functools.cache
def load_facts() -> CompatFacts:
    """The table, read once.

    Raises:
        ValueError: it is no TOML: the installation is damaged.
    """
    table = own_table("compat.toml")
    survey = table["survey"]
    return CompatFacts(
        headers={name: ours for ours, names in table["headers"].items() for name in names},
        apis=tuple(map(_api, table["apis"])),
        given=frozenset(survey["given"]),
        defined=survey["defined"],
        undefined=frozenset(survey["undefined"]),
        foreign=tuple(survey["foreign"]),
        stable=tuple(survey["stable"]),
    )


def _api(row: Mapping[str, Any]) -> Api:
    return Api(row["name"], row.get("match"), tuple(row.get("headers", ())), row["why"], row.get("edit"))
