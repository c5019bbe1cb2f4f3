"""The files of a project: sources and folders by pattern, packages, what builds put beside them."""
