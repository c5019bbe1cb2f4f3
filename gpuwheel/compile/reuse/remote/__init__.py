"""A bucket or folder beneath the cache, whose entries count if somebody signed them whom this machine trusts."""
