"""What compiles device code, and what it links: from pinned wheels, or a toolkit of the machine."""
