"""Where the libraries of a wheel find those that they need, and what they carry with them."""
