"""Install torch for a demonstration or for tests: a CPU build wherever one can be had.

  python ci/install_torch.py "torch==2.13.*" numpy           # a CUDA build too, if there is no other; its size is said
  python ci/install_torch.py --cpu-only "torch==2.13.*"      # nothing then, and exit status 3

A CPU build has 0.2 GB, a CUDA build with what it needs about 3 GB. The index of PyPI has CUDA builds alone for Linux on
x86_64; torch's own index has both, and so may what pip is configured with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.error
import urllib.request

CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # https://pytorch.org/get-started/locally/
NO_CPU_BUILD = 3
_PIP = (sys.executable, "-m", "pip")
_SECONDS = 20


def resolved(words: list[str], *, seconds: float | None = None) -> list[dict[str, object]] | None:
    """What pip would install for `words`: the items of its installation report; `None` if it finds no solution."""
    command = [*_PIP, "install", "--quiet", "--dry-run", "--report", "-", *words]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    report = json.loads(text[text.index("{") : text.rindex("}") + 1])  # pip may print warnings around it
    found: list[dict[str, object]] = report["install"]
    return found


def needs_cuda(items: list[dict[str, object]]) -> bool:
    """Whether NVIDIA's libraries come along."""
    names = [str(item["metadata"]["name"]) for item in items if isinstance(item["metadata"], dict)]
    return any(name.startswith(("nvidia-", "cuda-")) for name in names)


def download_size(items: list[dict[str, object]]) -> int:
    """Bytes of all files that would be fetched, as their servers say; those that do not say count nothing."""
    total = 0
    for item in items:
        info = item["download_info"]
        url = str(info["url"]) if isinstance(info, dict) else ""
        if url.startswith("https://"):
            try:
                with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_SECONDS) as answer:  # noqa: S310
                    total += int(answer.headers.get("Content-Length", 0))
            except (OSError, ValueError):
                continue
    return total


def main() -> int:
    """Install, and say what is fetched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-only", action="store_true", help="install nothing rather than a CUDA build")
    parser.add_argument("requirements", nargs="+", metavar="REQUIREMENT", help='such as "torch==2.13.*" numpy')
    options = parser.parse_args()
    words = list(options.requirements)
    items = resolved(words)
    if items is None or needs_cuda(items):
        from_torch = [*words, "--extra-index-url", CPU_INDEX, "--retries", "0", "--timeout", "5"]
        other = resolved(from_torch, seconds=_SECONDS * 3)
        if other is not None and not needs_cuda(other):
            words, items = from_torch, other
    if items is None:
        print(f"nothing on pip's indexes satisfies {' '.join(words)}", file=sys.stderr)
        return 1
    if needs_cuda(items):
        if options.cpu_only:
            print("no CPU build of torch is found: set PIP_EXTRA_INDEX_URL to an index that has one", file=sys.stderr)
            return NO_CPU_BUILD
        size = download_size(items) / 1e9
        print(f"no CPU build of torch is found: fetching {len(items)} files of a CUDA build, {size:.1f} GB", flush=True)
    return subprocess.run([*_PIP, "install", "--quiet", *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
