"""What builds cells: processes of this machine, or of others."""
