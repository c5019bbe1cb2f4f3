"""Files of CI services, written from a plan."""
