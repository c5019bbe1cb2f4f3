__global__ void fill_kernel(float* x, float v) { x[threadIdx.x] = v; }
extern "C" int fill_device_count() { int n = 0; return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0; }
void fill(float* x, float v) { fill_kernel<<<1, 32>>>(x, v); }
