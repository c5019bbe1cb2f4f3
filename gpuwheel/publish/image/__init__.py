"""OCI images straight from wheels: no daemon, no root, no package manager inside."""
