"""What people do with an image in the words of other tools: a Containerfile with the same result, lines that run it."""
