"""What the page that chooses a wheel knows: its wheels, compact, and the facts of the tables that it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuwheel._endings import cut
from gpuwheel.compatibility.gpu_names import VENDOR_WORDS, load_gpu_names
from gpuwheel.model.archs import Arch
from gpuwheel.publish.selector.judging import FACTS
from gpuwheel.publish.selector.offers import Offer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.publish.published import PublishedWheel

__all__ = ["page_data"]


class _Interned:
    """Values that many wheels share, each once, by number."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, row: Any) -> int:  # noqa: ANN401  # plain data
        """Of the row that `key` stands for."""
        if key not in self._numbers:
            self._numbers[key] = len(self.rows)
            self.rows.append(row)
        return self._numbers[key]


def page_data(project: str, rows: Iterable[PublishedWheel], tables: Tables) -> dict[str, Any]:
    """Plain data for the script of the page.

    Args:
        project: normalised.
        rows: its wheels, with URLs relative to the page.
        tables: drivers, GPUs, torch and Python.
    """
    # By name: where all else is equal, that decides.
    offers = sorted((Offer(row) for row in rows), key=lambda offer: offer.facts.filename)
    newest = max(offers, key=lambda offer: offer.version, default=None)
    return {
        "project": project,
        "summary": "" if newest is None else newest.facts.summary,
        "facts": FACTS,
        "vendor": VENDOR_WORDS,
        "cuda": [[str(version), str(row.driver)] for version, row in tables.cuda.items() if row.driver is not None],
        "gpus": _gpus(tables),
        "torch": [str(version) for version in tables.torch],
        "pythons": _pythons(tables),
        "glibc": sorted(
            {policy.name.removeprefix("manylinux_").replace("_", ".") for policy in tables.platforms}, key=_key
        ),
        **_wheels(offers),
    }


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _pythons(tables: Tables) -> list[str]:
    names = {name.removesuffix("t") for build in tables.torch.values() for name in build.pythons}
    return sorted(names, key=_key)


def _gpus(tables: Tables) -> list[list[Any]]:
    """`[architecture, compute capability, names]`, newest first."""
    named = load_gpu_names()
    rows = [
        [name, str(arch), [gpu for gpu, found in named.items() if found == arch]]
        for arch, name in tables.devices.items()
    ]
    return rows[::-1]


def _wheels(offers: Sequence[Offer]) -> dict[str, Any]:
    tags, ranges, code, indexes, cudas = (_Interned() for _ in range(5))
    folders, versions = _Interned(), _Interned()
    ordered = {version: number for number, version in enumerate(sorted({offer.version for offer in offers}))}
    public = {
        version: number for number, version in enumerate(sorted({one.__replace__(local=None) for one in ordered}))
    }
    builds = {build: number for number, build in enumerate(sorted({offer.build for offer in offers} | {()}))}
    columns: dict[str, Any] = {
        name: []
        for name in ("file", "folder", "version", "tags", "ranges", "code", "indexes", "cuda", "size", "sha256")
    }
    sparse: dict[str, dict[int, Any]] = {name: {} for name in ("url", "yanked", "variant", "build")}
    for row, offer in enumerate(offers):
        facts, published = offer.facts, offer.published
        version = offer.version
        folder, _, name = published.url.rpartition("/")
        if name != quote(facts.filename, safe="!'()*"):
            folder, sparse["url"][row] = "", published.url
        values = (
            facts.filename,
            folders.number(folder, f"{folder}/"),
            versions.number(
                facts.version,
                [facts.version, ordered[version], public[version.__replace__(local=None)], version.is_prerelease],
            ),
            tags.number(facts.tags, facts.tags),
            ranges.number((facts.requires_python, facts.torch, facts.torch_by_python), _range(offer)),
            code.number((facts.code, offer.driver, offer.asks_gpu), [_code(offer), offer.driver]),
            indexes.number(published.indexes, published.indexes),
            cudas.number((facts.cuda, facts.runtimes), [facts.cuda, facts.runtimes]),
            facts.size,
            facts.sha256,
        )
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
        if published.yanked is not False:
            sparse["yanked"][row] = cut(published.yanked) if isinstance(published.yanked, str) else True
        if facts.variant is not None:
            sparse["variant"][row] = facts.variant
        if offer.build:
            sparse["build"][row] = builds[offer.build]
    shared = {"tags": tags, "ranges": ranges, "code": code, "indexes": indexes, "cudas": cudas, "folders": folders}
    return {
        **{name: interned.rows for name, interned in shared.items()},
        "versions": versions.rows,
        "wheels": {**columns, **sparse},
    }


def _range(offer: Offer) -> list[Any]:
    facts = offer.facts
    return [facts.requires_python, facts.torch, [[row.python, row.torch] for row in facts.torch_by_python]]


def _code(offer: Offer) -> dict[str, Any]:
    codes = list(dict.fromkeys(offer.facts.code))
    return {
        "codes": [
            {
                "members": code.members,
                # One spelling: the script reads no other.
                "cubins": [str(Arch.parse(cubin)) for cubin in code.cubins],
                "ptx": [[str(Arch.parse(ptx.arch)), ptx.driver] for ptx in code.ptx],
                "driver": code.driver,
            }
            for code in codes
        ],
        "asks_gpu": offer.asks_gpu,
        "parts": [[codes.index(code) for code in part] for part in offer.parts],
    }
