"""Commands that bring wheels to people."""
