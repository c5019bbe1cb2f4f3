"""What the device compiler said, for a person: their file and line first, each thing once, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["CompilerLog", "by_message", "compile_failure", "launch_lines", "read_log"]

_PROPERTIES = re.compile(r"Function properties for (\S+)")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_NOISE = re.compile(
    r"ptxas info|ptxas         \.|Remark: The warnings can be suppressed|Compilation terminated\."
    r"|\d+ (?:catastrophic )?errors? detected in the compilation of"
)
_DIAGNOSTIC = re.compile(r"\S.*?(?:\(\d+\))?: (?:catastrophic )?(?:error|warning|remark)\b|nvrtc: error|\s*ptxas ")
_LOCATED = re.compile(r"\S[^\n]*\(\d+\): ")
_MISSING_HEADER = re.compile(r'cannot open source file "([^"]+)"')
_REFUSED_FLAG = re.compile(r"^nvrtc: error: (.*)$", re.MULTILINE)
_HOST_HEADERS = ("torch/", "ATen/", "c10/", "pybind11/", "nanobind/", "Python.h")
_HOST_CODE = "not allowed in JIT mode"
_DEVICE_LAUNCH = "device-side kernel launch could not be processed"

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
    for line in log.splitlines():
        if match := _PROPERTIES.search(line):
            symbol = match[1]
        elif match := _SPILLS.search(line):
            spills[symbol] = int(match[1]) + int(match[2])
        if not line.strip() or _NOISE.search(line):
            continue
        if _DIAGNOSTIC.match(line) or not messages:
            messages.append([])
        messages[-1].append(line.rstrip())
    texts = list(dict.fromkeys("\n".join(lines) for lines in messages))
    return CompilerLog(spills, tuple(sorted(texts, key=lambda text: " error" not in text.partition("\n")[0])))


def by_message(logs: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """From (target, messages) pairs: each message once, with the targets it appeared on."""
    found: dict[str, list[str]] = {}
    for target, messages in logs:
        for message in messages:
            found.setdefault(message, []).append(target)
    return found


def compile_failure(source: Path, shown: str, failed: Mapping[str, Sequence[str]]) -> CompileError:
    """The error for a source that does not compile.

    Args:
        source: the file, read again to find host code in it.
        shown: its name relative to the project.
        failed: target -> the compiler's messages there, file names already the user's.
    """
    found = by_message(failed.items())
    parts = []
    # What is in a file of the project leads; a toolkit header is where a mistake surfaced, not where it is.
    for message, targets in sorted(found.items(), key=lambda item: item[0].startswith("/")):
        text = message if _LOCATED.match(message) else f"{shown}: {message.strip()}"
        everywhere = len(targets) == len(failed)
        parts.append(text if everywhere else f"{text}\n  (only for {', '.join(targets)})")
    text = "\n".join(found)
    problem, hint = _explain(shown, text, launch_lines(source.read_text(encoding="utf-8", errors="replace")))
    where = f"for {', '.join(failed)}"
    return CompileError(f"{problem} ({where})", hint=hint, detail="\n".join(parts))


def _explain(shown: str, text: str, launches: Sequence[int]) -> tuple[str, str | None]:
    """What is wrong and what to do, from the compiler's messages and the lines of `<<<`."""
    missing = _MISSING_HEADER.search(text)
    host_header = missing is not None and missing[1].startswith(_HOST_HEADERS)
    if launches and (host_header or _HOST_CODE in text or _DEVICE_LAUNCH in text):
        lines = f"line{'s' if len(launches) > 1 else ''} {', '.join(map(str, launches))}"
        return (
            f"{shown} launches kernels with <<<>>> ({lines}), which is host code in a device source",
            'launch from a .cpp file through the generated header (NAME.kernels.h), or set mode = "nvcc"',
        )
    if missing is not None:
        return _explain_missing(shown, missing[1])
    if _HOST_CODE in text:
        return (
            f"{shown} has functions or variables without __device__",
            'mark them __device__, or set flags = ["--device-as-default-execution-space"] (CUTLASS headers need it)',
        )
    if flag := _REFUSED_FLAG.search(text):
        return f"{shown} was not compiled: NVRTC refuses an option ({flag[1]})", "correct flags of the kernel group"
    return f"{shown} does not compile", None


def _explain_missing(shown: str, header: str) -> tuple[str, str]:
    if header.startswith(_HOST_HEADERS):
        return (
            f"{shown} includes {header}, which device code cannot use",
            "keep kernels in .cu files free of torch and Python headers, and call them from a .cpp file",
        )
    if header.startswith("crt/"):
        return (
            f"{shown} needs {header}, which was not fetched: no source of this project is seen to include it",
            "include the header that needs it (such as <mma.h>) by its name, not by an option or a computed macro",
        )
    return (
        f"{shown} includes {header}, which is not found",
        "add its folder to include-dirs of the kernel group (<vector>, <string>, <iostream> need a host)",
    )


def launch_lines(text: str) -> list[int]:
    """The lines (from 1) with a kernel launch `<<<`, outside comments and strings."""
    blanked = _IGNORED.sub(lambda match: "\n" * match[0].count("\n"), text)
    return [number for number, line in enumerate(blanked.splitlines(), 1) if "<<<" in line]
