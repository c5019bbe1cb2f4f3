"""GEMM with a fused epilogue, as a library with a C ABI."""
