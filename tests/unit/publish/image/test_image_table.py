from __future__ import annotations

import re

from gpuwheel.publish.image.image_table import image_table


def test_the_table_keeps_its_laws() -> None:
    table = image_table()
    assert 0 < table.slow_layer < table.large_layer
    assert 3 <= table.budget < table.layers == 127
    assert table.heavy < table.slow_layer
    assert table.user > 0
    assert table.home.startswith("/")
    assert {"amd64": "x86_64", "arm64": "aarch64"}.items() <= table.architectures.items()
    assert all(re.fullmatch(r"[a-z]+(,[a-z]+)*", text) for text in (table.driver_capabilities, table.visible_devices))
    for name in (
        "libcuda.so.1",
        "libnvidia-ml.so.1",
        "libcuda-1a2b3c4d.so.570.86.10",
        "libnvidia-nvvm.so.4",
        "libnvidia-tls.so.580.1",
    ):
        assert table.driver_libraries.fullmatch(name)
    for name in ("libcudart.so.13", "libcudnn.so.9", "libnvvm.so.4", "libcudacore.so", "libnvrtc.so.12"):
        assert not table.driver_libraries.fullmatch(name), "of the toolkit, which wheels bring"
