"""Whether the executor's table has the forms of instructions that NVIDIA's assembler takes, and no others.

Each line of manual.txt is expanded and given to ptxas, for each architecture that may know it; what it takes is looked
up in the table. Then each row of the table is written as PTX, with every member of its sets, and has to be taken.

    python ci/ptx_forms/check.py --ptxas .../nvidia/cu13/bin/ptxas [--result ci/ptx_forms/result.json]

ptxas comes with the package nvidia-cuda-nvcc. tests/unit/testing/ptx/test_forms.py compares the result that is kept
with the table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from row_texts import texts_of

from gpuwheel._run import run
from gpuwheel.errors import PtxError
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.forms import table
from gpuwheel.testing.ptx.program import make_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MANUAL = Path(__file__).with_name("manual.txt")
# Some forms are of one family alone, and some were taken away again.
TARGETS = ("100a", "90a", "120a", "103a", "80", "75")
_OLDEST = 8
_MOST = 600
"""Forms of a line that are tried: all, or each alternative with each of the line's next one."""
_ALTERNATIVES = re.compile(r"<([^<>]*)>")
_HEAD = """.version {version}
.target sm_{target}
.address_size 64
.global .align 128 .b8 gmem[1024];
.const .align 128 .b8 cmem[1024];
.shared .align 128 .b8 smem[1024];
.func callee() {{ ret; }}
"""
_KERNEL = """.visible .entry k{number}(.param .u32 scale, .param .align 128 .b8 pa[128]) {{
.reg .pred %p<8>; .reg .b8 %c<8>; .reg .b16 %h<32>; .reg .b32 %r<300>; .reg .b64 %d<80>; .reg .b128 %q<12>;
.reg .f32 %f<80>; .reg .f64 %g<80>;
"""
_EACH = 400


def expanded(line: str) -> list[str]:
    """The forms of a line of manual.txt."""
    parts = _ALTERNATIVES.split(line)
    choices = [part.split("/") if index % 2 else [part] for index, part in enumerate(parts)]
    total = 1
    for each in choices:
        total *= len(each)
    if total <= _MOST:
        return list(dict.fromkeys("".join(chosen) for chosen in itertools.product(*choices)))
    most = max(map(len, choices))
    return list(
        dict.fromkeys(
            "".join(each[(turn + shift * place) % len(each)] for place, each in enumerate(choices))
            for shift in range(most)
            for turn in range(most)
        )
    )


def module_of(texts: Iterable[str], target: str, version: str) -> str:
    """A PTX with these instructions, each on a line of its own; `where_of` finds it again."""
    lines = [_HEAD.format(version=version, target=target)]
    for number, some in enumerate(_batched(list(texts))):
        lines += [_KERNEL.format(number=number), *(f"{text};" for text in some), "ret; }"]
    return "\n".join(lines)


def _batched(texts: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(texts), _EACH):
        yield texts[at : at + _EACH]


def refused(ptxas: Path, texts: list[str], target: str, version: str) -> dict[str, str]:
    """Those of the instructions that this assembler does not take for that architecture, and what it says of them."""
    found: dict[str, str] = {}
    left = list(texts)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "forms.ptx")
        while left:
            module = module_of(left, target, version)
            source.write_text(module)
            words = [str(ptxas), f"--gpu-name=compute_{target}", str(source), "--output-file", str(Path(folder, "out"))]
            ran = run(words, check=False, env=os.environ)
            if ran.returncode == 0:
                break
            lines = module.split("\n")
            said = re.findall(r"line (\d+); (?:error|fatal)\s*: (.*)", ran.stdout + ran.stderr)
            new = {lines[int(number) - 1].rstrip(";"): why for number, why in said}
            if not new.keys() & {*left}:
                sys.exit(f"ptxas: {ran.stdout}{ran.stderr}")
            found |= {text: why for text, why in new.items() if text in left}
            left = [text for text in left if text not in found]
    return found


def taken(ptxas: Path, texts: list[str], version: str) -> tuple[dict[str, str], dict[str, str]]:
    """For which architecture each instruction is taken; and of those that none takes, what is said."""
    found: dict[str, str] = {}
    left = dict.fromkeys(texts, "")
    for target in TARGETS:
        wrong = refused(ptxas, list(left), target, version)
        found |= {text: target for text in left if text not in wrong}
        left = {text: left[text] or why for text, why in wrong.items()}
    return found, left


def has_meaning(text: str) -> bool:
    """Whether the executor does this instruction; a launch ends where it does not."""
    try:
        module = reading.read_module(module_of([text], "100a", "9.0"))
        return not make_program(module, "k0").missing
    except PtxError:  # an operand that the reader does not know
        return False


def manual() -> Iterator[tuple[str, list[str], bool]]:
    """Each line, its forms, and whether they are to be refused."""
    for line in MANUAL.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line, expanded(line.removeprefix("! ")), line.startswith("!")


def main() -> int:
    """Check both ways; returns 1 if a row has a form that ptxas does not take, or manual.txt a line like that."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ptxas", type=Path, required=True)
    parser.add_argument("--version", default="9.3", help="of the PTX (default: %(default)s)")
    parser.add_argument("--result", type=Path)
    given = parser.parse_args()
    lines = list(manual())
    every = list(dict.fromkeys(text for _, texts, _ in lines for text in texts))
    legal, illegal = taken(given.ptxas, every, given.version)
    lacking = {text for text in every if not has_meaning(text)}
    faults, lacks, refuses = [], {}, 0
    for line, texts, refused_here in lines:
        right = [text for text in texts if text in legal]
        if not right:
            faults.append(f"manual.txt: ptxas takes nothing of `{line}`: {illegal.get(texts[0])}")
        missing = [text for text in right if text in lacking]
        if refused_here:
            refuses += len(right)
            faults += [f"manual.txt: `{text}` has a meaning" for text in right if text not in lacking]
        elif missing:
            lacks[line] = {"missing": len(missing), "of": len(right), "first": missing[0]}
    wrong = rows_refused(given.ptxas, given.version)
    faults += wrong
    print("\n".join(faults))
    counted = [text for _, texts, no in lines if not no for text in texts if text in legal]
    summary = {
        "ptxas": _release(given.ptxas),
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "legal": len(counted),
        "done": sum(text not in lacking for text in counted),
        "refused by name": refuses,
        "rows": len(table()),
        "lacks": lacks,
        "illegal": sorted(illegal),
    }
    print(json.dumps({**summary, "lacks": list(lacks), "illegal": len(illegal)}, indent=1))
    if given.result:
        given.result.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return int(bool(faults))


def rows_refused(ptxas: Path, version: str) -> list[str]:
    """Rows with a member of a set that is in no form that ptxas takes."""
    forms = [(row, text, words) for row in table() for text, words in texts_of(row)]
    legal, illegal = taken(ptxas, list(dict.fromkeys(text for _, text, _ in forms)), version)
    seen: dict[tuple[int, str], tuple[str, str]] = {}
    good: dict[int, set[str]] = defaultdict(set)
    for row, text, words in forms:
        if text in legal:
            good[id(row)] |= words
        else:
            for word in words:
                seen.setdefault((id(row), word), (row.syntax, text))
    return [
        f"{syntax}: {word or 'all of it'}: `{text}`: {illegal[text]}"
        for (row, word), (syntax, text) in seen.items()
        if word not in good[row] and (not word or "" in good[row])
    ]


def _release(ptxas: Path) -> str:
    said = run([str(ptxas), "--version"], env=os.environ).stdout
    return said.rpartition(" V")[2].split()[0]


if __name__ == "__main__":
    sys.exit(main())
