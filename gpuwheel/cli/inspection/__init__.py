"""Commands that look: at wheels, at the machine, at the cache."""
