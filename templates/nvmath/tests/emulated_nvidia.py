"""nvmath-python and cuda.compute as the package calls them, computed by plain torch in the layouts that they document.

It stands where there is no GPU: what is around the calls can be tested then. It says nothing about the libraries.
"""

from __future__ import annotations

import enum
import weakref
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

MatmulEpilog = enum.Enum("MatmulEpilog", ["BIAS", "RELU_BIAS", "GELU_AUX_BIAS", "BGRADB", "DGELU_BGRAD"])


def layout(tensor: Tensor) -> tuple:
    return tensor.shape, tensor.stride(), tensor.dtype


def column_major(tensor: Tensor) -> Tensor:
    return tensor.T.contiguous().T


class Log:
    def __init__(self) -> None:
        self.planned: list[str] = []
        self.freed = 0
        self.operands: list[weakref.ref[Tensor]] = []

    @property
    def alive(self) -> int:
        return sum(operand() is not None for operand in self.operands)


class Stateful:
    """What plans once and runs on operands of the same layout; a class of it is made for each test, with its log."""

    log: Log

    def _plan(self, kind: str, *operands: Tensor) -> None:
        self.log.planned.append(kind)
        self.layouts = [layout(o) for o in operands]

    def _reset(self, *operands: Tensor) -> None:
        assert self.layouts == [layout(o) for o in operands]
        self.operands = operands
        self.log.operands += map(weakref.ref, operands)

    def free(self) -> None:
        self.log.freed += 1


class Matmul(Stateful):
    def __init__(self, a: Tensor, b: Tensor) -> None:
        for matrix in (a, b):
            assert matrix.is_contiguous() or matrix.T.is_contiguous()
        self.first = a, b

    def plan(self, *, epilog: MatmulEpilog, epilog_inputs: dict[str, Tensor] | None) -> None:
        a, b = self.first
        del self.first
        if "GRAD" in epilog.name:
            assert a.shape[1] > 1, "no inner dimension of 1 with the epilog of a gradient"
        self.epilog, self.inputs = epilog.name, list(epilog_inputs or ())
        self._plan(epilog.name, a, b, *(epilog_inputs or {}).values())

    def reset_operands_unchecked(self, *, a: Tensor, b: Tensor, epilog_inputs: dict[str, Tensor] | None) -> None:
        assert self.inputs == list(epilog_inputs or ())
        self._reset(a, b, *(epilog_inputs or {}).values())

    def execute(self, *, release_workspace: bool) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        assert release_workspace
        a, b, *inputs = self.operands
        wide = torch.float64 if a.dtype == torch.float64 else torch.float32
        result, further = getattr(self, f"_{self.epilog.lower()}")(a.to(wide) @ b.to(wide), b.to(wide), *inputs)
        result = column_major(result.to(a.dtype))
        return (result, {name: t.to(a.dtype) for name, t in further.items()}) if further else result

    def release_operands(self) -> None:
        del self.operands

    def _bias(self, product, b, bias):
        assert bias.shape == product.shape[:1]
        return product + bias.to(product.dtype)[:, None], {}

    def _relu_bias(self, product, b, bias):
        return self._bias(product, b, bias)[0].relu(), {}

    def _gelu_aux_bias(self, product, b, bias):
        aux = self._bias(product, b, bias)[0]
        padded = F.pad(aux, (0, 0, 0, -aux.shape[0] % 8), value=float("nan"))  # what lies there is nobody's business
        return F.gelu(aux, approximate="tanh"), {"gelu_aux": column_major(padded)}

    def _dgelu_bgrad(self, product, b, aux):
        rows, columns = product.shape
        assert aux.shape == (rows + -rows % 8, columns)
        assert aux.stride(0) == 1
        result = torch.ops.aten.gelu_backward(product, aux[:rows].to(product.dtype), approximate="tanh")
        return result, {"dgelu_bgrad": result.sum(1)}

    def _bgradb(self, product, b):
        return product, {"bgradb": b.sum(0)}


class FFT(Stateful):
    def __init__(self, operand: Tensor, *, axes: list[int], options: dict[str, str]) -> None:
        assert axes == [operand.dim() - 1]
        assert options["result_layout"] == "natural"
        self.kind, self.first = options["fft_type"], operand

    def plan(self) -> None:
        self._plan(self.kind, self.first)
        del self.first

    def reset_operand_unchecked(self, operand: Tensor) -> None:
        self._reset(operand)

    def execute(self, *, release_workspace: bool) -> Tensor:
        assert release_workspace
        (x,) = self.operands
        return torch.fft.rfft(x) if self.kind == "R2C" else torch.fft.irfft(x, norm="forward")  # unscaled

    def release_operand(self) -> None:
        del self.operands


def make_segmented_reduce(*, d_in, d_out, start_offsets_in, end_offsets_in, op, h_init):
    assert op == "plus"
    assert (h_init == 0).all()
    made_for = [array.dtype for array in (d_in, d_out, start_offsets_in, end_offsets_in)]

    def reduce(
        *, temp_storage, d_in, d_out, num_segments, start_offsets_in, end_offsets_in, op, h_init, stream
    ) -> int | None:
        assert made_for == [array.dtype for array in (d_in, d_out, start_offsets_in, end_offsets_in)]
        assert hasattr(stream, "__cuda_stream__")
        if temp_storage is None:
            return 16
        assert temp_storage.nbytes == 16
        for i in range(num_segments):
            d_out[i] = d_in[start_offsets_in[i] : end_offsets_in[i]].sum()
        return None

    return reduce


def modules(log: Log) -> dict[str, SimpleNamespace]:
    """By the name that is imported."""
    own = {kind.__name__: type(kind.__name__, (kind,), {"log": log}) for kind in (Matmul, FFT)}
    return {
        "nvmath.linalg.advanced": SimpleNamespace(Matmul=own["Matmul"], MatmulEpilog=MatmulEpilog),
        "nvmath.fft": SimpleNamespace(FFT=own["FFT"]),
        "cuda.compute": SimpleNamespace(
            make_segmented_reduce=make_segmented_reduce, OpKind=SimpleNamespace(PLUS="plus")
        ),
    }
