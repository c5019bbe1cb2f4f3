"""Draws the results of benchmark.py: the share of the machine's ceiling against the size, a panel per operator.

    python benchmarks/plot.py results.json docs/benchmark

Writes results-light and results-dark, as SVG and PNG; the same results give the same files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

MARKERS = "osD^v<>"
THEMES = {  # colours that are told apart without seeing red or green (Okabe and Ito 2008)
    "light": {"text": "#1f2328", "grid": "#d1d9e0", "colours": ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"]},
    "dark": {"text": "#f0f6fc", "grid": "#3d444d", "colours": ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442"]},
}


def draw(report: dict[str, Any], folder: Path) -> None:
    """One figure of the first dtype of each operator, in both themes."""
    panels: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in report["results"]:
        panel = panels.setdefault((result["operator"], result["phase"]), [])
        if not panel or panel[0]["dtype"] == result["dtype"]:
            panel.append(result)
    folder.mkdir(parents=True, exist_ok=True)
    for name, theme in THEMES.items():
        text, grid = theme["text"], theme["grid"]
        style = {
            "svg.hashsalt": "results",
            "font.size": 9,
            "axes.prop_cycle": mpl.cycler(color=theme["colours"]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": grid,
            "axes.labelcolor": text,
            "grid.color": grid,
            "text.color": text,
            "xtick.color": text,
            "ytick.color": text,
        }
        with mpl.rc_context(style):
            figure = _figure(panels, report["machine"])
            figure.savefig(folder / f"results-{name}.svg", transparent=True, metadata={"Date": None})
            figure.savefig(folder / f"results-{name}.png", transparent=True, dpi=150, metadata={"Software": None})
            plt.close(figure)


def _figure(panels: dict[tuple[str, str], list[dict[str, Any]]], machine: dict[str, Any]) -> plt.Figure:
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(4.5 * columns, 2.9 * rows), squeeze=False, layout="constrained")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, ((operator, phase), results) in zip(grid.flat, panels.items(), strict=False):
        for marker, by in zip(MARKERS, dict.fromkeys(r["by"] for r in results), strict=False):
            points = [(r["size"], r["share"]) for r in results if r["by"] == by]
            axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=by)
        axes.set_title(f"{operator}, {phase}, {results[0]['dtype']}", fontsize=9, loc="left")
        axes.set_xscale("log", base=2)
        sizes = sorted({r["size"] for r in results})[::2]
        axes.set_xticks(sizes, [_binary(size) for size in sizes])
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.6, linewidth=0.6)
        axes.set_xlabel("size of the first tensor")
        axes.set_ylabel("of matmul" if results[0]["unit"] == "FLOP/s" else "of a copy")
    figure.suptitle(f"{machine['device']}, torch {machine['torch']}", fontsize=9, x=0.01, ha="left")
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def _binary(number: int) -> str:
    exponent = min(3, (number.bit_length() - 1) // 10)
    return f"{number >> 10 * exponent} {('B', 'KiB', 'MiB', 'GiB')[exponent]}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
