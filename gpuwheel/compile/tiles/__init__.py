"""Kernel groups of cuTile sources: Python modules to Tile IR, and Tile IR to images."""
