"""Generated CI files as their services read them, and as an auditor does."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import check_jsonschema
import jsonschema
import pytest
import yaml

from gpuwheel._run import run

__all__ = ["parsed", "validate", "zizmor"]

VENDORED = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"


def parsed(text: str) -> dict[str, Any]:
    """YAML as a service reads it: "on" is a word there."""
    document: dict[Any, Any] = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in document.items()}


def validate(text: str, schema: str) -> None:
    document = json.loads((VENDORED / f"{schema}.json").read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(document)(document).validate(parsed(text))


def zizmor(folder: Path) -> str:
    """What the auditor says of the workflows in `folder`."""
    found = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or shutil.which("zizmor")
    if found is None:
        pytest.skip("zizmor is not installed")
    words = ("--offline", "--no-progress", "--persona", "auditor", "--collect", "workflows", "--format", "plain")
    done = run([found, *words, folder], check=False)
    assert done.returncode == 0, done.output
    return done.output
