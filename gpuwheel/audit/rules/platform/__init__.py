"""What libraries ask of the machine: its C library, its loader, its CPU."""

from __future__ import annotations

from gpuwheel.audit.rules.platform.dynamic_symbols import SYMBOL_RULES
from gpuwheel.audit.rules.platform.loading import LOADING_RULES
from gpuwheel.audit.rules.platform.tag_promises import TAG_RULES

__all__ = ["PLATFORM_LIBRARY_RULES", "PLATFORM_TAG_RULES"]

PLATFORM_LIBRARY_RULES = (*SYMBOL_RULES, *LOADING_RULES)
"""About one library (`LibraryCase`)."""
PLATFORM_TAG_RULES = TAG_RULES
"""About a whole wheel (`WheelCase`)."""
