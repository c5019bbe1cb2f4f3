"""What a setup.py hears from programs: compilers and nvidia-smi answer for the machine that is pretended."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .git_commands import harmless_git

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .notes import Notes

__all__ = ["Programs"]

_COMPILER = re.compile(r"(?:.*-)?(?P<kind>g\+\+|gcc|c\+\+|cc|clang\+\+|clang)(?:-\d+(?:\.\d+)*)?")
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?")
# Programs that only look, which are started with the words they are given.
_LOOKS = {
    *("arch", "basename", "cat", "dirname", "echo", "false", "getconf", "head", "ls", "lsb_release", "lscpu", "nproc"),
    *("pwd", "readlink", "realpath", "test", "true", "uname", "wc"),
}
# What may stand behind `|`.
_FILTERS = {"cut", "grep", "head", "tail", "tr", "wc"}
_NO_SUCH = {
    "amd-smi",
    "hipcc",
    "hipconfig",
    "icpx",
    "ixsmi",
    "mthreads-gmi",
    "npu-smi",
    "rocm-smi",
    "rocminfo",
    "sycl-ls",
}
_OPERATOR = re.compile(r"[|&;<>()]+")
_GCC = """\
{name} (GCC) 13.3.0
Copyright (C) 2023 Free Software Foundation, Inc.
This is free software; see the source for copying conditions.  There is NO
warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.
"""
_CLANG = "clang version 18.1.8\nTarget: x86_64-unknown-linux-gnu\nThread model: posix\nInstalledDir: /usr/bin\n"
_NVCC = """\
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Wed_Aug_20_01:58:59_PM_PDT_2025
Cuda compilation tools, release {cuda}, V{cuda}.88
Build cuda_{cuda}.r{cuda}/compiler.36424714_0
"""
_SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI {driver}            Driver Version: {driver}     CUDA Version: {cuda}     |
|-----------------------------------------+------------------------+----------------------+
|   0  NVIDIA GPU                     On  |   00000000:01:00.0 Off |                    0 |
+-----------------------------------------------------------------------------------------+
"""


class _Answer(NamedTuple):
    text: str
    status: int = 0


class Programs:
    """Says which harmless program is started in place of one that is asked for."""

    def __init__(self, request: Mapping[str, Any], notes: Notes) -> None:
        self._request = request
        self._notes = notes
        self._answers = 0

    def instead(self, args: Any, *, shell: bool) -> list[str]:  # noqa: ANN401
        """The words of the program to start.

        Raises:
            FileNotFoundError: there is no such program on the machine that is pretended.
        """
        if isinstance(args, (str, bytes, os.PathLike)):
            text = os.fsdecode(args)
            return self._line(text) if shell else self._command([text])
        words = [os.fsdecode(word) for word in args]
        return self._line(words[0]) if shell and words else self._command(words)

    def _line(self, text: str) -> list[str]:
        """A line for a shell: one command, or one with filters behind it."""
        reader = shlex.shlex(text, posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        try:
            words = list(reader)
        except ValueError:
            return self._hold(text)
        words = _without_silencing(words)
        parts = _split(words, "|")
        if any(_OPERATOR.fullmatch(word) for part in parts for word in part) or not all(parts):
            return self._hold(text)
        if any(part[0] not in _FILTERS for part in parts[1:]):
            return self._hold(text)
        try:
            first = self._command(parts[0])
        except FileNotFoundError:
            # What a shell says of a program that is not there (POSIX, 2.8.2).
            return ["sh", "-c", "exit 127"]
        if len(parts) == 1:
            return first
        return ["sh", "-c", " | ".join(map(shlex.join, [first, *parts[1:]]))]

    def _command(self, words: list[str]) -> list[str]:
        name = os.path.basename(words[0]) if words else ""
        # What only starts another program is left away: sudo would ask for a password.
        if name in {"env", "nice", "sudo"} and len(words) > 1 and "=" not in words[1] and words[1][:1] != "-":
            return self._command(words[1:])
        if name == "git":
            harmless = harmless_git(words)
            return self._hold(shlex.join(words)) if harmless is None else harmless
        if name in _LOOKS:
            return words
        if name in _NO_SUCH:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
        if _is_python(words[0] if words else ""):
            return self._python(words)
        answer = self._answer(name, words[1:])
        return self._hold(shlex.join(words)) if answer is None else self._say(answer)

    def _answer(self, name: str, options: Sequence[str]) -> _Answer | None:
        if name in {"nvcc", "ptxas", "cuobjdump", "nvlink"}:
            return self._nvcc(options)
        if name == "nvidia-smi":
            return self._nvidia_smi(options)
        if name in {"which", "command", "type", "whereis"}:
            found = [path for option in options if option[:1] != "-" and (path := shutil.which(option))]
            return _Answer("".join(f"{path}\n" for path in found), 0 if found else 1)
        versions = self._request["versions"]
        said = {
            "ninja": f"{versions['ninja']}\n",
            "cmake": f"cmake version {versions['cmake']}\n",
            **dict.fromkeys(("ld", "ld.gold", "ld.lld", "ld.bfd"), "GNU ld (GNU Binutils) 2.42\n"),
        }
        if name in said and {"--version", "-version", "-v"} & {*options}:
            return _Answer(said[name])
        if name == "ldconfig":
            return _Answer("")
        compiler = _COMPILER.fullmatch(name)
        return _compiler(name, compiler["kind"], options) if compiler else None

    def _nvcc(self, options: Sequence[str]) -> _Answer | None:
        if {"--version", "-V", "-version"} & {*options}:
            return _Answer(_NVCC.format(cuda=self._request["toolkit"]))
        for option, beginning in (("--list-gpu-arch", "compute_"), ("--list-gpu-code", "sm_")):
            if {option, option.replace("list", "ls")} & {*options}:
                return _Answer("".join(f"{beginning}{arch}\n" for arch in self._request["toolkit_archs"]))
        return _Answer("") if {"--help", "-h"} & {*options} else None

    def _nvidia_smi(self, options: Sequence[str]) -> _Answer:
        self._notes.add("asks", "nvidia-smi")
        driver = self._request["driver"]
        query = next((option.partition("=")[2] for option in options if option.startswith("--query-gpu=")), None)
        if query is None and "--query-gpu" in options:
            query = options[options.index("--query-gpu") + 1]
        if query is not None:
            facts = {
                "compute_cap": ".".join(map(str, self._request["device"])),
                "name": "NVIDIA GPU",
                "count": "1",
                "gpu_name": "NVIDIA GPU",
                "index": "0",
                "driver_version": driver,
                "memory.total": "81559 MiB",
            }
            row = ", ".join(facts.get(name.strip(), "[N/A]") for name in query.split(","))
            header = "" if any("noheader" in option for option in options) else f"{query.replace(',', ', ')}\n"
            return _Answer(f"{header}{row}\n")
        if {"-L", "--list-gpus"} & {*options}:
            return _Answer("GPU 0: NVIDIA GPU (UUID: GPU-00000000-0000-0000-0000-000000000000)\n")
        return _Answer(_SMI.format(driver=driver, cuda=self._request["toolkit"]))

    def _python(self, words: list[str]) -> list[str]:
        """`-c CODE` runs as setup.py does; scripts and modules do not run."""
        options = iter(words[1:])
        for option in options:
            if option in {"-V", "--version"}:
                return self._say(_Answer(f"Python {sys.version.split()[0]}\n"))
            if option == "-c":
                code = next(options, "")
                worker = [sys.executable, "-B", "-X", "utf8", "-c", self._request["child"], self._request["file"]]
                return [*worker, code, *options]
            if option in {"-W", "-X"}:
                next(options, None)
            elif not re.fullmatch("-[BEIOPRSbdiqsuvx]+", option):
                break
        return self._hold(shlex.join(words))

    def _hold(self, text: str) -> list[str]:
        self._notes.add("runs", text)
        return ["true"]

    def _say(self, answer: _Answer) -> list[str]:
        self._answers += 1
        path = os.path.join(self._request["scratch"], "answers", f"{os.getpid()}-{self._answers}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(answer.text)
        # By a real process: setup.py may read its pipe, its status or its lines as it likes.
        return ["cat", path] if answer.status == 0 else ["sh", "-c", f"exit {answer.status}"]


def _compiler(name: str, kind: str, options: Sequence[str]) -> _Answer | None:
    clang = kind.startswith("clang")
    for option in options:
        match option:
            case "--version" | "-v" | "-V":
                return _Answer(_CLANG if clang else _GCC.format(name=name))
            case "-dumpversion":
                return _Answer("18.1.8\n" if clang else "13\n")
            case "-dumpfullversion":
                return _Answer("13.3.0\n")
            case "-dumpmachine":
                return _Answer("x86_64-linux-gnu\n")
            case _:
                pass
        if option.startswith(("-print-file-name=", "-print-prog-name=", "--print-file-name=")):
            return _Answer(f"{option.partition('=')[2]}\n")
    return None


def _is_python(word: str) -> bool:
    return word == sys.executable or _PYTHON.fullmatch(os.path.basename(word)) is not None


def _without_silencing(words: list[str]) -> list[str]:
    """Without `2>/dev/null` and `2>&1`, which only say where errors are printed."""
    kept: list[str] = []
    index = 0
    while index < len(words):
        if words[index : index + 3] in (["2", ">", os.devnull], ["2", ">&", "1"], ["2", ">&", "2"]):
            index += 3
        else:
            kept.append(words[index])
            index += 1
    return kept


def _split(words: Sequence[str], operator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == operator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
