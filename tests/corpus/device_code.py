"""Device code: what is in the libraries against what the wheel is for."""

from __future__ import annotations
