"""CMake projects: those that gpuwheel writes, those of users, and what builds them: scikit-build-core."""
