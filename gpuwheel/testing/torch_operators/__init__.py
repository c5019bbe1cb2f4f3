"""torch's own CUDA operators on the pretend GPU. torch's wheels hold no PTX that could be executed: each operator runs
as torch's CPU operator, on the same memory, which is memory of the host. They are replaced at the dispatcher, where
calls from C++ pass as well.
"""
