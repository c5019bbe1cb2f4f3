"""Wheel variants (PEP 825, PEP 850): wheels of one name among which an installer chooses by the machine."""
