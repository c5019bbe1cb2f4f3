"""What is generated from the types of the configuration: a page and a JSON schema."""
