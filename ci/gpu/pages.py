"""Say on the first page and in the docs what has run on a GPU: nothing but what the files of `ci/gpu.sh` hold.

python ci/gpu/pages.py FOLDER     # take the results of a run into ci/gpu/results, then write the pages
python ci/gpu/pages.py            # write the pages from ci/gpu/results
python ci/gpu/pages.py --check    # exit 1 where a page says something else
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
RESULTS, PAGE, README = Path("ci", "gpu", "results"), Path("docs", "explanation", "on-gpu.md"), Path("README.md")
PARTS = ("machine", "tests", "benchmarks", "sanitizer")
MARKED = re.compile(r"(?<=<!-- from ci/gpu/results -->\n).*?(?=<!-- end -->)", re.DOTALL)
FAILURES = ("failed", "error", "errors")
"""What pytest counts apart: an error is a test that could not begin."""
NOTHING = "Nothing has run on a GPU yet."
HEAD = """\
# On a GPU

What ran on a GPU, taken by `ci/gpu/pages.py` from the files that `ci/gpu.sh` left: the operators of the sample and of
each template, as `gpuwheel new` writes them, in wheels that were built on another machine without a GPU. The share is
of what the same GPU does in the same run: a copy for operators bound by memory, `torch.matmul` for those that multiply.
How it is measured: `benchmarks/measure.py` of each project.
"""

Results = dict[str, Any]


def read(folder: Path) -> dict[str, Results]:
    """Part -> its document; empty where nothing ran."""
    paths = {part: folder / f"{part}.json" for part in PARTS}
    return {part: json.loads(path.read_text(encoding="utf-8")) for part, path in paths.items() if path.is_file()}


def why_not(found: Mapping[str, Results]) -> str | None:
    """What speaks against results, if anything does: they must be of one run on one real GPU."""
    if "tests" not in found:
        return "they hold no tests.json (expected what ci/gpu.sh wrote)"
    if any(document["pretend"] for document in found.values()):
        return "they are of the pretend GPU, which computes nothing"
    heads = {json.dumps([document[key] for key in ("commit", "date", "machine")]) for document in found.values()}
    return None if len(heads) == 1 else "they are of several runs"


def sentence(found: Mapping[str, Results]) -> str:
    """The first page's."""
    if not found:
        return f"{NOTHING} `ci/gpu.sh` runs all that needs one."
    document = found["tests"]
    counts = [result.get("counts", {}) for result in document["results"].values()]
    passed, failed = (
        sum(count.get(word, 0) for count in counts for word in words) for words in (("passed",), FAILURES)
    )
    cut_short = [name for name, result in document["results"].items() if result["state"] not in {"passed", "failed"}]
    where = f"an {document['machine']['device']} (torch {document['machine']['torch']})"
    outcome = f"{passed} tests of the sample and the templates passed" + (f" and {failed} failed" if failed else "")
    outcome += f"; those of {', '.join(cut_short)} did not come to an end" if cut_short else ""
    return f"On {where}, {document['date']}, {outcome}; figures: [on a GPU]({PAGE.as_posix()})."


def page(found: Mapping[str, Results]) -> str:
    """The page in the docs."""
    if not found:
        return f"{HEAD}\n{NOTHING}\n"
    document = found["tests"]
    machine, commit = document["machine"], document["commit"][:10]
    gpu = f"{machine['device']}, compute capability {machine['compute_capability']}"
    beside = f"torch {machine['torch']} with CUDA {machine['torch_cuda']}, Python {machine['python']}"
    lines = [
        f"\n{gpu}; {beside}; {document['date']}, commit {commit}, `{document['command']}`.\n",
        "## Tests\n",
        *_tests(document["results"]),
        *(_sanitizer(found["sanitizer"]["results"]) if "sanitizer" in found else ()),
        *(_benchmarks(found["benchmarks"]["results"]) if "benchmarks" in found else ()),
    ]
    return HEAD + "\n".join(lines) + "\n"


def _tests(results: Mapping[str, Results]) -> Iterator[str]:
    yield "| project | passed | failed | skipped | seconds | |\n|---|---:|---:|---:|---:|---|"
    for name, result in results.items():
        counts = result.get("counts", {})
        columns = (("passed",), FAILURES, ("skipped",))
        numbers = " | ".join(str(sum(counts.get(word, 0) for word in words)) for words in columns)
        yield f"| `{name}` | {numbers} | {result.get('seconds', 0):.0f} | {result['state']} |"


def _sanitizer(results: Mapping[str, Results]) -> Iterator[str]:
    yield "\n## compute-sanitizer, on a drawn share of the tests\n"
    yield "| project and tool | tests | | what it says |\n|---|---:|---|---|"
    for name, result in results.items():
        said = "; ".join(result.get("summary", ())) or result.get("why", "")
        yield f"| `{name}` | {len(result.get('tests', ()))} of {result.get('of', 0)} | {result['state']} | {said} |"


def _benchmarks(results: Mapping[str, Results]) -> Iterator[str]:
    for name, result in results.items():
        rows = [row for row in (result.get("figures") or {}).get("results", ()) if "by" in row]
        yield f"\n## Figures of `{name}`\n"
        if not rows:
            yield f"None: {result['state']}."
            continue
        yield "| operator | phase | dtype | bytes | by | P50 | P99 | share |\n|---|---|---|---:|---|---:|---:|---:|"
        for row in rows:
            share = row.get("share", row.get("share_of_copy", 0.0))
            times = f"{row['p50_us']:.1f} us | {row['p99_us']:.1f} us"
            what = f"| `{row['operator']}` | {row['phase']} | {row['dtype']} | {row['size']:,} | {row['by']}"
            yield f"{what} | {times} | {share:.0%} |"


def texts(root: Path) -> dict[Path, str]:
    """Page -> what it should hold.

    Raises:
        SystemExit: the results are not those of a real GPU.
    """
    found = read(root / RESULTS)
    reason = why_not(found) if found else None
    if reason is not None:
        sys.exit(f"the results in {RESULTS} cannot be shown: {reason}")
    readme = (root / README).read_text(encoding="utf-8")
    return {root / PAGE: page(found), root / README: MARKED.sub(lambda _: sentence(found) + "\n", readme)}


def take(folder: Path, root: Path) -> None:
    """Copy the results of a run into the repository, in place of those that are there.

    Raises:
        SystemExit: they are not those of a real GPU.
    """
    found = read(folder)
    reason = why_not(found)
    if reason is not None:
        sys.exit(f"the results in {folder} are not taken: {reason}")
    (root / RESULTS).mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (root / RESULTS / f"{part}.json").unlink(missing_ok=True)
    for part, document in found.items():
        (root / RESULTS / f"{part}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Take, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="what ci/gpu.sh wrote")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="repository to write to (default: this one)")
    options = parser.parse_args(argv)
    if options.folder is not None:
        take(options.folder, options.root)
    stale = [path for path, text in texts(options.root).items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(
            f"{path.relative_to(options.root)} is stale: python ci/gpu/pages.py" if options.check else f"wrote {path}"
        )
        if not options.check:
            path.write_text(texts(options.root)[path], encoding="utf-8")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
