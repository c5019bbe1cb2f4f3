"""Every template on this machine: rendered, built, installed here, tested, measured; the figures go into the docs.

python ci/template_figures.py                              # on a GPU; writes docs/explanation/on-gpu.md
python ci/template_figures.py --templates embed,kernels    # some templates; the page keeps what it has of others
python ci/template_figures.py --device cpu --smoke --out FOLDER   # does all this run? writes into FOLDER

It installs into the environment that runs it, which has torch and gpuwheel: `nox -s gpu` makes one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._run import ProcessFailedError, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs") / "explanation" / "on-gpu.md"
TEMPLATES = {  # with every option on, and what a CUDA build of torch asks for
    "embed": {},
    "nvcc": {"cublaslt": "true"},
    "kernels": {"cutile": "true"},
    "nvmath": {},
}
EXTRAS = {"nvmath": "cu13"}
HEAD = """\
# Operators on a GPU

What the operators of each template reach, as `gpuwheel new` writes them: `nox -s gpu` tests and measures them all and
writes this page. The share is of what the same GPU does in the same run: a copy for operators bound by memory,
`torch.matmul` for those that multiply. How it is measured: `benchmarks/measure.py` of each project.
"""
NOTHING = "\nNothing has been measured on a GPU yet.\n"


def measured(template: str, options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Render, build, install, test and measure one template; what its benchmark wrote, with plots beside the page."""
    project = work / f"{template}-ops"
    data = [word for key, value in TEMPLATES[template].items() for word in ("--data", f"{key}={value}")]
    say(f"{template}: gpuwheel new")
    python = [sys.executable, "-m"]
    run([*python, "gpuwheel", "new", project, "--template", template, "--defaults", "--no-git", *data])
    say(f"{template}: build")
    build(project, work / "dist")
    (wheel,) = (work / "dist").glob(f"{template}_ops-*.whl")
    extra = f"[{EXTRAS[template]}]" if template in EXTRAS and options.device == "cuda" else ""
    groups = [word for name in ("test", "bench") for word in ("--group", f"{project / 'pyproject.toml'}:{name}")]
    run([*python, "pip", "install", "--force-reinstall", "--no-deps", wheel])  # a rebuilt wheel has the same version
    run([*python, "pip", "install", f"{wheel}{extra}", *groups])
    say(f"{template}: tests")
    required = {"GPUWHEEL_REQUIRE": "gpu"} if options.device == "cuda" else {}
    say(run([*python, "pytest", "-q"], cwd=project, env={**os.environ, **required}).stdout.splitlines()[-1])
    say(f"{template}: benchmark")
    figures = options.out / PAGE.with_suffix("") / template
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir(parents=True)
    smoke = ["--smoke"] if options.smoke else []
    words = ["benchmarks/benchmark.py", "--device", options.device, *smoke, "--json", "figures.json"]
    run([sys.executable, *words, "--plot", figures], cwd=project)
    report: dict[str, Any] = json.loads((project / "figures.json").read_text(encoding="utf-8"))
    report["command"] = " ".join(["python", *words])
    (figures / "figures.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def build(project: Path, dist: Path) -> None:
    """The project's wheel, in isolation as users do; gpuwheel's is in `dist`, everything else comes from the index."""
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "--no-deps")
    run([*pip_wheel, "--wheel-dir", dist, "--find-links", dist, project])


def say(text: str) -> None:
    """What is going on."""
    print(f"* {text}", flush=True)


def section(template: str, report: dict[str, Any]) -> Iterator[str]:
    """One template's part of the page."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("torch", "torch_cuda", "python") if name in machine)
    yield f"## `{template}`\n"
    yield f"{machine['device']}; {versions}; `{report['command']}`.\n"
    for theme in ("light", "dark"):
        yield f"```{{image}} {PAGE.stem}/{template}/results-{theme}.svg\n:class: only-{theme}"
        yield ":alt: Share of the ceiling against size, a panel for each operator\n```\n"
    yield "| operator | phase | dtype | size | by | P50 | P99 | share |"
    yield "|---|---|---|---:|---|---:|---:|---:|"
    largest: dict[tuple[str, ...], int] = {}
    for r in report["results"]:
        key = (r["operator"], r["phase"], r["dtype"])
        largest[key] = max(largest.get(key, 0), r["size"])
    for r in report["results"]:
        key = (r["operator"], r["phase"], r["dtype"])
        if r["size"] == largest[key]:
            times = f"{r['p50_us']:.1f} us | {r['p99_us']:.1f} us"
            yield f"| `{key[0]}` | {key[1]} | {key[2]} | {r['size']:,} | {r['by']} | {times} | {r['share']:.0%} |"


def page(out: Path) -> str:
    """The page, of all figures beside it."""
    folder = out / PAGE.with_suffix("")
    found = {name: folder / name / "figures.json" for name in TEMPLATES}
    sections = [
        "\n" + "\n".join(section(name, json.loads(path.read_text(encoding="utf-8"))))
        for name, path in found.items()
        if path.exists()
    ]
    return HEAD + ("\n".join(sections) + "\n" if sections else NOTHING)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", default=",".join(TEMPLATES), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--smoke", action="store_true", help="one tiny size, few calls")
    parser.add_argument("--out", type=Path, default=ROOT, help="where docs/ is (default: this repository)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="gpuwheel-templates-") as work:
        build(ROOT, Path(work, "dist"))
        for template in options.templates.split(","):
            measured(template, options, Path(work))
    path = options.out / PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(options.out), encoding="utf-8")
    say(f"wrote {path}")


if __name__ == "__main__":
    try:
        main()
    except ProcessFailedError as error:
        sys.exit(error.render())
