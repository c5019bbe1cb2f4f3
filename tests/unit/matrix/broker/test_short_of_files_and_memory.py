"""The broker where files or memory run short, and where it ends before its time."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._cache import Cache
from gpuwheel._resources import resource as file_of
from gpuwheel.compile.cmake.admitted_command import Share
from gpuwheel.compile.cmake.asking import compilers_asked_for
from gpuwheel.compile.device.nvrtc_worker import _Admitted
from gpuwheel.compile.reuse.recorded_costs import RecordedCosts
from gpuwheel.matrix.broker import Broker, SourceEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIB = 1 << 30


def _broker(folder: Path, cores: int = 2, **more: Any) -> Broker:  # noqa: ANN401
    return Broker(cores, RecordedCosts(Cache(folder / "cache"), "it"), **{"memory": lambda: None, **more})


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_commands_wait_for_their_turn_where_no_more_files_can_be_opened(tmp_path: Path) -> None:
    asks = json.dumps({"command": ["c++", "-c", "a.cpp"], "cell": "", "cwd": "/"}).encode() + b"\n"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _broker(tmp_path, cores=1).serving(tmp_path / "b"):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        folder = os.open(tmp_path / "b", os.O_RDONLY)
        os.close(lowest := os.dup(folder))
        before, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 2, hard))
            for client in clients:
                client.settimeout(10)
                client.connect(f"/proc/self/fd/{folder}/socket")
                client.sendall(asks)
            for client in clients:
                assert client.recv(64).startswith(b"go 1")
                client.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
            os.close(folder)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


def test_where_the_broker_fails_everybody_runs_at_once_and_it_is_said(tmp_path: Path) -> None:
    calls: list[int] = []
    failures: list[Exception] = []

    def free() -> int:
        calls.append(1)
        if len(calls) > 1:
            msg = "broken"
            raise RuntimeError(msg)
        return GIB

    with _broker(tmp_path, memory=free, on_failure=failures.append).serving(tmp_path / "b") as variables:
        share = Share(str(tmp_path / "b"))
        start = time.monotonic()
        assert share.ask(["c++"]) == 0
        _until(lambda: bool(failures))
        assert time.monotonic() - start < 10
        share.close()
        with pytest.raises(OSError, match="No such file"):
            Share(str(tmp_path / "b"))
        assert compilers_asked_for(variables, 2) == 2
    assert [str(one) for one in failures] == ["broken"]


@pytest.mark.parametrize("cells", [1, 4, 64])
def test_all_cells_together_do_not_ask_for_too_many_compilers(tmp_path: Path, cells: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with _broker(tmp_path, cores=64, at_once=cells).serving(tmp_path / "b") as variables:
            asked = compilers_asked_for(variables, 64)
            assert asked * cells <= max(1024, 2 * 64 + 6)
            assert asked >= min(64, 1024 // cells)
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(hard, asked * cells + 256)
            assert compilers_asked_for(variables, 1) <= 8
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_memory_runs_short_one_is_stopped_that_can_be(tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    free = [32 * GIB]
    with _broker(tmp_path, memory=lambda: free[0], on_event=events.append).serving(tmp_path / "b"):
        compiler, image = Share(str(tmp_path / "b")), Share(str(tmp_path / "b"))
        assert compiler.ask(["c++", "-c", "a.cpp"]) == 1
        child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        compiler.tell(json.dumps({"pid": child}))
        assert image.ask(["b.cu", "sm_80"], "image") == 1  # the last one, of a process with many
        free[0] = 0
        ended: list[int] = []
        threading.Thread(target=lambda: ended.append(os.waitpid(child, 0)[1]), daemon=True).start()
        try:
            _until(lambda: bool(ended))
        except AssertionError:
            os.kill(child, 9)
            raise
        compiler.tell('{"code": -9, "wall": 1, "cpu": 1, "peak": 1, "killed": true}')
        image.close()
        assert compiler.answer("again") == 1
        compiler.close()


class _Slow(int):
    """A number that other threads change while one adds to it, as they can without the GIL."""

    def __add__(self, other: int) -> _Slow:
        time.sleep(0.005)
        return _Slow(int(self) + other)

    def __sub__(self, other: int) -> _Slow:
        return self + -other


class _Nvrtc:
    """Compiles anything."""

    def __getattr__(self, name: str) -> Callable[..., tuple[int, ...]]:
        return lambda *_: (0, 0) if name.endswith("Size") or "Create" in name else (0,)


def test_images_of_many_threads_are_counted_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.cu").write_text("")
    events: list[SourceEvent] = []
    with _broker(tmp_path, cores=8, on_event=events.append).serving(tmp_path / "b") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        admitted = _Admitted(str(file_of("compile", "cmake", "admitted_command.py")))
        admitted._running = _Slow(0)  # noqa: SLF001
        done: list[bool] = []

        def one(number: int) -> None:
            job = {
                "source": str(tmp_path / "a.cu"),
                "name": "a",
                "options": [],
                "ptx": True,
                "output": str(tmp_path / f"{number}"),
            }
            done.append(admitted.compile(_Nvrtc(), job)[0])

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert done == [True] * 8
    assert admitted._running == 0  # noqa: SLF001
