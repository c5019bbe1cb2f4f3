"""Kernel groups of CUDA sources: NVRTC makes images of them, and host code gets a header."""
