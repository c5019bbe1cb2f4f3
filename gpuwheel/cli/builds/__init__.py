"""Commands around a build: what it will make, what it takes, and builds in place."""
