"""Which device code a run executed on the pretend GPU: kernels, their instructions, lines of their sources."""
