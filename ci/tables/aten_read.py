"""Print, as JSON, the operators of one torch and the C++ functions that its headers declare for them.

python aten_read.py FOLDER

FOLDER holds `torchgen` of that torch, which reads its own `native_functions.yaml`: an older yaml has types that a newer
torchgen no longer knows.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Print a list with one object for each operator, in the order of the yaml."""
    sys.path.insert(0, str(folder))
    gen = importlib.import_module("torchgen.gen")
    native = folder / "torchgen" / "packaged" / "ATen" / "native"
    functions = gen.parse_native_yaml(str(native / "native_functions.yaml"), str(native / "tags.yaml")).native_functions
    print(json.dumps([_operator(function) for function in functions]))


def _operator(function: Any) -> dict[str, Any]:  # noqa: ANN401 - torchgen has no types where it is not installed
    schema = function.func
    return {
        "name": str(schema.name.name),
        "overload": schema.name.overload_name,
        "kind": schema.kind().name,
        "arguments": [_argument(each) for each in schema.arguments.flat_all],
        "returns": [str(each.type) for each in schema.returns],
        "bound": not function.manual_cpp_binding,
        "signatures": _signatures(function),
    }


def _argument(argument: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "name": argument.name,
        "type": str(argument.type),
        "default": argument.default,
        "written": bool(argument.is_write),
    }


def _signatures(function: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """As ATen's Functions.h and Tensor.h have them."""
    local = importlib.import_module("torchgen.local")
    types = importlib.import_module("torchgen.api.types")
    variants = {each.name for each in function.variants}
    found = []
    constant = function.use_const_ref_for_mutable_tensors
    with local.parametrize(use_const_ref_for_mutable_tensors=constant, use_ilistref_for_tensor_lists=False):
        for method in (False, True):
            if ("method" if method else "function") in variants:
                group = types.CppSignatureGroup.from_native_function(function, method=method)
                found += [_signature(each, method=method) for each in group.signatures()]
    return found


def _signature(signature: Any, *, method: bool) -> dict[str, Any]:  # noqa: ANN401
    name = signature.name()
    return {
        "name": name,
        "method": method,
        "symint": signature.symint,
        "returns": signature.decl().partition(f" {name}(")[0],
        "parameters": [[each.type, each.name, each.default or ""] for each in signature.arguments()],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
