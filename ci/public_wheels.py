"""Audit wheels that others publish, and compare each error with what was found when it was checked by hand.

python ci/public_wheels.py [--folder FOLDER] [--only NAME ...] [--write-docs]

`ci/public_wheels.toml` names the wheels, and says of each error of the audit whether it is true, and why. A wheel is
fetched from the package index, audited in a process of its own, which is measured, and deleted; one that lies in FOLDER
stays. An error that nobody has checked, and a checked one that is not found any more, end the run with status 1.
`--write-docs` writes docs/explanation/public-wheels.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._run import run
from gpuwheel._toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "ci" / "public_wheels.toml"
PAGE = ROOT / "docs" / "explanation" / "public-wheels.md"
BEGIN, END = "<!-- begin: figures -->", "<!-- end -->"
TRUE, FALSE = "true: ", "false: "


@dataclass(frozen=True)
class Known:
    """A wheel of the list."""

    file: str
    errors: Mapping[str, str]
    """Rule -> "true: ..." or "false: ...", what the check by hand came to."""


@dataclass(frozen=True)
class Audited:
    """What the audit said of a wheel."""

    known: Known
    size: int
    """Bytes of the file."""
    cpu: float
    """Seconds."""
    peak: int
    """Largest resident set of the process, in bytes."""
    findings: tuple[Mapping[str, Any], ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """Rules of its errors, one for each finding."""
        return tuple(finding["rule"] for finding in self.findings if finding["severity"] == "error")

    @property
    def surprises(self) -> Iterator[str]:
        """What was not said by hand, or is not found any more."""
        for rule in sorted(set(self.errors) - set(self.known.errors)):
            yield f"{self.known.file}: {rule} was never checked by hand"
        for rule in sorted(set(self.known.errors) - set(self.errors)):
            yield f"{self.known.file}: {rule} is not found any more"


def main() -> int:
    """Audit what is named; 1 if an error is not as the list has it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where wheels may lie already")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="of these projects alone")
    parser.add_argument("--write-docs", action="store_true", help="write the tables into the page")
    asked = parser.parse_args()
    known = [wheel for wheel in _known() if not asked.only or wheel.file.partition("-")[0] in asked.only]
    audited = []
    for wheel in known:
        print(f"{wheel.file} ...", file=sys.stderr, flush=True)
        audited.append(_at_hand(wheel, asked.folder))
    surprises = [surprise for wheel in audited for surprise in wheel.surprises]
    if asked.write_docs:
        _write(audited)
    print("\n".join(_table(audited)))
    print("\n".join(surprises))
    return 1 if surprises else 0


def _known() -> list[Known]:
    rows = read_toml(LIST)["wheels"]
    return [Known(row["file"], row.get("errors", {})) for row in rows]


def _at_hand(wheel: Known, folder: Path | None) -> Audited:
    if folder is not None and (folder / wheel.file).is_file():
        return _audited(wheel, folder / wheel.file)
    with tempfile.TemporaryDirectory(prefix="public-wheels-") as scratch:
        return _audited(wheel, _fetched(wheel.file, Path(scratch)))


def _fetched(file: str, folder: Path) -> Path:
    name, version, *_, python, abi, platform = file.removesuffix(".whl").split("-")
    words = [word for one in platform.split(".") for word in ("--platform", one)]
    words += ["--python-version", python.removeprefix("cp").removeprefix("py") if python != "py3" else "311"]
    words += ["--implementation", "py" if python.startswith("py") else "cp", "--abi", abi]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]
    run([*pip, str(folder), *words, f"{name}=={version}"])
    return folder / file


def _audited(known: Known, path: Path) -> Audited:
    command = [sys.executable, "-m", "gpuwheel", "audit", "--json", str(path)]
    with tempfile.TemporaryFile() as out:
        told = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1)]
        # wait4 tells what this one process took; a runner of programs would tell of all that ever ran.
        _, _, usage = os.wait4(os.posix_spawn(sys.executable, command, dict(os.environ), file_actions=told), 0)
        out.seek(0)
        (row,) = json.load(out)["wheels"]
    cpu = usage.ru_utime + usage.ru_stime
    return Audited(known, path.stat().st_size, cpu, usage.ru_maxrss * 1024, tuple(row["findings"]))


def _table(audited: Sequence[Audited]) -> Iterator[str]:
    yield "| wheel | MB | audit, CPU s | peak memory, MB | errors | warnings | notes |"
    yield "|---|---|---|---|---|---|---|"
    for wheel in sorted(audited, key=lambda one: one.known.file.lower()):
        counts = Counter(finding["severity"] for finding in wheel.findings)
        numbers = " | ".join(str(counts[severity]) for severity in ("error", "warning", "note"))
        sizes = f"{wheel.size / 1e6:,.1f} | {wheel.cpu:.1f} | {wheel.peak / 1e6:.0f}"
        yield f"| {wheel.known.file.removesuffix('.whl')} | {sizes} | {numbers} |"


def _checked(audited: Sequence[Audited]) -> Iterator[str]:
    for wheel in sorted(audited, key=lambda one: one.known.file.lower()):
        for rule in dict.fromkeys(wheel.errors):
            first = next(found for found in wheel.findings if (found["rule"], found["severity"]) == (rule, "error"))
            verdict = wheel.known.errors.get(rule, "not checked")
            yield f"- `{wheel.known.file.removesuffix('.whl')}`, [`{rule}`](../reference/audit-rules.md#{rule}):"
            yield f"  {first['subject']} {first['problem']}. **{verdict}**"


def _write(audited: Sequence[Audited]) -> None:
    errors = [(wheel, rule) for wheel in audited for rule in wheel.errors]
    false = sum(wheel.known.errors.get(rule, "").startswith(FALSE) for wheel, rule in errors)
    head = (
        f"{len(audited)} wheels, {sum(wheel.size for wheel in audited) / 1e9:.1f} GB, on {time.strftime('%Y-%m-%d')}: "
        f"{len(errors)} errors, of which {false} are false. Largest memory {max(w.peak for w in audited) / 1e6:.0f} MB."
    )
    figures = "\n".join([head, "", *_table(audited), "", "## Each error, checked by hand", "", *_checked(audited)])
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
