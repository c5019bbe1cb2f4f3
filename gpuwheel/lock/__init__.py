"""`pylock.gpuwheel.toml`: what a build takes from outside is written down, held to, and fetched in advance."""
