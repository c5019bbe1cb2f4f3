"""Which wheels go into an image, and into which of its layers."""
