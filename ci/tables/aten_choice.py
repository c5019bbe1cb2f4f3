"""Which operators of ATen a library for every torch can call, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aten_sources import Operator

__all__ = ["HAND_WRITTEN", "Refusal", "choose"]

HAND_WRITTEN = frozenset(
    [
        "_version",
        "data",
        "data_ptr",
        "dim",
        "get_device",
        "is_contiguous",
        "is_floating_point",
        "is_leaf",
        "item",
        "layout",
        "numel",
        "output_nr",
        "record_stream",
        "requires_grad_",
        "retain_grad",
        "set_data",
        "size",
        "storage_offset",
        "stride",
        "sym_is_contiguous",
        "sym_numel",
        "sym_size",
        "sym_storage_offset",
        "sym_stride",
    ]
)
"""Methods that tensor.h has: they need no operator, or are no operator in every torch."""

_INSTEAD = {
    "cholesky": "linalg_cholesky",
    "qr": "linalg_qr",
    "histogramdd": "_histogramdd_from_bin_cts and _histogramdd_bin_edges",
}
_CANNOT_CROSS = {
    "Scalar[]": "lists of Scalar",
    "Storage": "a Storage",
    "Stream": "a Stream",
    "QScheme": "a QScheme",
    "SymBool": "a SymBool",
    "Scalar": "a Scalar as the result",
    "Dimname": "a Dimname, which torch 2.13 has no longer,",
}


@dataclass(frozen=True)
class Refusal:
    """An operator that is not offered."""

    operator: Operator
    reason: str
    """Ends the sentence "at::NAME is refused: "."""


def choose(known: dict[str, list[Operator]]) -> tuple[list[Operator], list[Refusal]]:
    """The operators that mean the same in every torch, as the newest declares them; and all others.

    Args:
        known: minor version of torch -> its operators, the newest last.
    """
    by_name = {minor: {each.full_name: each for each in operators} for minor, operators in known.items()}
    offered: list[Operator] = []
    refused: list[Refusal] = []
    seen: set[str] = set()
    for minor in reversed(known):
        for operator in known[minor]:
            if operator.full_name in seen:
                continue
            seen.add(operator.full_name)
            reason = _why_not(operator, by_name)
            if reason:
                refused.append(Refusal(operator, reason + _instead(operator)))
            else:
                offered.append(operator)
    return offered, refused


def _instead(operator: Operator) -> str:
    other = _INSTEAD.get(operator.name.removesuffix("_out"))
    return f"; use at::{other}" if other else "; call it in Python"


def _why_not(operator: Operator, by_name: dict[str, dict[str, Operator]]) -> str:
    missing = [minor for minor, operators in by_name.items() if operator.full_name not in operators]
    types = {kind.rstrip("?") for _, kind, _, _ in operator.arguments} | {f"{kind}" for kind in operator.returns}
    for kind, words in _CANNOT_CROSS.items():
        is_it = any(each.startswith(kind) for each in types) if kind == "Dimname" else kind in types
        if is_it and not (kind == "Scalar" and kind not in operator.returns):
            return f"{words} cannot cross torch's stable C ABI"
    if missing:
        return f"torch {' and '.join(missing)} {'has' if len(missing) == 1 else 'have'} no such operator"
    forms = {operators[operator.full_name].crosses_as() for operators in by_name.values()}
    if len(forms) > 1:
        return f"its schema is not the same in torch {' to '.join((next(iter(by_name)), list(by_name)[-1]))}"
    crossing = ["int" if kind == "SymInt" else kind for kind in operator.returns]
    if crossing != crossing[::-1]:
        return "torch mixes up results of different types on their way through its stable C ABI"
    return ""
