"""What `gpuwheel cache` does beside listing."""
