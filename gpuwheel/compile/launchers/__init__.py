"""Mode `kernels`: Python modules that launch the images of a wheel."""
