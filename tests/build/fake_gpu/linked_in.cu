// A library as nvcc links it by default: NVIDIA's runtime inside, no name of it left. What it does is what such libraries do.
#include <cooperative_groups.h>
#include <cuda_runtime.h>

__constant__ float factor[4];
__managed__ int managed;

__global__ void scale(float* x, long n, float by) {
  const long i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] *= by * factor[0] + managed;
}

template <typename T>
__global__ void __launch_bounds__(256) large(T* x) {
  extern __shared__ char shared[];
  shared[threadIdx.x] = 1;
  __syncthreads();
  x[0] = shared[1];
}

__global__ void wait_for_all(int* x) {
  cooperative_groups::this_grid().sync();
  *x = 1;
}

#define CHECK(call) \
  do { \
    const cudaError_t error = (call); \
    if (error != cudaSuccess) return error; \
  } while (0)
#define EXPECT(condition) \
  do { \
    if (!(condition)) return -__LINE__; \
  } while (0)

extern "C" {

cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*);

// Without a check in between, as most code has it.
int launch(float* x, long n, float by, cudaStream_t stream, int grid, int block, int shared) {
  scale<<<grid, block, shared, stream>>>(x, n, by);
  const cudaError_t seen = cudaPeekAtLastError();
  return seen == cudaGetLastError() ? seen : -1;
}

static int* launch_inner(int* x) {
  wait_for_all<<<dim3(2, 3), dim3(32, 2), 8>>>(x);
  return x;
}

// An argument launches as well: between the outer <<<...>>> and its launch.
int launch_nested(int* x) {
  wait_for_all<<<dim3(5, 7), dim3(64), 24>>>(launch_inner(launch_inner(x)));
  CHECK(cudaGetLastError());
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  EXPECT(__cudaPopCallConfiguration(&grid, &block, &shared, &stream) == cudaErrorMissingConfiguration);
  EXPECT(cudaGetLastError() == cudaErrorMissingConfiguration);
  return 0;
}

int launch_large(double* x, int shared) {
  CHECK(cudaFuncSetAttribute(large<double>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
  large<double><<<2, 64, shared>>>(x);
  return cudaGetLastError();
}

int launch_cooperative(int* x, int grid) {
  void* arguments[] = {&x};
  return cudaLaunchCooperativeKernel(wait_for_all, dim3(grid), dim3(128), arguments, 0, nullptr);
}

int launch_cluster(float* x) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = 2;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(8);
  config.blockDim = dim3(32);
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, scale, x, 8L, 1.5f);
}

int not_there() {
  cudaArray_t array;
  const cudaChannelFormatDesc format = {32, 0, 0, 0, cudaChannelFormatKindFloat};
  return cudaMallocArray(&array, &format, 8, 8, 0);
}

int devices_and_memory() {
  int devices = 0, value = 0;
  CHECK(cudaGetDeviceCount(&devices));
  EXPECT(devices == 2);
  CHECK(cudaSetDevice(1));
  CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
  EXPECT(value == 132);
  CHECK(cudaDriverGetVersion(&value));
  EXPECT(value >= 13000);
  size_t free_bytes = 0, total = 0;
  CHECK(cudaMemGetInfo(&free_bytes, &total));
  EXPECT(free_bytes == total && total == size_t(16) << 30);
  float *device = nullptr, from[4] = {1, 2, 3, 4}, to[4] = {};
  cudaStream_t stream;
  CHECK(cudaMalloc(&device, sizeof from));
  CHECK(cudaStreamCreate(&stream));
  CHECK(cudaMemcpy(device, from, sizeof from, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpyAsync(to, device, sizeof to, cudaMemcpyDeviceToHost, stream));
  CHECK(cudaStreamSynchronize(stream));
  EXPECT(to[3] == 4);
  CHECK(cudaMemset(device, 0, sizeof from));
  CHECK(cudaMemcpyToSymbol(factor, from, sizeof from));
  CHECK(cudaMemcpyFromSymbol(to, factor, 4, 8));
  EXPECT(to[0] == 3);
  managed = 7;
  EXPECT(managed == 7);
  cudaEvent_t begin, end;
  float milliseconds = -1;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreateWithFlags(&end, cudaEventDefault));
  CHECK(cudaEventRecord(begin, stream));
  CHECK(cudaEventRecord(end, stream));
  CHECK(cudaEventSynchronize(end));
  CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
  EXPECT(milliseconds >= 0);
  CHECK(cudaStreamDestroy(stream));
  CHECK(cudaFree(device));
  return cudaDeviceSynchronize();
}

int properties() {
  cudaDeviceProp found;
  CHECK(cudaGetDeviceProperties(&found, 0));
  EXPECT(found.major == 9 && found.multiProcessorCount == 132 && found.sharedMemPerBlockOptin == 227 * 1024);
  return 0;
}

int occupancy() {
  cudaFuncAttributes attributes;
  CHECK(cudaFuncGetAttributes(&attributes, large<double>));
  EXPECT(attributes.maxThreadsPerBlock == 256 && attributes.numRegs > 0);
  int blocks = 0, grid = 0, block = 0;
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, scale, 256, 0));
  EXPECT(blocks == 8);
  CHECK(cudaOccupancyMaxPotentialBlockSize(&grid, &block, scale, 0, 0));
  EXPECT(block == 1024 && grid == 2 * 132);
  return 0;
}

int captured(float* x) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  scale<<<1, 32, 0, stream>>>(x, 4, 2.f);
  CHECK(cudaGetLastError());
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CHECK(cudaGraphLaunch(executable, stream));
  CHECK(cudaGraphLaunch(executable, stream));
  CHECK(cudaGraphExecDestroy(executable));
  return cudaGraphDestroy(graph);
}

}  // extern "C"
