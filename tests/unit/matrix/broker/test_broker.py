"""The broker, with commands that are small programs in place of compilers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.compile.cmake.asking import compilers_asked_for, tell_kept
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.matrix.broker import Broker, SourceEvent
from gpuwheel.matrix.broker.memory_use import memory_of
from gpuwheel.model.jobs import SourceCost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

GIB = 1 << 30
MIB = 1 << 20


class Site:
    """A folder with a broker, fake compilers and sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / ("deep" * 40) / "broker"  # longer than the address of a socket may be
        self.costs = RecordedCosts(Cache(folder / "cache"), "it")
        self.events: list[SourceEvent] = []
        self.environ: dict[str, str] = {}
        self.compiler = folder / "compiler.py"
        self.compiler.write_text("import sys; exec(open(sys.argv[-1]).read())")

    @contextmanager
    def broker(
        self, cores: int = 2, *, free: Callable[[], int | None] = lambda: None, on_event: object = None
    ) -> Iterator[Broker]:
        broker = Broker(cores, self.costs, memory=free, on_event=on_event or self.events.append)  # type: ignore[arg-type]
        with broker.serving(self.place) as variables:
            self.environ = {**os.environ, **variables, **broker.cell("cell", self.folder)}
            yield broker

    def compile(self, name: str, body: str, *words: str, timeout: float = 60) -> Completed:
        """Run a compiler whose source is the program that it runs."""
        source = self.folder / "csrc" / name
        source.parent.mkdir(exist_ok=True)
        source.write_text(body)
        launched = ["/bin/sh", self.place / "gpuwheel-launch"]
        argv = [*launched, sys.executable, *words, "-S", self.compiler, "-c", source]
        return run(argv, env=self.environ, check=False, timeout=timeout)

    def all(self, bodies: Mapping[str, str]) -> dict[str, Completed]:
        """Run several at once."""
        ended: dict[str, Completed] = {}

        def one(name: str, body: str) -> None:
            ended[name] = self.compile(name, body)

        threads = [threading.Thread(target=one, args=item) for item in bodies.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ended

    def most_at_once(self) -> int:
        """How many ran at the same time."""
        running = most = 0
        for event in self.events:
            running += {"started": 1, "ended": -1, "kept": 0}[event.what]
            most = max(most, running)
        return most


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


SLEEP = "import time; time.sleep(0.2)"


def test_commands_run_as_without_it_and_no_more_than_there_are_cores(site: Site) -> None:
    with site.broker(cores=2):
        ended = site.all({f"{number}.cu": f"print({number})\n{SLEEP}" for number in range(5)})
    assert {name: (it.returncode, it.stdout) for name, it in ended.items()} == {
        f"{number}.cu": (0, f"{number}\n") for number in range(5)
    }
    assert site.most_at_once() <= 2
    ends = [event for event in site.events if event.what == "ended"]
    assert {event.source for event in ends} == {f"csrc/{number}.cu" for number in range(5)}
    assert all(event.wall >= 0.2 and event.code == 0 and event.cell == "cell" for event in ends)
    assert all(event.waited >= 0 for event in ends)
    assert json.loads(json.dumps([vars(event) for event in ends]))


def test_errors_and_exit_codes_pass(site: Site) -> None:
    with site.broker():
        failed = site.compile("a.cu", "import sys; print('a.cu(3): error', file=sys.stderr); sys.exit(2)")
        killed = site.compile("b.cu", "import os; os.kill(os.getpid(), 15)")
        absent = run(["/bin/sh", site.place / "gpuwheel-launch", "/absent/g++"], env=site.environ, check=False)
    assert (failed.returncode, failed.stderr) == (2, "a.cu(3): error\n")
    assert killed.returncode == 128 + signal.SIGTERM
    assert absent.returncode == 127
    assert "/absent/g++" in absent.stderr
    assert site.costs.sources() == {}  # what failed says nothing


def test_what_each_took_is_recorded_with_the_memory_of_its_largest_program(site: Site) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(200 << 20)'])"
    with site.broker():
        site.compile("large.cu", child)
        site.compile("small.cu", "")
    recorded = RecordedCosts(Cache(site.folder / "cache"), "it").sources()
    assert set(recorded) == {"csrc/large.cu", "csrc/small.cu"}
    assert 200 * MIB < (recorded["csrc/large.cu"].peak or 0) < 300 * MIB
    assert 5 * MIB < (recorded["csrc/small.cu"].peak or 0) < 50 * MIB
    assert recorded["csrc/large.cu"].wall > 0
    assert recorded["csrc/large.cu"].cpu > 0


def test_memory_that_was_recorded_keeps_two_apart(site: Site) -> None:
    for name in ("a.cu", "b.cu"):
        site.costs.add(f"csrc/{name}", "cuda", SourceCost(1.0, 1.0, 3 * GIB))
    variants = {"a.cu": SLEEP, "b.cu": SLEEP}
    with site.broker(cores=4, free=lambda: 4 * GIB):
        site.all(variants)
    assert site.most_at_once() == 1
    site.events.clear()
    with site.broker(cores=4, free=lambda: 8 * GIB):
        site.all(variants)
    assert site.most_at_once() == 2


def test_memory_is_looked_at_again_while_commands_wait(site: Site) -> None:
    moment = time.monotonic()

    def free() -> int:
        return 0 if time.monotonic() < moment + 1 else 32 * GIB

    with site.broker(cores=2, free=free):
        site.all(dict.fromkeys(("a.cu", "b.cu"), "import time; time.sleep(2)"))
    assert site.most_at_once() == 2  # the second came when there was room, not when the first had ended
    assert max(event.waited for event in site.events) > 0.3


NEEDS_TWO = """
import os, signal, sys
first = not os.path.exists(__file__ := {mark!r})
if first:
    open(__file__, 'w').close()
    print("nvcc error   : 'cicc' died due to signal 9 (Kill signal)", file=sys.stderr)
    {end}
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(137)", "sys.exit(1)"])
def test_one_that_was_killed_for_memory_runs_again_alone_once(site: Site, end: str) -> None:
    again = NEEDS_TWO.format(mark=str(site.folder / "mark"), end=end)
    with site.broker(cores=3):
        ended = site.all({"hog.cu": again, "a.cu": SLEEP, "b.cu": SLEEP})
    assert {name: it.returncode for name, it in ended.items()} == {"hog.cu": 0, "a.cu": 0, "b.cu": 0}
    assert "died" not in ended["hog.cu"].stderr
    assert "want of memory" in ended["hog.cu"].stderr
    tries = [event for event in site.events if event.what == "ended" and event.source == "csrc/hog.cu"]
    assert [(event.killed, event.again) for event in tries] == [(True, False), (False, True)]
    running: set[str] = set()
    for event in site.events:
        running = running | {event.source} if event.what == "started" else running - {event.source}
        if event.again and event.what == "started":
            assert running == {"csrc/hog.cu"}


def test_one_that_is_killed_twice_fails_and_is_remembered_as_large(site: Site) -> None:
    with site.broker():
        ended = site.compile("hog.cu", "import os; os.kill(os.getpid(), 9)")
    assert ended.returncode == 128 + signal.SIGKILL
    cost = site.costs.cost("csrc/hog.cu")
    assert cost is not None
    assert (cost.peak or 0) >= 2 * GIB
    assert [event.again for event in site.events if event.what == "ended"] == [False, True]


def test_of_two_that_grow_too_large_one_is_stopped_in_time_and_runs_again_alone(site: Site) -> None:
    before = memory_of(os.getpid())

    def free() -> int:
        return GIB - max(0, memory_of(os.getpid()) - before)

    grow = "import time\nheld = []\nfor _ in range(60):\n    held.append(bytearray(10 << 20)); time.sleep(0.03)\n"
    for name in ("a.cu", "b.cu"):
        site.costs.add(f"csrc/{name}", "cuda", SourceCost(1.0, 1.0, 10 * MIB))  # it grew since
    with site.broker(cores=2, free=free):
        ended = site.all({"a.cu": grow, "b.cu": grow})
    assert {it.returncode for it in ended.values()} == {0}
    tries = [(event.killed, event.again) for event in site.events if event.what == "ended"]
    assert (True, False) not in tries or (False, True) in tries
    assert site.most_at_once() == 1 or (True, False) in tries


def test_without_a_broker_commands_run_at_once(site: Site) -> None:
    with site.broker():
        pass
    for environ in (site.environ, {"PATH": "/bin"}, {**site.environ, "GPUWHEEL_BROKER": "/absent"}):
        site.environ = environ
        assert site.compile("a.cu", "print(1)").stdout == "1\n"


def test_who_waits_runs_when_the_broker_ends(site: Site) -> None:
    ended: list[Completed] = []
    with site.broker(cores=1):
        long = threading.Thread(target=site.compile, args=("long.cu", "import time; time.sleep(1.5)"))
        waits = threading.Thread(target=lambda: ended.append(site.compile("a.cu", "print(1)")))
        long.start()
        _until(lambda: bool(site.events))
        waits.start()
        time.sleep(0.3)
        assert ended == []
    waits.join(1)  # before the long one ends
    assert [one.stdout for one in ended] == ["1\n"]
    long.join()


def test_the_share_of_a_killed_launcher_is_free_again(site: Site) -> None:
    with site.broker(cores=1):
        with pytest.raises(TimeoutError):
            site.compile("endless.cu", "import time; time.sleep(600)", timeout=1)
        assert site.compile("a.cu", "print(1)").stdout == "1\n"
    assert [event.code for event in site.events if event.what == "ended"] == [None, 0]


def test_nobody_else_may_ask(site: Site) -> None:
    with site.broker():
        assert site.place.stat().st_mode & 0o777 == 0o700
    assert not (site.place / "socket").exists()


def test_nonsense_on_the_socket_disturbs_nobody(site: Site) -> None:
    with site.broker():
        for data in (
            b"\n\n",
            b"[]\n",
            b'{"code": "x"}\n',
            b'{"pid": null}\n',
            b'{"command": 3}\n',
            b"\xff\xfe\n",
            b"{" * 99,
        ):
            connection = socket.socket(socket.AF_UNIX)
            descriptor = os.open(site.place, os.O_RDONLY)
            connection.connect(f"/proc/self/fd/{descriptor}/socket")
            os.close(descriptor)
            connection.sendall(data)
            connection.close()
        assert site.compile("a.cu", "print(1)").stdout == "1\n"


def test_what_was_kept_is_told_too(site: Site) -> None:
    with site.broker():
        tell_kept(site.environ, [str(site.folder / "csrc" / "a.cu")])
        _until(lambda: bool(site.events))
    assert [(event.what, event.cell, event.source) for event in site.events] == [("kept", "cell", "csrc/a.cu")]
    tell_kept(site.environ, ["a.cu"])  # nobody hears it
    tell_kept({}, ["a.cu"])


def test_an_error_of_a_listener_is_raised_at_the_end_and_hinders_nobody(site: Site) -> None:
    def listener(event: SourceEvent) -> None:
        raise ValueError(event.what)

    with pytest.raises(ValueError, match="started"), site.broker(on_event=listener):
        assert site.compile("a.cu", "print(1)").stdout == "1\n"


def test_a_server_that_holds_the_pipe_does_not_keep_a_command(site: Site) -> None:
    daemon = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(30); os._exit(0)\n"
    with site.broker():
        start = time.monotonic()
        # stdout would hold `run` itself
        site.compile("a.cu", daemon.replace("os.setsid()", "os.setsid(); os.close(0); os.close(1)"))
    assert time.monotonic() - start < 20


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_where_the_python_of_the_broker_is_not_commands_run_at_once(site: Site) -> None:
    with site.broker():
        script = site.place / "gpuwheel-launch"
        script.write_text(script.read_text().replace(sys.executable, "/absent/python3"))
        assert run(["/bin/sh", script, "/bin/echo", "1"], env=site.environ).stdout == "1\n"
        assert compilers_asked_for(site.environ, 2) > 2
    assert compilers_asked_for(site.environ, 2) == 2
    assert compilers_asked_for({}, 2) == 2
