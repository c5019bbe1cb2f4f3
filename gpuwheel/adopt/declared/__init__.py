"""What a project of setuptools says: by its setup.py, run on stand-ins, its setup.cfg, its CMake files."""
