"""Run one command when the broker admits it. Started by Ninja ahead of each compiler, by file name.

Run as `python -I -S -E admitted_command.py COMMAND...`: nothing of gpuwheel is importable, and what `socket`, `json` or
`subprocess` would import takes longer than the rest. The broker (`gpuwheel.matrix.broker`) is found by the folder in
GPUWHEEL_BROKER. Where it is not there, or does not answer, the command runs at once: it decides when, never whether.

Lines in each direction, those to the broker in JSON: what is to be run; "go" with a number of cores (a lone newline
now and then says that the broker lives); the process that was started; how it ended; "done", or "again" for a second
try by itself.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys
import time
from _json import encode_basestring_ascii as quoted

__all__ = ["Share", "main"]

SOCKET = "socket"
"""The name of the broker's socket in its folder."""
_SILENCE = 120.0
"""Seconds without a word of the broker after which the command runs anyway; it says that it lives each 10."""
_HELD_BACK = 1 << 20
"""Bytes of messages that wait for the end of the command: one that was killed for memory says nothing of a source."""
_MESSAGES_OF_KILLED = (
    b"died due to signal 9",  # nvcc
    b"Killed signal terminated program",  # GCC
    b"unable to execute command: Killed",  # Clang
    b"Killed\n",  # a shell between us and the compiler
)
_SIGNALS = (_signal.SIGPIPE, getattr(_signal, "SIGXFSZ", _signal.SIGPIPE))
"""Python ignores them, and so would what it starts."""


class Share:
    """A place among the commands that run, held until it is closed or this process ends."""

    def __init__(self, folder: str) -> None:
        """Connect to the broker.

        Raises:
            OSError: it is not there.
        """
        # By a descriptor: the address of a socket has 107 bytes, and a folder may be deeper.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_SILENCE)
            self._socket.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
        except OSError:
            self._socket.close()
            raise
        finally:
            os.close(descriptor)
        self._read = b""

    def ask(self, words: list[str], what: str = "command") -> int:
        """Wait until `words` may run, and say on how many cores; 0: nobody says, and it may."""
        listed = ", ".join(map(quoted, words))
        cell = quoted(os.environ.get("GPUWHEEL_BROKER_CELL", ""))
        self.tell(f'{{"{what}": [{listed}], "cell": {cell}, "cwd": {quoted(os.getcwd())}}}')  # noqa: PTH109
        return self.answer("go")

    def tell(self, line: str) -> None:
        """Send a line; a broker that is gone hears nothing, which is no error."""
        try:  # noqa: SIM105 (contextlib takes longer to import than all of this)
            self._socket.sendall(line.encode() + b"\n")
        except OSError:
            pass

    def answer(self, *expected: str) -> int:
        """The number behind one of the expected words; 0 where another comes, or nothing."""
        while True:
            line, newline, rest = self._read.partition(b"\n")
            if newline:
                self._read = rest
                words = line.decode("ascii", "replace").split()
                if words:
                    return int(words[1]) if words[0] in expected and len(words) > 1 and words[1].isdigit() else 0
                continue
            try:
                more = self._socket.recv(4096)
            except OSError:
                return 0
            if not more:
                return 0
            self._read += more

    def close(self) -> None:
        """Give the place back."""
        self._socket.close()


def main() -> None:
    """Run the command in `sys.argv`, and end as it does."""
    words = sys.argv[1:]
    try:
        share = Share(os.environ["GPUWHEEL_BROKER"])
    except (KeyError, OSError):
        _become(words)
        return
    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, _signal.SIG_DFL)
    cores = share.ask(words)
    code, messages = _run(words, cores, share)
    if code and cores:
        cores = share.answer("again")
        if cores:
            os.write(2, b"gpuwheel: the compiler was killed for want of memory, and is started again by itself\n")
            code, messages = _run(words, cores, share)
    _write(messages)
    os._exit(code)


def _become(words: list[str]) -> None:
    for number in _SIGNALS:
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606 (no shell)
    except OSError as error:
        sys.exit(f"{words[0]}: {error.strerror}")


def _run(words: list[str], cores: int, share: Share) -> tuple[int, bytes]:
    """Run a command to its end: its exit code, and what is left of its messages."""
    if cores:  # nvcc's own threads, of which the broker may have fewer to give
        words = [f"--threads={cores}" if word.startswith("--threads=") else word for word in words]
    read, write = os.pipe()
    start = time.monotonic()
    try:
        child = os.posix_spawnp(
            words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, write, 2)], setsigdef=_SIGNALS
        )
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode())
        share.tell('{"code": 127, "wall": 0, "cpu": 0, "peak": 0, "killed": false}')
        return 127, b""
    finally:
        os.close(write)
    share.tell(f'{{"pid": {child}}}')
    messages = _listen(read, child)
    _, status, used = os.wait4(child, 0)
    os.close(read)
    code = os.waitstatus_to_exitcode(status)
    killed = code in {-9, 9, 137} or (code != 0 and any(text in messages for text in _MESSAGES_OF_KILLED))
    # The largest process of all that the command waited for: those that ran at once are not added up.
    share.tell(
        f'{{"code": {code}, "wall": {time.monotonic() - start:.3f}, "cpu": {used.ru_utime + used.ru_stime:.3f}, '
        f'"peak": {used.ru_maxrss * 1024}, "killed": {"true" if killed else "false"}}}'
    )
    return (128 - code if code < 0 else code), messages


def _listen(read: int, child: int) -> bytes:
    """What the command prints as errors until it ends, but for what was more than may wait.

    A server that it started (sccache's) may hold the pipe for hours: the end of the command counts.
    """
    held = b""
    watch, ended = None, -1
    if hasattr(os, "pidfd_open"):
        import select  # noqa: PLC0415 (only where something runs)

        watch = select.poll()
        ended = os.pidfd_open(child)
        watch.register(ended, select.POLLIN)
        watch.register(read, select.POLLIN)
        os.set_blocking(read, False)
    is_over = False
    while not is_over:
        is_over = watch is not None and any(number == ended for number, _ in watch.poll())
        try:
            while more := os.read(read, 1 << 16):
                held += more
                if len(held) > _HELD_BACK:
                    _write(held[:-4096])
                    held = held[-4096:]
            is_over = True  # nobody holds the pipe any more
        except BlockingIOError:
            pass
    return held


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(2, data) :]


if __name__ == "__main__":
    main()
