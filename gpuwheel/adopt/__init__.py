"""Adds gpuwheel to a project that builds with setuptools: reads `setup.py`, writes `pyproject.toml`."""

from __future__ import annotations

from gpuwheel.adopt.declared.cmake_files import CMAKE_FILE, record_cmake
from gpuwheel.adopt.declared.recording import Machine, SetupRecord, read_setup
from gpuwheel.adopt.document import parse_pyproject, render_pyproject
from gpuwheel.adopt.leftover import Leftover
from gpuwheel.adopt.proposal import Proposal, default_toolkit, fitting_torches, propose

__all__ = [
    "CMAKE_FILE",
    "Leftover",
    "Machine",
    "Proposal",
    "SetupRecord",
    "default_toolkit",
    "fitting_torches",
    "parse_pyproject",
    "propose",
    "read_setup",
    "record_cmake",
    "render_pyproject",
]
