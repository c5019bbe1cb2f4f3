"""What libraries of others show to whoever is linked to them: those of each torch, and those that are often copied."""
