"""PTX executed on the CPU: what a kernel of a wheel computes, without a GPU (docs/explanation/kernel-checks.md)."""
