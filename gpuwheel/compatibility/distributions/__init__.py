"""What distributions on the package index bring, release by release."""
