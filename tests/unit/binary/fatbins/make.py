# /// script
# requires-python = ">=3.10"
# dependencies = ["cuda-bindings==12.9.10", "nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.9.82"]
# ///
"""Make the fatbins beside this file: `uv run tests/unit/binary/fatbins/make.py`.

One kernel for sm_75, sm_90a, sm_100f, sm_120 and as PTX for compute_100, compressed in each way that gpuwheel uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cuda.bindings import nvfatbin, nvrtc

HERE = Path(__file__).resolve().parent
SOURCE = b'extern "C" __global__ void scale(float* y, float a) { y[threadIdx.x] *= a; }\n'
TARGETS = ["sm_75", "sm_90a", "sm_100f", "sm_120", "compute_100"]
FILES = {
    "none.fatbin": (["-compress-mode=none"], ["sm_75", "compute_100"]),
    "lz4.fatbin": (["-compress-all", "-compress-level=9"], TARGETS),
    "zstd.fatbin": (["-compress-all", "-compress-mode=size"], TARGETS),
}


def checked(result: tuple[Any, ...]) -> Any:  # noqa: ANN401 (every NVRTC function returns something else)
    """What follows the status."""
    if int(result[0]):
        raise SystemExit(str(result[0]))
    return result[1] if len(result) > 1 else None


def compiled(target: str) -> bytes:
    """A cubin or, for a virtual target, PTX."""
    program = checked(nvrtc.nvrtcCreateProgram(SOURCE, b"/scale.cu", 0, [], []))
    checked(nvrtc.nvrtcCompileProgram(program, 1, [f"--gpu-architecture={target}".encode()]))
    kind = "PTX" if target.startswith("compute") else "CUBIN"
    image = bytearray(checked(getattr(nvrtc, f"nvrtcGet{kind}Size")(program)))
    checked(getattr(nvrtc, f"nvrtcGet{kind}")(program, image))
    return bytes(image)


def fatbin(options: list[str], targets: list[str]) -> bytes:
    """The targets in one container."""
    handle = nvfatbin.create(options, len(options))
    for target in targets:
        image, number = compiled(target), target.split("_")[1]
        if target.startswith("compute"):
            nvfatbin.add_ptx(handle, image, len(image), number, "scale", "")
        else:
            nvfatbin.add_cubin(handle, image, len(image), number, "scale")
    data = bytearray(nvfatbin.size(handle))
    nvfatbin.get(handle, data)
    nvfatbin.destroy(handle)
    return bytes(data)


for file, (options, targets) in FILES.items():
    (HERE / file).write_bytes(fatbin(options, targets))
