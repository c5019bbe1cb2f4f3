"""What libraries ask of torch, against the torches that the wheel admits."""

from __future__ import annotations

from gpuwheel.audit.rules.torch.c_symbols import C_SYMBOL_RULES
from gpuwheel.audit.rules.torch.cpp_symbols import CPP_SYMBOL_RULES
from gpuwheel.audit.rules.torch.requirement import REQUIREMENT_RULES

__all__ = ["TORCH_REQUIREMENT_RULES", "TORCH_SYMBOL_RULES"]

TORCH_SYMBOL_RULES = (*C_SYMBOL_RULES, *CPP_SYMBOL_RULES)
"""About one library (`LibraryCase`)."""
TORCH_REQUIREMENT_RULES = REQUIREMENT_RULES
"""About a whole wheel (`WheelCase`)."""
