"""The headers that stand in for torch's, as one tree in the cache."""

from __future__ import annotations

import hashlib
import re
import shutil
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._toml import own_table
from gpuwheel.compile.compat.file_names import COMPAT_TREE
from gpuwheel.compile.compat.module_text import operators_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache

__all__ = ["compat_headers"]

_FORWARDED = "#pragma once\n#include <gpuwheel_compat/{header}>\n"
_REFUSED = '#pragma once\n#error "gpuwheel: {name} is not covered by abi = compat: {reason}"\n'
_PYTHON_NAME = '#pragma once\n#define GWC_PYTHON "{name}"\n'
_OPERATOR = re.compile(r"^inline [^()=]*?(\w+)\(", re.MULTILINE)


_FORMS = ("_", "_out", "_outf", "_symint")
"""Forms of one operator, which has one header."""
_EXACT = "abi = exact for the extension"


def compat_headers(cache: Cache) -> Path:
    """The folder to search before torch's headers; the same content has the same path."""
    source, texts = resource("include", "compat"), _texts(own_table("compat.toml"))
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(
            f"{path.relative_to(source).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    digest.update(repr(sorted(texts.items())).encode())

    def fill(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        for name, text in texts.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    return cache.publish_tree("sdk", f"{COMPAT_TREE}{digest.hexdigest()}", fill)


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    """Header of torch -> what stands there in its place."""
    functions = resource("include", "compat", "gpuwheel_compat", "generated", "functions.inc").read_text("utf-8")
    names = (name for name in _OPERATOR.findall(functions) if not name.endswith(_FORMS))
    operators = {f"ATen/ops/{name}.h": "torch.h" for name in names}
    named = {name: ours for ours, names in content["headers"].items() for name in names}
    refused = {
        name: _REFUSED.format(name=name, reason=f"{api['why']} [{api.get('edit', _EXACT)}]")
        for api in content["apis"]
        for name in api.get("headers", ())
        if "*" not in name
    }
    forwarded = {name: _FORWARDED.format(header=ours) for name, ours in (operators | named).items()}
    return forwarded | refused | {"gpuwheel_compat/python_name.h": _PYTHON_NAME.format(name=operators_name())}
