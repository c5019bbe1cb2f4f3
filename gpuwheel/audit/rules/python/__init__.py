"""Extension modules, the stable ABI, and the Pythons that a wheel is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.rules.python.api_symbols import API_RULES
from gpuwheel.audit.rules.python.extension_files import EXTENSION_RULES
from gpuwheel.audit.rules.python.python_range import RANGE_RULES
from gpuwheel.audit.rules.python.stable_abi import STABLE_ABI_RULES

if TYPE_CHECKING:
    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.model.findings import Rule

__all__ = ["PYTHON_RULES"]

PYTHON_RULES: tuple[Rule[WheelCase], ...] = (*EXTENSION_RULES, *STABLE_ABI_RULES, *API_RULES, *RANGE_RULES)
"""About a whole wheel (`WheelCase`)."""
