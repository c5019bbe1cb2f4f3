"""Broken wheels, each with a healthy twin: what the audit has to find, and what it must not.

`python -m corpus FOLDER` in `tests/` writes them all. A case is a function that returns the two, under the rule that
finds the broken one; rules of one room have one module here.
"""

from __future__ import annotations

from corpus.cases import CASES, Case

__all__ = ["CASES", "Case"]
