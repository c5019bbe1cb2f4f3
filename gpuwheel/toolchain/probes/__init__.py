"""What a machine has: platform, driver, GPUs, toolkits, programs, an index that answers."""
