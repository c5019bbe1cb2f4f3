"""What must hold between keys, and between keys and files."""
