"""Python imports it as it starts, since its folder is in PYTHONPATH: each Python below a command that sees the pretend
GPU, whether gpuwheel is installed there or not. Another `sitecustomize` that is there comes after it.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["replace"]

_HERE = Path(__file__).resolve().parent


def replace() -> None:
    """Have torch's operators replaced when torch is imported; until then nothing of gpuwheel is imported.

    pytest says of every run that a package of its plugins was imported before it, and some make that an error.
    """
    spec = importlib.util.spec_from_file_location("_gpuwheel_after_import", _HERE.parent / "after_import.py")
    assert spec is not None  # noqa: S101 - there is such a file
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.replace_when_imported()


def _import_the_next() -> None:
    own = sys.modules.pop("sitecustomize")
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = own


if sys.version_info >= (3, 10):  # noqa: UP036 - any Python may be started there
    replace()
_import_the_next()
