"""Frozen values that pass between the stages. No I/O here."""
