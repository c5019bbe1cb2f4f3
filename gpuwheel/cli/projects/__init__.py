"""Commands that make a project or change its files."""
