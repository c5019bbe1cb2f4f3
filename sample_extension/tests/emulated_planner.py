"""What cuBLASLt gives, computed by plain torch: the epilogs' values in the layouts that nvmath-python documents.

It takes the place of nvmath-python where there is no GPU, so that everything around the GEMMs can be tested: which are
asked for, with which operands, and what is made of their results. It says nothing about cuBLASLt itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)


def column_major(tensor):
    return tensor.T.contiguous().T


def is_matrix(tensor):
    """Row- or column-major without gaps: what cuBLASLt takes."""
    return tensor.is_contiguous() or tensor.T.is_contiguous()


@dataclass
class EmulatedPlanner:
    planned: list = field(default_factory=list)
    """The epilog of every plan made."""
    freed: int = 0

    def plan(self, a, b, epilog, inputs):
        assert is_matrix(a)
        assert is_matrix(b)
        if "GRAD" in epilog:
            assert a.shape[1] > 1, "cuBLASLt takes no inner dimension of 1 with the epilog of a gradient"
        self.planned.append(epilog)
        return _EmulatedPlan(self, epilog, [(t.shape, t.stride(), t.dtype) for t in (a, b, *inputs.values())])


@dataclass
class _EmulatedPlan:
    planner: EmulatedPlanner
    epilog: str
    layouts: list

    def run(self, a, b, inputs):
        assert self.layouts == [(t.shape, t.stride(), t.dtype) for t in (a, b, *inputs.values())]
        wide = torch.float64 if a.dtype == torch.float64 else torch.float32
        product = a.to(wide) @ b.to(wide)
        result, further = getattr(self, f"_{self.epilog.lower()}")(product, b.to(wide), inputs)
        return column_major(result.to(a.dtype)), {name: t.to(a.dtype) for name, t in further.items()}

    def _gelu_aux_bias(self, product, b, inputs):  # noqa: ARG002 (as the others)
        assert inputs["bias"].shape == product.shape[:1]
        aux = product + inputs["bias"].to(product.dtype)[:, None]
        padded = F.pad(aux, (0, 0, 0, -aux.shape[0] % 8), value=float("nan"))  # what lies there is nobody's business
        return F.gelu(aux, approximate="tanh"), {"gelu_aux": column_major(padded)}

    def _dgelu_bgrad(self, product, b, inputs):  # noqa: ARG002 (as the others)
        rows, columns = product.shape
        aux = inputs["gelu_aux"]
        assert aux.shape == (rows + -rows % 8, columns)
        assert aux.stride(0) == 1
        result = torch.ops.aten.gelu_backward(product, aux[:rows].to(product.dtype), approximate="tanh")
        return result, {"dgelu_bgrad": result.sum(1)}

    def _bgradb(self, product, b, inputs):
        assert inputs == {}
        return product, {"bgradb": b.sum(0)}

    def free(self):
        self.planner.freed += 1
