"""The text of `NAME.py`, which stands in for an extension module: one file, that needs no gpuwheel where it runs."""

from __future__ import annotations

import hashlib
import re
from functools import cache

from gpuwheel._resources import resource
from gpuwheel.model.libraries import WRITTEN

__all__ = ["door_source", "module_text", "operators_name"]

_PARTS = ("compat_insides.py", "compat_values.py", "compat.py", "compat_functions.py", "compat_module.py")
"""In this order: each imports from those before it. They are modules so that they can be typed, read and tested."""
_OWN_IMPORT = re.compile(r"^from gpuwheel\.launcher\.\w+ import .*\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"
_SPACE = 'SPACE = "gpuwheel_compat"'
_HEAD = '''\
"""What stands in for the extension module {import_path}: the functions of lib{name}.so, on torch's stable C ABI.

{written}; {name}.so runs it.
"""

from __future__ import annotations
'''


@cache
def operators_name() -> str:
    """The namespace of the operators by which C++ asks Python.

    Wheels in one process share them. So the name has a digest of what they do: wheels of a gpuwheel whose operators do
    something else have their own.
    """
    digest = hashlib.sha256(b"".join(resource("launcher", name).read_bytes() for name in _PARTS[:3]))
    return f"gpuwheel_compat_{digest.hexdigest()[:12]}"


def module_text(import_path: str) -> bytes:
    """`NAME.py` for an extension such as "pkg.NAME"."""
    texts = [_HEAD.format(import_path=import_path, name=import_path.rpartition(".")[2], written=WRITTEN)]
    for name in _PARTS:
        text = resource("launcher", name).read_text(encoding="utf-8")
        docs, _, code = text.partition(_FUTURE)
        comment = "".join(f"# {line}".rstrip() + "\n" for line in docs.strip().strip('"').strip().splitlines())
        texts.append(comment + _OWN_IMPORT.sub("", code))
    return "\n\n".join(texts).replace(_SPACE, f'SPACE = "{operators_name()}"', 1).encode()


def door_source() -> str:
    """The path of the C source of `NAME.so`, for -DGWC_NAME=NAME."""
    return str(resource("launcher", "compat_door.c"))
