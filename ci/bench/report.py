"""The tables of docs/explanation/performance.md, from stored figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from page import write_part

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_results", "tables", "write_docs"]

_COMMAND = "python ci/bench/run.py --write-docs"
_COMMAND_NVCC = "python ci/bench/run.py --torch 2.14 --only classic,stable,nvcc-classic,nvcc-stable --write-docs"
_NVCC = "nvcc-"
_LAYOUTS = ("classic", "stable", "split")
_COLUMNS = ("gpuwheel", "classic", "nvcc-classic", "stable", "nvcc-stable", "split")
_NO_OP_S = 0.1
_FEW = 10  # numbers below it are shown with two decimals

Results = dict[str, Any]


def read_results(path: Path) -> Results:
    """What a run wrote."""
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results


def write_docs(results: Results) -> None:
    """Put the tables between the page's markers.

    Raises:
        SystemExit: the page has no markers.
    """
    write_part(_COMMAND_NVCC if _of_nvcc(results) else _COMMAND, tables(results))


def _of_nvcc(results: Results) -> bool:
    """Whether mode `nvcc` was measured, and not mode `embed`."""
    return any(name.startswith(_NVCC) for name in results["titles"])


def tables(results: Results) -> str:
    """All tables, as Markdown."""
    if _of_nvcc(results):
        parts = [_machine(results), _cold(results), _developing(results), _wheels(results), _nvcc_targets(results)]
        return "\n\n".join(parts)
    parts = [
        _machine(results),
        "### From nothing\n\n" + _cold(results),
        "### While developing\n\n" + _developing(results),
        "### The wheel\n\n" + _wheels(results),
        "### Targets\n\n" + _targets(results),
    ]
    if "stages" in results["measurements"].get("gpuwheel", {}):
        parts.append("### gpuwheel's no-op, by stage\n\n" + _stages(results))
    return "\n\n".join(parts)


def _machine(results: Results) -> str:
    machine = results["machine"]
    packages: dict[str, str] = {}
    for versions in results["versions"].values():
        packages |= versions
    loads = [
        load
        for scenarios in results["measurements"].values()
        for figures in scenarios.values()
        for load in figures.get("load", ())
    ]
    named = {
        "gpuwheel": "gpuwheel",
        "NVRTC": "nvidia-cuda-nvrtc-cu12",
        "CMake": "cmake",
        "torch": "torch",
        "nvcc": "nvidia-cuda-nvcc",
        "setuptools": "setuptools",
        "ninja": "ninja",
    }
    lines = [
        f"- Command: `{results['command']}`, on {machine['date']}.",
        f"- Machine: {machine['cores']} cores ({machine['processor']}), {_bytes(machine['memory'])} of memory, no GPU.",
        f"- System: {machine['system']}, {machine['compiler']}.",
        f"- Load average: {min(loads):.1f} to {max(loads):.1f}, of these builds and of others' work.",
        f"- Versions: Python {machine['python']}, pip {machine['pip']}, "
        + ", ".join(f"{title} {packages[name]}" for title, name in named.items() if name in packages)
        + ".",
        f"- Operators: {', '.join(f'`{name}`' for name in results['operators'])}, forward and backward.",
        f"- Archs: {', '.join(results['archs'])}.",
    ]
    missing = [name for name in _LAYOUTS if name not in results["titles"]]
    if missing and not _of_nvcc(results):
        lines.append(f"- **Not measured: {' and '.join(missing)}.** Targets that need it are open.")
    return "\n".join(lines)


def _cold(results: Results) -> str:
    rows = [
        ("bytes downloaded", "downloaded", _bytes),
        ("build environment on disk", "environment_bytes", _bytes),
        ("wall", "wall", _seconds),
        ("CPU", "cpu", _seconds),
        ("of it in the backend (compile, link, pack)", "hook_cpu", _seconds),
        ("peak memory", "peak_memory", _bytes),
    ]
    return _table(
        results,
        ["`pip wheel`, isolated, empty caches"],
        [(title, [("cold", key, form)]) for title, key, form in rows],
    )


def _developing(results: Results) -> str:
    rows = []
    for title, scenario in (
        ("clean build", "warm"),
        ("nothing changed", "no-op"),
        ("one line of one kernel", "one line"),
    ):
        rows += [
            (f"{title}: wall", [(scenario, "wall", _seconds)]),
            (f"{title}: wall in the backend", [(scenario, "hook_wall", _seconds)]),
            (f"{title}: CPU in the backend", [(scenario, "hook_cpu", _seconds)]),
        ]
    return _table(results, ["`pip wheel --no-build-isolation`, caches full"], rows)


def _wheels(results: Results) -> str:
    kinds = ("default", "default, stripped", "size mode", "size mode, stripped")
    return _table(results, ["wheel"], [(kind, [("wheels", kind, _bytes)]) for kind in kinds])


def _table(results: Results, head: list[str], rows: list[tuple[str, list[tuple[str, str, Any]]]]) -> str:
    names = [name for name in _COLUMNS if name in results["titles"]]
    lines = [
        "| " + " | ".join([*head, *(results["titles"][name] for name in names)]) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for title, cells in rows:
        shown = []
        for name in names:
            for scenario, key, form in cells:
                value = results["measurements"].get(name, {}).get(scenario, {}).get(key)
                shown.append("-" if value is None else form(value))
        lines.append("| " + " | ".join([title, *shown]) + " |")
    return "\n".join(lines)


def _targets(results: Results) -> str:
    measured = results["measurements"]

    def value(contestant: str, scenario: str, key: str) -> float | None:
        found = measured.get(contestant, {}).get(scenario, {}).get(key)
        return None if found is None else float(found)

    # One environment serves all layouts of cpp_extension: what is downloaded does not depend on the layout.
    environment = next((v for name in _LAYOUTS if (v := value(name, "cold", "downloaded")) is not None), None)
    best = {name: v for name in _LAYOUTS if (v := value(name, "cold", "hook_cpu")) is not None and name != "classic"}
    fastest = min(best, key=lambda name: best[name], default="")
    named = f"the best layout measured ({results['titles'][fastest]})" if fastest else "the best layout"
    rows = [
        ("bytes downloaded, cold, against cpp_extension", 20, environment, value("gpuwheel", "cold", "downloaded")),
        ("wall, cold, against classic", 10, value("classic", "cold", "wall"), value("gpuwheel", "cold", "wall")),
        (
            "CPU in the backend, cold, against classic",
            30,
            value("classic", "cold", "hook_cpu"),
            value("gpuwheel", "cold", "hook_cpu"),
        ),
        (f"CPU in the backend, cold, against {named}", 3, best.get(fastest), value("gpuwheel", "cold", "hook_cpu")),
        (
            "wheel, against classic as cpp_extension makes it",
            3,
            value("classic", "wheels", "default"),
            value("gpuwheel", "wheels", "default"),
        ),
    ]
    lines = ["| target | wanted | measured | |", "|---|---:|---:|---|"]
    for title, wanted, theirs, ours in rows:
        if theirs is None or not ours:
            lines.append(f"| {title} | {wanted}x less | not measured | open |")
        else:
            ratio = theirs / ours
            lines.append(f"| {title} | {wanted}x less | {ratio:.1f}x less | {'met' if ratio >= wanted else 'missed'} |")
    stages = measured.get("gpuwheel", {}).get("stages")
    if stages:
        taken = stages["device"] + stages["host"]
        verdict = "met" if taken <= _NO_OP_S else "missed"
        lines.append(f"| compile stage, nothing changed | {_NO_OP_S} s | {taken:.2f} s | {verdict} |")
    return "\n".join(lines)


def _nvcc_targets(results: Results) -> str:
    """Mode `nvcc` against cpp_extension on the same sources; how small a wheel is to be is said of classic ones."""
    lines = ["| target | wanted | measured | |", "|---|---:|---:|---|"]
    for layout, title, wanted, scenario, key in (
        ("classic", "CPU in the backend, clean, classic sources", 1, "warm", "hook_cpu"),
        ("stable", "CPU in the backend, clean, stable sources", 1, "warm", "hook_cpu"),
        ("classic", "wheel as it is made, classic sources", 3, "wheels", "default"),
    ):
        measured = (results["measurements"].get(name, {}) for name in (layout, f"{_NVCC}{layout}"))
        theirs, ours = (scenarios.get(scenario, {}).get(key) for scenarios in measured)
        if theirs and ours:
            ratio = theirs / ours
            verdict = "met" if ratio >= wanted else "missed"
            lines.append(f"| {title} | {wanted}x less | {ratio:.2f}x less | {verdict} |")
    return "\n".join(lines)


def _stages(results: Results) -> str:
    stages = results["measurements"]["gpuwheel"]["stages"]
    lines = ["| stage | ms |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {name} | {seconds * 1000:.1f} |" for name, seconds in stages.items())])


def _bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            number = value / size
            return f"{number:.2f} {unit}" if number < _FEW else f"{number:.0f} {unit}"
    return f"{value:.0f} B"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < _FEW else f"{value:.0f} s"
