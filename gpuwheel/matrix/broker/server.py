"""The broker: one thread that listens to every command that wants to run, in a folder of this user's alone.

It decides when a command runs, never whether: one that hears nothing runs at once (`compile.cmake.admitted_command`).
"""

from __future__ import annotations

import json
import os
import selectors
import shlex
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gpuwheel._files import write_if_changed
from gpuwheel._resources import resource
from gpuwheel.compile.cmake.admitted_command import SOCKET
from gpuwheel.compile.cmake.asking import CELL, FOLDER, LAUNCH, SHARE
from gpuwheel.compile.cmake.memory import available_memory, oom_kills
from gpuwheel.matrix.broker.admission import Admission, Ticket
from gpuwheel.matrix.broker.asked_commands import AskedCommand, read_command
from gpuwheel.matrix.broker.estimates import Estimates
from gpuwheel.matrix.broker.events import SourceEvent
from gpuwheel.matrix.broker.memory_use import kill_tree, memory_of
from gpuwheel.matrix.broker.open_files import files_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
    from gpuwheel.matrix.broker.events import Happened

__all__ = ["Broker"]

_LOOK = 0.1
"""Seconds between two looks at memory, while somebody waits or several run."""
_PAUSE = 0.05
"""Seconds to wait where no connection can be taken: files are closed as commands end."""
_ALIVE = 10.0
"""Seconds after which those who wait hear that the broker lives; they give it `_SILENCE`."""
_LINE = 4 << 20
"""Bytes of one line: a command line has 2 MiB (`getconf ARG_MAX`)."""
_MOST_WAITING = 1024
"""Commands of all cells that run or wait, where so many cells are built that more would: each is a Python of 8 MB."""
_LEAST_MARGIN, _MOST_MARGIN = 384 << 20, 2 << 30


@dataclass(eq=False)
class _Client:
    """A command at the other end of a connection."""

    connection: socket.socket
    data: bytes = b""
    cell: str = ""
    command: AskedCommand | None = None
    ticket: Ticket | None = None
    process: int = 0
    asked: float = 0.0
    started: float = 0.0
    kills: int = 0
    """How many processes the kernel had ended for memory when this one started."""
    stopped: bool = False
    """The broker ended it, for memory was about to run out."""
    again: bool = False
    """It is in its second try, or waits for it."""


@dataclass
class Broker:
    """Lets compilers of several cells run."""

    cores: int
    costs: RecordedCosts
    memory: Callable[[], int | None] = available_memory
    """Bytes that are free now: asked again and again, for other programs come and go."""
    on_event: Callable[[SourceEvent], None] | None = None
    """Called by the broker's thread. What it raises ends nothing, and is raised at the end of `serving`."""
    on_failure: Callable[[Exception], None] | None = None
    """Called by the broker's thread when that ends before its time. Then every command runs at once."""
    at_once: int = 1
    """How many cells are built at the same time: those that wait are shared out among them."""
    _roots: dict[str, Path | None] = field(default_factory=dict, init=False)
    _clients: set[_Client] = field(default_factory=set, init=False)
    _failure: Exception | None = field(default=None, init=False)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[dict[str, str]]:
        """Serve as long as the block runs; the value is what cells find the broker by, in their environment.

        Args:
            folder: is made, for this user alone.

        Raises:
            OSError: there can be no socket in it.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        script = str(resource("compile", "cmake", "admitted_command.py"))
        # By /bin/sh, as a word of its own: the folder may be where no program may be started (noexec).
        python, *options = map(shlex.quote, (sys.executable, "-I", "-S", "-E", script))
        # Where this Python is not, in a container for example, nobody is asked.
        text = f'#!/bin/sh\ntest -x {python} && exec {python} {" ".join(options)} "$@"\nexec "$@"\n'
        write_if_changed(folder / LAUNCH, text.encode())
        free = self.memory() or 0
        admission = Admission(self.cores, min(_MOST_MARGIN, max(_LEAST_MARGIN, free // 20)))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        listener, wake = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), socket.socketpair()
        try:
            # By a descriptor: the address of a socket has 107 bytes, and a folder may be deeper.
            (folder / SOCKET).unlink(missing_ok=True)
            listener.bind(f"/proc/self/fd/{descriptor}/{SOCKET}")
            listener.listen(1024)
            service = _Service(self, admission, Estimates(self.costs))
            arguments = (service, listener, wake[0], folder / SOCKET)
            thread = threading.Thread(target=self._serve, args=arguments, name="broker", daemon=True)
            thread.start()
            try:
                with files_for(self._share * self.at_once):
                    yield {FOLDER: str(folder), SHARE: str(self._share)}
            finally:
                wake[1].send(b"x")
                thread.join()
        finally:
            os.close(descriptor)
            for one in (listener, *wake):
                one.close()
            (folder / SOCKET).unlink(missing_ok=True)
            self.costs.save()
        if self._failure is not None:
            raise self._failure

    def cell(self, name: str, root: Path | None = None) -> dict[str, str]:
        """What the environment of a cell says beside that, so that events name it; `root`: of its project."""
        self._roots[name] = root.resolve() if root is not None else None
        return {CELL: name}

    @property
    def _share(self) -> int:
        """How many compilers a cell may ask for: all cores can be its own, and some more are there to choose from."""
        spare = (self.cores + 6) // self.at_once
        return max(2, min(self.cores + spare, _MOST_WAITING // self.at_once))

    def _serve(self, service: _Service, listener: socket.socket, wake: socket.socket, place: Path) -> None:
        try:
            service.run(listener, wake)
        except Exception as error:  # noqa: BLE001 (it decides when, never whether: cells go on without it)
            place.unlink(missing_ok=True)  # cells that begin now ask for no more compilers than there are cores
            if self.on_failure is None:
                self._failure = self._failure or error
            else:
                self.on_failure(error)

    def tell(self, event: SourceEvent) -> None:
        """Hand an event on."""
        try:
            if self.on_event is not None:
                self.on_event(event)
        except Exception as error:  # noqa: BLE001 (raised at the end: the thread must live)
            self._failure = self._failure or error

    def root_of(self, cell: str) -> Path | None:
        """The project of a cell, if it was said."""
        return self._roots.get(cell)


class _Service:
    """The thread's own: connections, and who of them may run."""

    def __init__(self, broker: Broker, admission: Admission, estimates: Estimates) -> None:
        self._broker = broker
        self._admission = admission
        self._estimates = estimates
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, _Client] = {}
        self._said = time.monotonic()

    def run(self, listener: socket.socket, wake: socket.socket) -> None:
        """Serve until `wake` can be read; then every connection is closed, and who waits runs at once."""
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(wake, selectors.EVENT_READ)
        try:
            while True:
                is_quiet = not self._admission.waiting and len(self._admission.running) <= 1
                for key, _ in self._selector.select(_ALIVE if is_quiet else _LOOK):
                    if key.fileobj is wake:
                        return
                    if key.fileobj is listener:
                        self._accept(listener)
                    elif isinstance(key.fileobj, socket.socket):
                        self._receive(self._clients[key.fileobj])
                self._admit()
                self._say_alive()
        finally:
            listener.close()  # first: who comes later must not wait in its backlog
            for client in list(self._clients.values()):
                self._close(client)
            self._selector.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            # Too many open files, or a client that left: it waits in the backlog until another is done.
            time.sleep(_PAUSE)
            return
        self._clients[connection] = _Client(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, client: _Client) -> None:
        try:
            more = client.connection.recv(1 << 16)
        except OSError:
            more = b""
        client.data += more
        *lines, client.data = client.data.split(b"\n")
        for line in lines:
            with suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
                self._hear(client, json.loads(line))
        if not more or len(client.data) > _LINE:
            self._close(client)

    def _hear(self, client: _Client, said: dict[str, Any]) -> None:
        if "kept" in said:
            root = self._broker.root_of(said["cell"])
            for source in said["kept"]:
                command = read_command(["", "-c", source], "/", root)
                self._broker.tell(
                    SourceEvent("kept", said["cell"], command.source, command.variant, "", "", time.time())
                )
        elif "pid" in said:
            client.process = max(0, int(said["pid"]))  # kill(2): others mean groups of processes
        elif "code" in said:
            self._ended(client, said)
        else:
            self._asked(client, said)

    def _asked(self, client: _Client, said: dict[str, Any]) -> None:
        client.cell, client.asked = str(said["cell"]), time.time()
        root = self._broker.root_of(client.cell)
        if "image" in said:
            source, *archs = map(str, said["image"])
            of_source = read_command(["nvrtc", "-c", source], str(said["cwd"]), root)
            variant = " ".join(("image", *archs))
            client.command = replace(of_source, variant=variant, tool="nvrtc", family=("image", False))
        else:
            client.command = read_command(list(map(str, said["command"])), str(said["cwd"]), root)
        cost, memory = self._estimates.of(client.command)
        client.ticket = Ticket(cost, memory, client.command.width)
        self._admission.ask(client.ticket)

    def _admit(self) -> None:
        if not self._admission.waiting and len(self._admission.running) <= 1:
            return
        of = {client.ticket: client for client in self._clients.values() if client.ticket is not None}
        available = self._broker.memory()
        endable = [ticket for ticket, client in of.items() if client.process]
        stopped = self._admission.to_stop(available, endable)
        if stopped is not None:
            if not of[stopped].stopped:
                of[stopped].stopped = True
                kill_tree(of[stopped].process)
            return  # what it held is free in a moment
        for ticket in self._admission.running:
            ticket.holds = memory_of(of[ticket].process) if of[ticket].process else 0
        for ticket in self._admission.admit(available):
            client = of[ticket]
            client.started, client.kills, client.process = time.time(), oom_kills(), 0
            client.stopped = False
            self._send(client, f"{'again' if client.again else 'go'} {ticket.cores}\n")
            self._tell(client, "started")

    def _ended(self, client: _Client, said: dict[str, Any]) -> None:
        if client.command is None or client.ticket is None:
            return
        code, wall, cpu, peak = int(said["code"]), float(said["wall"]), float(said["cpu"]), int(said["peak"])
        of_server = bool(client.command.launcher) and self._estimates.is_made_elsewhere(client.command)
        known = None if of_server else peak
        killed = code != 0 and (bool(said["killed"]) or client.stopped or oom_kills() > client.kills)
        self._tell(client, "ended", wall=wall, cpu=cpu, peak=known, code=code, killed=killed)
        ticket = client.ticket
        self._admission.leave(ticket)
        if killed:
            self._estimates.killed(client.command, max(ticket.memory, peak))
        elif code == 0:
            self._estimates.measured(client.command, wall, cpu, known)
        if killed and not client.again:
            client.again, client.asked = True, time.time()
            client.ticket = Ticket(*self._estimates.of(client.command), alone=True)
            self._admission.ask(client.ticket)
        else:
            client.ticket = None
            self._send(client, "done 0\n")

    def _tell(self, client: _Client, what: Happened, **told: Any) -> None:  # noqa: ANN401
        command, ticket = client.command, client.ticket
        assert command is not None  # noqa: S101 (for mypy)
        assert ticket is not None  # noqa: S101
        event = SourceEvent(
            *(what, client.cell, command.source, command.variant, command.tool, command.launcher, time.time()),
            waited=client.started - client.asked,
            cores=ticket.cores,
            again=client.again,
            **told,
        )
        self._broker.tell(event)

    def _send(self, client: _Client, line: str) -> None:
        with suppress(OSError):  # it is gone: its end is read next
            client.connection.send(line.encode(), socket.MSG_DONTWAIT)

    def _say_alive(self) -> None:
        if time.monotonic() > self._said + _ALIVE:
            self._said = time.monotonic()
            for client in self._clients.values():
                if client.ticket in self._admission.waiting:
                    self._send(client, "\n")

    def _close(self, client: _Client) -> None:
        """Take back what a command had; one that was killed says nothing before."""
        if client.ticket is not None:
            if client.ticket.cores:
                self._tell(client, "ended", wall=time.time() - client.started)
            self._admission.leave(client.ticket)
        self._selector.unregister(client.connection)
        del self._clients[client.connection]
        client.connection.close()
