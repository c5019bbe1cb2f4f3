"""A presets file of the user's that is none: an error of ours, and the file stays."""

from __future__ import annotations

import json

import pytest

from gpuwheel.compile.cmake.user_presets import presets_document
from gpuwheel.errors import ConfigError

DOCUMENTS = [
    b"[" * 100_000,
    b"\xff",
    b"9" * 5000,
    b"[]",
    json.dumps({"version": "3"}).encode(),
    json.dumps({"version": 3, "buildPresets": 1}).encode(),
]


@pytest.mark.parametrize("existing", DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_what_is_no_presets_file(existing: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        presets_document(existing, {}, title="x")
    assert caught.value.hint
