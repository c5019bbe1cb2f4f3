"""Compile device code with one exact NVRTC, in a process of its own. Started by `worker_client`, by file name.

Run as `python -I -S nvrtc_worker.py`: nothing of gpuwheel and nothing of the surrounding environment is importable,
and of its variables are there only those that cannot reach an image.
Standard input holds one request (`worker_client.Request`); standard output gets one JSON line per finished job.
The libraries are loaded by absolute path before cuda.bindings is imported, which then uses the loaded ones: left to
itself it would search the outer environment first and find whatever NVRTC is installed there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

_STACK = 64 << 20  # the front end recurses deeply on template-heavy headers; the default may be 2 MB
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _load(library: Path) -> None:
    """Load a library, so that a later search for its SONAME finds this file.

    Raises:
        OSError: it cannot be loaded.
    """
    ctypes.CDLL(os.fspath(library), mode=os.RTLD_NOW | os.RTLD_GLOBAL)


def _check_loaded(expected: list[Path]) -> None:
    """Refuse to go on if any NVRTC or nvFatbin in this process comes from another folder.

    Raises:
        SystemExit: naming both files.
    """
    folders = {path.parent.resolve() for path in expected}
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        mapped = Path(line.partition("/")[1] + line.partition("/")[2])
        if mapped.name.startswith(("libnvrtc", "libnvfatbin")) and mapped.parent.resolve() not in folders:
            sys.exit(f"{mapped} was loaded (expected {', '.join(map(str, expected))})")


def _compile(nvrtc: Any, job: dict[str, Any]) -> tuple[bool, str]:  # noqa: ANN401  (an untyped extension module)
    """Compile one program to the job's output file and return whether that worked, and the compiler's log."""

    def call(name: str, *arguments: object) -> Any:  # noqa: ANN401
        status, *values = getattr(nvrtc, name)(*arguments)
        if int(status):
            msg = f"{name}: {nvrtc.nvrtcGetErrorString(status)[1].decode()}"
            raise RuntimeError(msg)
        return values[0] if values else None

    def read(what: str, program: object) -> bytes:
        buffer = bytearray(call(f"nvrtcGet{what}Size", program))
        call(f"nvrtcGet{what}", program, buffer)
        return bytes(buffer)

    source = Path(job["source"]).read_bytes()
    program = call("nvrtcCreateProgram", source, job["name"].encode(), 0, [], [])
    try:
        options = [option.encode() for option in job["options"]]
        # Not by `call`: a failure here is the user's, and its log has to be read.
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        # The log is read as text of unknown origin: identifiers may be in any encoding.
        log = read("ProgramLog", program).rstrip(b"\0 ").decode(errors="replace")
        if int(status):
            return False, log or nvrtc.nvrtcGetErrorString(status)[1].decode()
        Path(job["output"]).write_bytes(read("PTX" if job["ptx"] else "CUBIN", program))
        return True, log
    finally:
        nvrtc.nvrtcDestroyProgram(program)


class _Admitted:
    """Compiles each program when a broker admits it, if there is one (`compile.cmake.admitted_command`)."""

    def __init__(self, script: str) -> None:
        self._running, self._lock = 0, threading.Lock()
        self._type: Any = None
        if "GPUWHEEL_BROKER" in os.environ:
            # By its file: nothing of gpuwheel is importable here.
            spec = importlib.util.spec_from_file_location("admitted_command", script)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                self._type = module.Share

    def compile(self, nvrtc: Any, job: dict[str, Any]) -> tuple[bool, str]:  # noqa: ANN401
        try:
            share = self._type(os.environ["GPUWHEEL_BROKER"]) if self._type else None
        except OSError:
            share = None
        if share is None:
            return _compile(nvrtc, job)
        arch = next((option.rpartition("=")[2] for option in job["options"] if "gpu-architecture" in option), "")
        share.ask([job["source"], arch], "image")
        with self._lock:
            self._running += 1
        start, cpu = time.monotonic(), time.thread_time()
        try:
            ok, log = _compile(nvrtc, job)
            # The process's, shared out among those that run: NVRTC does not say whose it is.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // max(1, self._running)
            used = f'"wall": {time.monotonic() - start:.3f}, "cpu": {time.thread_time() - cpu:.3f}, "peak": {peak}'
            share.tell(f'{{"code": {int(not ok)}, {used}, "killed": false}}')
            return ok, log
        finally:
            with self._lock:
                self._running -= 1
            share.close()


def _link(nvfatbin: Any, job: dict[str, Any]) -> None:  # noqa: ANN401
    """Put the images of one program into one fatbin at the job's output file."""
    handle = nvfatbin.create(job["options"], len(job["options"]))
    try:
        for member in job["members"]:
            code = Path(member["path"]).read_bytes()
            if member["ptx"]:
                nvfatbin.add_ptx(handle, code, len(code), member["arch"], member["name"], "")
            else:
                nvfatbin.add_cubin(handle, code, len(code), member["arch"], member["name"])
        fatbin = bytearray(nvfatbin.size(handle))
        nvfatbin.get(handle, fatbin)
        Path(job["output"]).write_bytes(fatbin)
    finally:
        nvfatbin.destroy(handle)


def _claim_standard_output() -> Callable[[dict[str, Any]], None]:
    """A function that writes one JSON line; whatever a library prints goes to standard error from now on."""
    # A line that a library prints (cuda.bindings, a sanitizer) among the JSON would end the build.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    return tell


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the build ends, however it does: a compile may go on for minutes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The build may have ended before prctl took effect; then nobody would end this process.
    if os.getppid() != parent:
        sys.exit("the build has ended")


def main() -> None:
    """Serve the one request on standard input."""
    tell = _claim_standard_output()
    request = json.load(sys.stdin)
    _end_with(request["parent"])
    os.chdir(request["root"])
    for number, folder in request["folders"].items():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        # dup2 also clears close-on-exec; the numbers are those of the command lines.
        os.dup2(descriptor, int(number))
        os.close(descriptor)

    nvrtc_file, nvfatbin_file = Path(request["nvrtc"]), Path(request["nvfatbin"])
    # libnvrtc opens its builtins by their bare name: those loaded before are taken.
    for library in (*sorted(nvrtc_file.parent.glob("libnvrtc-builtins.so.*")), nvrtc_file, nvfatbin_file):
        _load(library)
    sys.path[:0] = request["python_path"]
    from cuda.bindings import nvfatbin, nvrtc  # noqa: PLC0415  (only now is it the pinned one)

    _, *version = nvrtc.nvrtcVersion()
    if version != request["cuda"]:
        found, expected = (".".join(map(str, numbers)) for numbers in (version, request["cuda"]))
        sys.exit(f"{nvrtc_file} is NVRTC {found} (expected {expected})")
    _check_loaded([nvrtc_file, nvfatbin_file])

    threading.stack_size(_STACK)
    succeeded = True
    # Threads are enough: cuda.bindings lets go of the GIL while NVRTC compiles.
    with ThreadPoolExecutor(request["threads"]) as pool:
        admitted = _Admitted(request["admitted"])
        futures = {pool.submit(admitted.compile, nvrtc, job): job["id"] for job in request["compile"]}
        for future in as_completed(futures):
            ok, log = future.result()
            succeeded &= ok
            tell({"id": futures[future], "ok": ok, "log": log})
    if succeeded:
        for job in request["link"]:
            _link(nvfatbin, job)
            tell({"id": job["id"], "ok": True, "log": ""})
    _check_loaded([nvrtc_file, nvfatbin_file])  # what was loaded on the way, too


if __name__ == "__main__":
    main()
