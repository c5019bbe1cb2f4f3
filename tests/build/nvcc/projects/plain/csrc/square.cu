// Called by kernels of another source: needs relocatable device code.
__device__ float square(float x) { return x * x; }
