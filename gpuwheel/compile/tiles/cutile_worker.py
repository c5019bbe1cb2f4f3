"""Read the cuTile kernels of one Python module, in a process of its own. Started by `exports`, by file name.

Run as `python -I -S cutile_worker.py`: nothing of gpuwheel and nothing of the surrounding environment is importable,
only the standard library, the pinned cuda.tile, and modules beside the source and in its include folders. Standard
input holds one request; the answer goes into the file that it names: what the module exports, with the Tile IR bytecode
of every kernel for every target, or the reason why not.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]


class _RefusedError(Exception):
    """The module is not as it must be. `reason` goes on after the place in it, "tiles.py:12"."""

    def __init__(self, reason: str, kind: str, *, line: int | None = None, file: str = "", text: str = "") -> None:
        super().__init__(reason)
        self.answer = {"reason": reason, "kind": kind, "line": line, "file": file, "text": text}


def _load(source: str) -> Any:  # noqa: ANN401  (a module of somebody else)
    """Import the module by its path."""
    spec = importlib.util.spec_from_file_location("_source", source)  # no name that something else has
    assert spec is not None  # noqa: S101  (for mypy: the name ends in .py)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    # Before it runs, as import does: dataclasses and inspect look a class's module up there.
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        reason = f"cannot be imported (SyntaxError: {error.msg})"
        text = "".join(traceback.format_exception_only(error))
        raise _RefusedError(reason, "code", line=error.lineno, file=error.filename or "", text=text) from error
    except Exception as error:
        frames = list(traceback.extract_tb(error.__traceback__))
        own = [index for index, frame in enumerate(frames) if frame.filename == source]
        what = f"{type(error).__name__}: {error}"
        text = "".join(traceback.format_list(frames[own[0] :] if own else [])) + what
        line = frames[own[-1]].lineno if own else None
        reason = f"cannot be imported ({what})"
        kind = "import" if isinstance(error, ImportError) else "code"
        raise _RefusedError(reason, kind, line=line, text=text) from error
    return module


def _pairs(module: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """(kernel, signature) of everything that the module exports."""
    import cuda.tile  # noqa: PLC0415  (the pinned one, which only now can be found)
    from cuda.tile.compilation import KernelSignature  # noqa: PLC0415

    exports = getattr(module, "exports", None)
    if not isinstance(exports, Mapping) or not exports:
        found = "no such name" if exports is None else repr(exports)
        reason = f"exports no kernel (found {found}, expected a dictionary `exports`)"
        raise _RefusedError(reason, "exports")
    for kernel, signatures in exports.items():
        if not isinstance(kernel, cuda.tile.kernel):
            reason = f"exports what is no kernel (found {kernel!r}, expected a function with @cuda.tile.kernel)"
            raise _RefusedError(reason, "exports")
        listed = signatures if isinstance(signatures, (list, tuple)) else [signatures]
        wrong = [one for one in listed if not isinstance(one, KernelSignature)]
        if wrong or not listed:
            found = repr(wrong[0]) if wrong else "none"
            name = _function(kernel).__name__
            reason = f"exports {name} without signatures (found {found}, expected KernelSignature objects)"
            raise _RefusedError(reason, "exports", line=_line(kernel))
        for signature in listed:
            yield kernel, signature


def _function(kernel: Any) -> Any:  # noqa: ANN401
    """The Python function behind `@cuda.tile.kernel`, which has no public name; cuda-tile is an exact pin."""
    return kernel._annotated_function.pyfunc  # noqa: SLF001


def _line(kernel: Any) -> int:  # noqa: ANN401
    """Where a kernel is defined."""
    function = _function(kernel)
    # It begins with the decorators; people look for the `def`.
    lines, first = inspect.getsourcelines(function)
    return first + next((index for index, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)


def _value(constraint: Any) -> str | None:  # noqa: ANN401
    """A constant, or a tuple of constants, as Python writes it; `None` for what a launch passes."""
    from cuda.tile.compilation import ConstantConstraint, TupleConstraint  # noqa: PLC0415

    if isinstance(constraint, ConstantConstraint):
        return repr(constraint.value)
    if isinstance(constraint, TupleConstraint):
        items = [_value(item) for item in constraint.items]
        return None if None in items else f"({', '.join(map(str, items))}{',' * (len(items) == 1)})"
    return None


def _parameter(name: str, constraint: Any) -> dict[str, Any]:  # noqa: ANN401
    """One parameter, as `model.kernels` describes it."""
    from cuda.tile.compilation import ArrayConstraint, ScalarConstraint  # noqa: PLC0415

    value = _value(constraint)
    if value is not None:
        return {"kind": "constant", "name": name, "value": value}
    if isinstance(constraint, ScalarConstraint):
        return {"kind": "scalar", "name": name, "dtype": constraint.dtype.name.rstrip("_")}
    if isinstance(constraint, ArrayConstraint):
        return {
            "kind": "array",
            "name": name,
            "dtype": constraint.dtype.name.rstrip("_"),
            "index_dtype": constraint.index_dtype.name,
            "alignment": constraint.base_addr_divisible_by,
            "shape": constraint.shape_constant,
            "shape_divisor": constraint.shape_divisible_by,
            "strides": constraint.stride_constant,
            "stride_divisor": constraint.stride_divisible_by,
            "least_strides": constraint.stride_lower_bound_incl,
            "expanded": constraint.may_alias_internally,
        }
    reason = f"takes what a launcher cannot pass ({name} is a {type(constraint).__name__}, expected arrays and numbers)"
    raise _RefusedError(reason, "exports")


def _export(kernel: Any, signature: Any, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """One kernel with one signature."""
    function = _function(kernel)
    names, constraints = list(inspect.signature(function).parameters), signature.parameters
    if len(names) != len(constraints):
        reason = f"has a signature for {len(constraints)} parameters (expected {len(names)}: {', '.join(names)})"
        raise _RefusedError(reason, "exports", line=_line(kernel))
    try:
        parameters = [_parameter(name, constraint) for name, constraint in zip(names, constraints, strict=True)]
    except _RefusedError as error:
        error.answer["line"] = _line(kernel)
        raise
    symbol = signature.symbol or function.__name__
    options = kernel._compiler_options  # noqa: SLF001  (as with `_function`)
    return {
        "symbol": symbol,
        "name": function.__name__,
        "line": _line(kernel),
        "documentation": inspect.getdoc(function) or "",
        "parameters": parameters,
        "levels": {target: options.opt_level_for_target(target) for target in request["targets"]},
        "bytecode": {
            target: _bytecode(kernel, signature.with_symbol(symbol), target, request).hex()
            for target in request["targets"]
        },
    }


def _bytecode(kernel: Any, signature: Any, target: str, request: dict[str, Any]) -> bytes:  # noqa: ANN401
    """Tile IR, in the version that the pinned tileiras reads."""
    from cuda.tile import TileError  # type: ignore[attr-defined, unused-ignore]  # noqa: PLC0415
    from cuda.tile.compilation import export_kernel  # noqa: PLC0415

    file = io.BytesIO()
    options = {"output_format": "tileir_bytecode", "bytecode_version": request["bytecode"]}
    try:
        export_kernel(kernel, [signature], file, gpu_code=target, **options)
    except TileError as error:
        reason = f"does not compile for {target} ({str(error.message).partition(chr(10))[0]})"
        line, name = (error.loc.line, error.loc.filename) if error.loc.filename else (_line(kernel), "")
        text = str(error).replace("Unknown location\n", "")
        raise _RefusedError(reason, "code", line=line, file=name, text=text) from error
    except (TypeError, ValueError, NotImplementedError) as error:  # the signature does not fit the kernel
        reason = f"does not compile for {target} ({error})"
        raise _RefusedError(reason, "code", line=_line(kernel)) from error
    return file.getvalue()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    sys.dont_write_bytecode = True  # nothing appears beside the user's sources
    for variable in [name for name in os.environ if "CUDA" in name or "CUTILE" in name]:
        del os.environ[variable]  # CUDA_TILE_* and the like must not reach an image
    os.chdir(request["root"])
    # A module of the user's that is called like one of the standard library must not get in the way of cuda.tile.
    sys.path[:] = [request["python_path"], *sys.path, *request["search"]]
    try:
        module = _load(request["source"])
        return {"exports": [_export(kernel, signature, request) for kernel, signature in _pairs(module)]}
    except _RefusedError as error:
        return {"refused": error.answer}


def main() -> None:
    """Serve the one request on standard input."""
    # The answer goes into a file: the module that is imported may print what it likes.
    request = json.load(sys.stdin)
    Path(request["answer"]).write_text(json.dumps(_answer(request)), encoding="utf-8")


if __name__ == "__main__":
    main()
