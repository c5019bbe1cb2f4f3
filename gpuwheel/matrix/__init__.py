"""Many cells: which to build, on what, what was finished before, and what came of it."""
