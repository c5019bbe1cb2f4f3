"""The only place that starts other programs."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel.errors import GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from typing import IO

__all__ = [
    "Completed",
    "Leash",
    "LeashPulledError",
    "ProcessFailedError",
    "run",
    "run_each",
    "run_in_terminal",
    "running",
    "unleashed",
]


_TEXT: Any = {"encoding": "utf-8", "errors": "replace"}
"""Output of programs is text, whatever its bytes."""
_TO_STDERR = ((os.POSIX_SPAWN_DUP2, 2, 1),)


@dataclass(frozen=True)
class Completed:
    """What a finished program left."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """What it printed, for a message."""
        return "\n".join(part for part in (self.stdout.rstrip(), self.stderr.rstrip()) if part)


class ProcessFailedError(GpuwheelError):
    """A program ended with a non-zero status; callers that know better turn it into their own error."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(f"{completed.argv[0]} failed (exit status {completed.returncode})", detail=completed.output)
        self.completed = completed


class LeashPulledError(Exception):
    """A program was ended by a leash around it, or not started any more; no failure of that program."""


def run(  # one keyword per property of a process, all optional
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end and capture what it prints.

    The child gets its own process group, so that an interrupt ends it and everything it started.

    Raises:
        FileNotFoundError: there is no such program.
        TimeoutError: it did not end within `timeout` seconds, and was killed.
        ProcessFailedError: it ended with a non-zero status and `check` is set.
        LeashPulledError: a leash around the call was pulled.
    """
    words = tuple(os.fspath(word) for word in argv)
    _check_leashes()
    with (
        _start(words, env, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, cwd=cwd) as process,
        _on_leashes(process),
    ):
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            msg = f"{words[0]} did not end within {timeout} s"
            raise TimeoutError(msg) from error
        except BaseException:
            _kill(process)
            raise
    if process.returncode != 0:
        _check_leashes()
    completed = Completed(words, process.returncode, stdout, stderr)
    if check and completed.returncode != 0:
        raise ProcessFailedError(completed)
    return completed


def run_in_terminal(argv: Sequence[str], env: Mapping[str, str], *, quiet: bool = False) -> int:
    """Run a program with our terminal, in our process group: an interrupt reaches it without us.

    Args:
        argv: the file to run, and its arguments.
        env: all that it sees.
        quiet: its stdout is our stderr.

    Returns:
        Its exit status; 128 and the number of the signal that ended it.

    Raises:
        FileNotFoundError: there is no such program.
    """
    child = os.posix_spawn(argv[0], [*argv], env, file_actions=_TO_STDERR if quiet else ())
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number)),
    }
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


class Leash:
    """Ends the programs that run on it, from any thread; those that are started on it afterwards end at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = set[subprocess.Popen[str]]()
        self.is_pulled = False

    def pull(self) -> None:
        """End them."""
        with self._lock:
            self.is_pulled = True
            for process in self._held:
                if process.poll() is None:
                    _kill(process)

    @contextmanager
    def around(self, seconds: float | None = None) -> Iterator[None]:
        """Hold every program that this thread waits for inside the block, whoever starts it.

        Args:
            seconds: after which it is pulled.

        Raises:
            LeashPulledError: inside, from `run` and `running`.
        """
        clock = threading.Timer(seconds, self.pull) if seconds is not None else None
        if clock is not None:
            clock.daemon = True
            clock.start()
        token = _AROUND.set((*_AROUND.get(), self))
        try:
            yield
        finally:
            _AROUND.reset(token)
            if clock is not None:
                clock.cancel()

    @contextmanager
    def holding(self, process: subprocess.Popen[str]) -> Iterator[None]:
        """While the program runs."""
        with self._lock:
            self._held.add(process)
            if self.is_pulled:
                _kill(process)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(process)


_AROUND: ContextVar[tuple[Leash, ...]] = ContextVar("leashes", default=())
"""Those around what this thread does."""


@contextmanager
def unleashed() -> Iterator[None]:
    """Start programs that no leash around this thread ends: those that clear up after one that was ended."""
    token = _AROUND.set(())
    try:
        yield
    finally:
        _AROUND.reset(token)


def _check_leashes() -> None:
    if any(leash.is_pulled for leash in _AROUND.get()):
        raise LeashPulledError


@contextmanager
def _on_leashes(process: subprocess.Popen[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for leash in _AROUND.get():
            stack.enter_context(leash.holding(process))
        yield


@contextmanager
def running(
    argv: Sequence[str | os.PathLike[str]],
    *,
    stdin: str,
    env: Mapping[str, str] | None = None,
    errors: Path | None = None,
) -> Iterator[Iterator[str]]:
    """Run a program that reads all of `stdin` first, and hand out its lines as they appear.

    Leaving the block early, by an interrupt for example, kills it and everything it started.

    Args:
        argv: the program and its arguments.
        stdin: what it reads.
        env: its environment.
        errors: the file that what it prints to stderr is added to, and stays in.

    Raises:
        FileNotFoundError: there is no such program.
        ProcessFailedError: it ended with a non-zero status.
        LeashPulledError: a leash around the call was pulled.
    """
    words = tuple(os.fspath(word) for word in argv)
    _check_leashes()
    # Errors go to a file: a pipe that nobody reads while lines are handed out fills up, and stops the program.
    with (
        tempfile.TemporaryFile("w+", **_TEXT) if errors is None else errors.open("a+", **_TEXT) as said,
        _start(words, env, stdin=subprocess.PIPE, stderr=said) as process,
        _on_leashes(process),
    ):
        assert process.stdin is not None  # noqa: S101  (for mypy: both are pipes)
        assert process.stdout is not None  # noqa: S101
        try:
            with suppress(BrokenPipeError):  # it ended before it read: its status and output say why
                process.stdin.write(stdin)
                process.stdin.close()
            yield iter(process.stdout)
            process.wait()
        except BaseException:
            _kill(process)
            raise
        stderr = ""
        if errors is None:
            said.seek(0)
            stderr = said.read()
    if process.returncode != 0:
        _check_leashes()
        raise ProcessFailedError(Completed(words, process.returncode, "", stderr))


def run_each(
    commands: Sequence[Sequence[str | os.PathLike[str]]], *, jobs: int, env: Mapping[str, str]
) -> Generator[tuple[int, Completed], None, None]:
    """Run programs, `jobs` at a time, and hand out (position, what it left) as each of them ends.

    Leaving early, by an interrupt for example, kills those that run; no other is started.

    Raises:
        FileNotFoundError: there is no such program.
    """
    lock, started = threading.Lock(), list[subprocess.Popen[str]]()
    is_over = False

    def one(words: tuple[str, ...]) -> Completed:
        with lock:  # else a program could start after those that run were killed
            if is_over:
                return Completed(words, -signal.SIGKILL, "", "")
            process = _start(words, env, stdin=subprocess.DEVNULL)
            started.append(process)
        with process:
            stdout, stderr = process.communicate()
        return Completed(words, process.returncode, stdout, stderr)

    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(one, tuple(os.fspath(word) for word in words)): index for index, words in enumerate(commands)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            with lock:
                is_over = True
                for process in started:
                    if process.poll() is None:
                        _kill(process)


def _start(
    words: tuple[str, ...],
    env: Mapping[str, str] | None,
    *,
    stdin: int,
    stderr: int | IO[str] = subprocess.PIPE,
    cwd: Path | None = None,
) -> subprocess.Popen[str]:
    """A program whose output is text, whatever its bytes, in a process group of its own."""
    return subprocess.Popen(
        words,
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        **_TEXT,
        # A group of its own: killpg reaches compilers that the program started, and Ctrl-C is ours to pass on.
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
    """End a program and all that it started, in its group or in one of their own; it may have ended already."""
    # Another gpuwheel gives what it starts groups of their own, and kill -9 leaves it no time to end them.
    for leader in (process.pid, *_below(process.pid)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _below(pid: int) -> list[int]:
    """What a process started, and what that did (proc(5), /proc/PID/task/TID/children); empty where nothing says so."""
    found = list[int]()
    for path in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return [*found, *(each for child in found for each in _below(child))]
