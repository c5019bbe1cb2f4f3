"""A library with a C ABI."""
