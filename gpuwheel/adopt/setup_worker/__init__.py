"""Runs a project's `setup.py` and writes down what it tells `setup()`. Imports nothing of gpuwheel.

Started as `python -m setup_worker` in the folder above, in a process of its own. Standard input holds one request
(`recording.read_setup` writes it); standard output gets one JSON document.
"""
