"""What the device compiler said, for a person: their file and line first, each thing once, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compile.messages.causes import kernel_name
from gpuwheel.compile.messages.ending import explain
from gpuwheel.compile.messages.reading import plain, read_messages
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.compile.messages.where import Place

__all__ = ["CompilerLog", "by_message", "compile_failure", "launch_lines", "read_log"]

_PROPERTIES = re.compile(r"Function properties for (\S+)")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_NOISE = re.compile(
    r"ptxas info|ptxas         \.|Remark: The warnings can be suppressed|Compilation terminated\."
    r"|\d+ (?:catastrophic )?errors? detected in the compilation of"
)
_DIAGNOSTIC = re.compile(r"\S.*?(?:\(\d+\))?: (?:catastrophic )?(?:error|warning|remark)\b|nvrtc: error|\s*ptxas ")
_LOCATED = re.compile(r"\S[^\n]*\(\d+\): ")
_HOST_HEADER = re.compile(
    r'cannot open source file "(?:torch/|ATen/|c10/|pybind11/|nanobind/|Python\.h)|#error.*gpuwheel: .* host code'
)
_HOST_CODE = "not allowed in JIT mode"
_DEVICE_LAUNCH = "device-side kernel launch could not be processed"
_READABLE = re.compile(r"'(_Z\w+)'|\b(_Z\w{3,})\b")

# Strings before comments: each alternative must not start inside another.
_IGNORED = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/',
    re.DOTALL,
)


@dataclass(frozen=True)
class CompilerLog:
    """A log, taken apart."""

    spills: Mapping[str, int]
    """Kernel symbol -> bytes of spill stores and loads (ptxas -v)."""
    messages: tuple[str, ...]
    """Errors first, then warnings; virtual file names."""


def read_log(log: str) -> CompilerLog:
    """Split NVRTC's log into spills and messages."""
    spills: dict[str, int] = {}
    symbol = ""
    messages: list[list[str]] = []
    for line in plain(log).splitlines():
        if match := _PROPERTIES.search(line):
            symbol = match[1]
        elif match := _SPILLS.search(line):
            spills[symbol] = int(match[1]) + int(match[2])
        if not line.strip() or _NOISE.search(line):
            continue
        if _DIAGNOSTIC.match(line) or not messages:
            messages.append([])
        messages[-1].append(line.rstrip())
    # The same words may come once for each instantiation.
    texts = list(dict.fromkeys("\n".join(lines) for lines in messages))
    return CompilerLog(spills, tuple(sorted(texts, key=lambda text: " error" not in text.partition("\n")[0])))


def by_message(logs: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Each message of (target, messages) pairs once, with the targets it appeared on."""
    found: dict[str, list[str]] = {}
    for target, messages in logs:
        for message in messages:
            found.setdefault(message, []).append(target)
    return found


def compile_failure(place: Place, failed: Mapping[str, Sequence[str]], targets: int) -> CompileError:
    """The error for a source that does not compile.

    Args:
        place: where the source is, which is read again to find host code in it.
        failed: target -> the compiler's messages there, file names already the user's.
        targets: for how many it was compiled.
    """
    found = by_message(failed.items())
    parts = []
    # What is in a file of the project leads; a toolkit header is where a mistake surfaced, not where it is.
    ordered = sorted(found.items(), key=lambda item: item[0].startswith("/"))
    for message, where in ordered:
        text = message if _LOCATED.match(message) else f"{place.source}: {message.strip()}"
        parts.append(text if len(where) == len(failed) else f"{text}\n  (only for {', '.join(where)})")
    problem, hint = _problem(place, [message for message, _ in ordered])
    if len(failed) < targets:
        first, *rest = problem.split("\n")
        problem = "\n".join([f"{first} (only for {', '.join(failed)})", *rest])
    return CompileError(problem, hint=hint, detail="\n".join(map(_readable, parts)))


def _problem(place: Place, found: Sequence[str]) -> tuple[str, str | None]:
    """What is wrong and what to do, from the compiler's messages and the lines of `<<<`."""
    text = "\n".join(found)
    source = (place.root / place.source).read_text(encoding="utf-8", errors="replace")
    launches = launch_lines(source)
    if launches and (_HOST_HEADER.search(text) or _HOST_CODE in text or _DEVICE_LAUNCH in text):
        lines = f"line{'s' if len(launches) > 1 else ''} {', '.join(map(str, launches))}"
        return (
            f"{place.source} launches kernels with <<<>>> ({lines}), which is host code in a device source",
            'launch from a .cpp file through the generated header (NAME.kernels.h), or set mode = "nvcc"',
        )
    errors = [message for message in read_messages("\n".join(found)) if message.is_error]
    if not errors:
        return f"{place.source} does not compile", None
    return explain(errors, place)


def _readable(text: str) -> str:
    """Names of kernels as their authors write them."""
    return _READABLE.sub(lambda match: kernel_name(match[1] or match[2]), text)


def launch_lines(text: str) -> list[int]:
    """The lines (from 1) with a kernel launch `<<<`, outside comments and strings."""
    # Newlines stay, or every line number behind would be wrong.
    blanked = _IGNORED.sub(lambda match: "\n" * match[0].count("\n"), text)
    return [number for number, line in enumerate(blanked.splitlines(), 1) if "<<<" in line]
