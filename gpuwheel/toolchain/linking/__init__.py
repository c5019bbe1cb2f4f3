"""Stand-ins for libraries of other systems, for the linker alone."""
