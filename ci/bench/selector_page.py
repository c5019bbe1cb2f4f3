"""How soon the page that chooses a wheel can be used, with 10,000 wheels, in Chromium.

python ci/bench/selector_page.py            # prints, and writes ci/bench/results/selector-page-DATE.json
python ci/bench/selector_page.py --turns 3 --no-result

A turn is a page of its own: from navigation until its controls answer, then until another GPU has its answer. Of all
turns the median counts, and the slowest is told beside it. Times depend on the machine and on whoever else uses it:
they are figures with a target, not a test.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from machine import describe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from offered import many_offered  # noqa: E402 (of the tests)
from playwright.sync_api import sync_playwright  # noqa: E402 (after the path)

from gpuwheel.compatibility import load_tables  # noqa: E402
from gpuwheel.publish.selector.selector_page import selector_page  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_TARGETS = {"until it can be used": 1000, "another GPU": 500}
"""Milliseconds."""
_BEGAN = "performance.getEntriesByName('interactive')[0].startTime"
_CHANGED = """() => {
  const list = document.getElementById("gpus"), before = performance.now();
  list.value = "8.0";
  list.dispatchEvent(new Event("change"));
  return performance.now() - before;
}"""


def turns(browser: Browser, address: str, count: int) -> Iterator[tuple[float, float]]:
    """Milliseconds until a page can be used, and of one change, for each turn."""
    for _ in range(count):
        context = browser.new_context()  # nothing is cached from the turn before
        page = context.new_page()
        page.goto(address)
        yield page.evaluate(_BEGAN), page.evaluate(_CHANGED)
        context.close()


def main() -> int:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description="measure the page that chooses a wheel")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--no-result", action="store_true", help="write no file")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    wheels = many_offered()
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        file = Path(folder, "index.html")
        file.write_text(selector_page("ops", wheels, load_tables()), encoding="utf-8")
        size = file.stat().st_size
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = list(turns(browser, f"{file.as_uri()}#python=3.12&gpus=9.0", options.turns))
        version = browser.version
        browser.close()
    load.append(os.getloadavg()[0])
    print(f"{len(wheels):,} wheels, {size:,} bytes, Chromium {version}, load average {load[0]:.1f} to {load[1]:.1f}")
    rows = {}
    for (what, target), times in zip(_TARGETS.items(), zip(*found, strict=True), strict=True):
        rows[what] = {"median": round(statistics.median(times)), "slowest": round(max(times)), "target": target}
        print(f"  {what:22} {rows[what]['median']:5} ms, slowest {rows[what]['slowest']:5} ms, target {target} ms")
    if not options.no_result:
        today = datetime.now(timezone.utc).date().isoformat()
        path = ROOT / "ci" / "bench" / "results" / f"selector-page-{today}.json"
        document = {"date": today, "machine": describe(), "load": load, "chromium": version, "bytes": size}
        document |= {"wheels": len(wheels), "turns": options.turns, "milliseconds": rows}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
