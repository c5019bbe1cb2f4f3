"""Getting wheels to people: images, static indexes with a page that chooses, registries, uploads."""
