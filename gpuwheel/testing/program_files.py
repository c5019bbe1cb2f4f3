"""Files of programs: what the pretend driver executes of a kernel, and the variables of its module, kept in the cache.

The driver (native/program_maker.c) starts a Python with `serve`, sends each PTX once, and is answered with paths. Its
own process may have no Python, or have it busy. The layout is read by native/programs.c: lines of words, then bytes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._resources import resource
from gpuwheel.errors import GpuwheelError
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.compiled import Interpreter
from gpuwheel.testing.ptx.handlers import form_of
from gpuwheel.testing.ptx.program import make_program
from gpuwheel.testing.ptx.syntax import Instruction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.testing.ptx.handlers import Form
    from gpuwheel.testing.ptx.program import Program
    from gpuwheel.testing.ptx.syntax import Module, Variable

__all__ = ["ProgramFiles", "read_source", "serve"]

_SMALL = 3 << 20
"""Bytes of a PTX whose forms are compiled all together: a compiler starts once, and not for each kernel."""


class ProgramFiles:
    """Makes programs of PTX and keeps them.

    Raises:
        PtxError: a PTX is damaged, or has no such entry.
        ToolchainError: no C compiler.
        CompileError: the C compiler fails.
        CacheError: the cache cannot be written.
    """

    def __init__(self, cache: Cache, environ: Mapping[str, str]) -> None:
        self._cache = cache
        self._environ = environ
        self._modules: dict[str, Module] = {}
        self._prepared: set[str] = set()

    def program(self, text: str, kernel: str) -> Path:
        """The file of a kernel's program."""
        key = self._key(text, kernel)
        kept = self._cache.read("toolchains", key)
        if kept is not None and _is_usable(kept):
            return self._cache.place("toolchains", key)
        module = self._module(text)
        program = make_program(module, kernel)
        self._prepare(text, module)
        self._interpreter.addresses(program.forms)
        source = self._cache.publish_bytes("toolchains", f"ptx-text-{_digest(text)}", text.encode())
        content = b"".join(_program_lines(program, module, self._interpreter, source))
        return self._cache.publish_bytes("toolchains", key, content)

    def variables(self, text: str) -> Path:
        """The file of a module's variables."""
        key = self._key(text, "")
        found = self._cache.lookup("toolchains", key)
        if found is not None:
            return found
        variables = [each for each in self._module(text).variables.values() if each.space in {"global", "const"}]
        return self._cache.publish_bytes("toolchains", key, b"".join(_variable_lines(variables)))

    @cached_property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self._cache, self._environ)

    def _module(self, text: str) -> Module:
        digest = _digest(text)
        if digest not in self._modules:
            self._modules[digest] = reading.read_module(text)
        return self._modules[digest]

    def _prepare(self, text: str, module: Module) -> None:
        """Compile what any kernel of a small PTX needs."""
        digest = _digest(text)
        if digest in self._prepared or len(text) > _SMALL:
            return
        self._prepared.add(digest)
        self._interpreter.addresses(_forms(module))

    def _key(self, text: str, kernel: str) -> str:
        of = hashlib.sha256(f"{__version__}\0{self._made_by}\0{_digest(text)}\0{kernel}".encode())
        return f"ptx-program-{of.hexdigest()[:40]}"

    @cached_property
    def _made_by(self) -> str:
        digest = hashlib.sha256()
        for source in sorted(resource("testing", "ptx").rglob("*")):
            if source.suffix in {".py", ".c", ".h"}:
                digest.update(source.read_bytes())
        return digest.hexdigest()


def read_source(program: Path) -> tuple[str, str] | None:
    """The PTX and the kernel that a program's file was made of; None: they are not there any more."""
    kernel, source = "", None
    with suppress(OSError), program.open("rb") as file:
        for line in _lines(file):
            word, _, rest = line.partition(" ")
            if word == "kernel":
                kernel = rest
            elif word == "source":
                source = Path(rest)
            elif word == "block":
                break
        if source is not None:
            return source.read_text(encoding="utf-8"), kernel
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _forms(module: Module) -> Iterator[Form]:
    for name in module.spans:
        with suppress(GpuwheelError):  # one that is damaged is told of when it is asked for
            for each in reading.function(module, name).body:
                found = form_of(each) if isinstance(each, Instruction) else None
                if found is not None:
                    yield found[0]


def _lines(file: BinaryIO) -> Iterator[str]:
    for line in file:
        yield line.decode().rstrip("\n")


def _is_usable(content: bytes) -> bool:
    """Whether the libraries that a program's file names are there: a cache is cleaned by parts."""
    head, _, _ = content.partition(b"\nblock ")
    named = [line.partition(b" ")[2] for line in head.split(b"\n") if line.startswith((b"machine ", b"library "))]
    return bool(named) and all(Path(os.fsdecode(path)).exists() for path in named)


def _program_lines(program: Program, module: Module, interpreter: Interpreter, source: Path) -> Iterator[bytes]:
    yield f"kernel {program.kernel}\nsource {source}\nmachine {interpreter.machine_file}\n".encode()
    before = None
    for form in program.forms:
        library = interpreter.library_of(form)
        if library != before:
            yield f"library {library}\n".encode()
            before = library
        yield f"handler {form.symbol}\n".encode()
    for parameter, offset in zip(program.parameters, program.offsets, strict=True):
        yield f"parameter {offset} {parameter.size}\n".encode()
    inner = {name: variable for function in module.functions.values() for name, variable in function.variables.items()}
    for name in program.variables:
        if name not in module.variables and name in inner:
            variable = inner[name]
            initial = (variable.initial or b"").hex() or "-"
            yield f"static {variable.size} {max(variable.align, 1)} {name} {initial}\n".encode()
        yield f"variable {name}\n".encode()
    yield f"instructions {len(program.instructions)}\nblock {len(program.block)}\n".encode()
    yield program.block


def _variable_lines(variables: Iterable[Variable]) -> Iterator[bytes]:
    ordered = [variable for variable in variables if not variable.external]
    for variable in ordered:
        size = len(variable.initial or b"")
        yield f"variable {variable.size} {max(variable.align, 1)} {size} {variable.name}\n".encode()
    for index, variable in enumerate(ordered):
        for offset, symbol in variable.pointers:
            yield f"pointer {index} {offset} {symbol.offset} {symbol.name}\n".encode()
    yield b"data\n"
    for variable in ordered:
        yield variable.initial or b""


def serve() -> None:
    """Answer the pretend driver until it closes the pipe.

    Requests on stdin: `text NUMBER BYTES` and that many bytes, `kernel NUMBER NAME`, `module NUMBER`. The latter two
    are answered with a line: `file PATH`, or `error MESSAGE`.
    """
    # Whatever else writes to stdout must not be read as an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    environ = dict(os.environ)
    files = ProgramFiles(Cache.from_environment(environ), environ)
    texts: dict[str, str] = {}
    requests = sys.stdin.buffer
    while line := requests.readline():
        word, number, *rest = line.decode().split()
        if word == "text":
            texts[number] = requests.read(int(rest[0])).decode(errors="replace")
            continue
        try:
            path = files.program(texts[number], rest[0]) if word == "kernel" else files.variables(texts[number])
            answer = f"file {path}"
        except GpuwheelError as error:
            hint = f" ({error.hint})" if error.hint else ""
            answer = f"error cannot be executed: {error.message}{hint}".replace("\n", " ")
        answers.write(answer + "\n")
        answers.flush()
