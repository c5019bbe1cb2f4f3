"""Python imports it as it starts, since its folder is in PYTHONPATH: each Python below a command that sees the pretend
GPU, whether gpuwheel is installed there or not. Another `sitecustomize` that is there comes after it.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["replace"]

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parents[2]


def replace() -> None:
    """Have torch's operators replaced, by this gpuwheel where there is no other; nothing else of its folder is seen."""
    if importlib.util.find_spec("gpuwheel") is None:
        where = _PACKAGE / "__init__.py"
        spec = importlib.util.spec_from_file_location("gpuwheel", where, submodule_search_locations=[str(_PACKAGE)])
        assert spec is not None  # noqa: S101 - there is such a file
        assert spec.loader is not None  # noqa: S101
        sys.modules["gpuwheel"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    importlib.import_module("gpuwheel.testing.torch_operators.after_import").replace_when_imported()


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
