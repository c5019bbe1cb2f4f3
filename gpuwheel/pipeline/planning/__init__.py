"""What is told of a plan: builds do without it."""
