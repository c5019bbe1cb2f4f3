"""What is installed beside a wheel because it requires it, and where its libraries then come from."""
