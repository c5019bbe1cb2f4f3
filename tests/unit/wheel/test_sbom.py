from __future__ import annotations

import json
from pathlib import Path

from gpuwheel.model.pins import Pin, PinnedFile
from gpuwheel.model.toolchain import DeviceCompiler, HostCompiler, Toolchain, TorchSdk
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel import toolchain_sbom, with_lock

DIGEST = "ab" * 32


def _toolchain(root: str) -> Toolchain:
    folder = Path(root)
    pins = ("nvidia-cuda-cccl-cu12==12.9.27", "nvidia-cuda-nvrtc-cu12==12.9.86")
    return Toolchain(
        device=DeviceCompiler(MinorVersion(12, 9), pins, (folder,), folder, folder, (folder,), DIGEST, "cache"),
        torch=TorchSdk("2.15.0+cpu", folder, folder, DIGEST, "cache"),
        host=HostCompiler(folder / "c++", "g++ (Debian 12.2.0-14) 12.2.0", "x86_64-linux-gnu", "CXX"),
    )


def test_components_are_named_by_purl_with_digests() -> None:
    pin = Pin("nvidia-cuda-nvrtc-cu12", "12.9.86", (PinnedFile("nvrtc.whl", DIGEST, 10),))
    document = json.loads(toolchain_sbom(_toolchain("/somewhere"), "Fused.Ops", pins=[pin]))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert [component["purl"] for component in document["components"]] == [
        "pkg:pypi/nvidia-cuda-cccl-cu12@12.9.27",
        "pkg:pypi/nvidia-cuda-nvrtc-cu12@12.9.86",
        "pkg:pypi/torch@2.15.0%2Bcpu",
    ]
    assert document["metadata"]["component"]["name"] == "fused-ops"
    (reference,) = document["components"][1]["externalReferences"]
    assert reference["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert document["metadata"]["tools"]["components"][0]["description"].startswith("g++")


def test_it_depends_on_neither_paths_nor_the_clock() -> None:
    first, second = (toolchain_sbom(_toolchain(root), "x") for root in ("/one", "/two"))
    assert first == second
    assert b"timestamp" not in first
    assert json.loads(toolchain_sbom(_toolchain("/one"), "x", 1763776800))["metadata"]["timestamp"] == (
        "2025-11-22T02:00:00Z"
    )


def test_a_locked_build_says_which_lock() -> None:
    sbom = toolchain_sbom(_toolchain("/one"), "x")
    document = json.loads(with_lock(sbom, DIGEST))
    assert document["metadata"].pop("properties") == [{"name": "gpuwheel:lock-sha256", "value": DIGEST}]
    assert document == json.loads(sbom)
