"""Checks before anything leaves, the programs that upload, and places that are folders."""
