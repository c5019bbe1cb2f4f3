"""The client of package indexes: what the user has set, sessions, pages, byte ranges, downloads, unpacking."""
