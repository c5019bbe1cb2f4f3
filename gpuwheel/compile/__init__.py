"""One cell, compiled: device images by NVRTC, host code by the user's compiler through scikit-build-core."""
