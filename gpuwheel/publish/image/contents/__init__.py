"""What is inside of a layer: wheels as they are installed, as a tar that depends on them alone."""
