// Kernels that are executed, and what launches them: values, variables, printf, assert, graphs, streams, mistakes.
#include <cassert>
#include <cstdio>
#include <cuda_runtime.h>

__constant__ float factors[4] = {1.0f, 2.0f, 4.0f, 8.0f};
__device__ int counter = 40;
__device__ float table[64];

__global__ void scale(float* out, const float* in, int n, float by) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i] * by * factors[i % 4];
}

__global__ void count(int* seen) { *seen = atomicAdd(&counter, 2); }
__global__ void look_up(float* out) { out[threadIdx.x] = table[threadIdx.x]; }
__global__ void say(int n) { printf("%d of %s\n", n, "device code"); }
__global__ void check(int n) { assert(n > 3); }
__global__ void end_at_once() { __trap(); }
__global__ void beyond(float* out, int n) { out[threadIdx.x + n] = 1.0f; }
__global__ void sum(float* out, const float* in, int n) {
  extern __shared__ float room[];
  room[threadIdx.x] = threadIdx.x < n ? in[threadIdx.x] : 0.0f;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) *out = room[0];
}

__global__ void count_multiprocessors(int* seen) { asm("mov.u32 %0, %%nsmid;" : "=r"(*seen)); }

// Each block adds up rows, one in a turn; nobody waits before the next row takes the room.
__global__ void add_rows(int* sums, const int* in, int rows) {
  __shared__ int room[64];
  for (int row = blockIdx.x; row < rows; row += gridDim.x) {
    room[threadIdx.x] = in[row * 64 + threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) {
      int sum = 0;
      for (int i = 0; i < 64; ++i) sum += room[i];
      sums[row] = sum;
    }
  }
}

extern "C" {

static int done() {
  const int asked = cudaGetLastError();
  return asked ? asked : cudaDeviceSynchronize();
}

// Each gives 0, an error, or (from 10000 on) which of its own expectations does not hold.
int values() {
  enum { N = 1000 };
  float host[N], *in, *out;
  for (int i = 0; i < N; ++i) host[i] = i;
  cudaMalloc(&in, sizeof host);
  cudaMalloc(&out, sizeof host);
  cudaMemcpy(in, host, sizeof host, cudaMemcpyHostToDevice);
  scale<<<(N + 127) / 128, 128>>>(out, in, N, 0.5f);
  cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  static const float by[] = {1, 2, 4, 8};
  for (int i = 0; i < N; ++i) {
    if (host[i] != i * 0.5f * by[i % 4]) return 10000 + i;
  }
  sum<<<1, 256, 256 * sizeof(float)>>>(out, in, 200);
  cudaMemcpy(host, out, sizeof(float), cudaMemcpyDeviceToHost);
  if (host[0] != 199 * 200 / 2) return 20000;
  cudaFree(in);
  cudaFree(out);
  return done();
}

int variables() {
  int *seen, value;
  float host[64], *out;
  cudaMalloc(&seen, sizeof *seen);
  cudaMalloc(&out, sizeof host);
  for (int turn = 0; turn < 2; ++turn) {
    count<<<1, 1>>>(seen);
    cudaMemcpy(&value, seen, sizeof value, cudaMemcpyDeviceToHost);
    if (value != 40 + 2 * turn) return 10000 + value;
  }
  cudaMemcpyFromSymbol(&value, counter, sizeof value);
  if (value != 44) return 20000 + value;
  for (int i = 0; i < 64; ++i) host[i] = i + 0.25f;
  cudaMemcpyToSymbol(table, host, sizeof host);
  look_up<<<1, 64>>>(out);
  for (int i = 0; i < 64; ++i) host[i] = 0;
  cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  for (int i = 0; i < 64; ++i) {
    if (host[i] != i + 0.25f) return 30000 + i;
  }
  cudaFree(seen);
  cudaFree(out);
  return done();
}

// As many blocks as the device has multiprocessors, for eight rows.
int as_large_as_the_device() {
  enum { ROWS = 8 };
  int *in, *sums, count;
  cudaDeviceProp facts;
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0);
  if (cudaGetDeviceProperties(&facts, 0) || facts.multiProcessorCount != count) return 10000;
  int *seen, by_device = 0;
  cudaMalloc(&seen, sizeof *seen);
  count_multiprocessors<<<1, 1>>>(seen);
  cudaMemcpy(&by_device, seen, sizeof by_device, cudaMemcpyDeviceToHost);
  cudaFree(seen);
  if (by_device != count) return 20000 + by_device;
  cudaMalloc(&in, ROWS * 64 * sizeof(int));
  cudaMalloc(&sums, ROWS * sizeof(int));
  cudaMemset(in, 0, ROWS * 64 * sizeof(int));
  add_rows<<<count < ROWS ? count : ROWS, 64>>>(sums, in, ROWS);
  const int result = done();
  cudaFree(in);
  cudaFree(sums);
  return result;
}

int prints() {
  say<<<1, 1>>>(7);
  return done();
}

int asserts(int n) {
  check<<<1, 32>>>(n);
  return done();
}

int traps() {
  end_at_once<<<1, 1>>>();
  return done();
}

int out_of_bounds() {
  float* out;
  cudaMalloc(&out, 100 * sizeof(float));
  beyond<<<1, 32>>>(out, 70);
  const int result = done();
  cudaFree(out);
  return result;
}

int null_pointer() {
  float* somewhere;
  cudaMalloc(&somewhere, 400);
  beyond<<<1, 1>>>(nullptr, 3);
  const int result = done();
  cudaFree(somewhere);
  return result;
}

// Copies whose direction is not that of their pointers, and fills of the host's memory.
int wrong_way() {
  static float host[25];
  float* on_device;
  cudaMalloc(&on_device, sizeof host);
  const int results[] = {
      cudaMemcpy(host, on_device, sizeof host, cudaMemcpyHostToDevice), cudaMemcpy(on_device, host, sizeof host, cudaMemcpyDeviceToHost),
      cudaMemcpy(nullptr, host, sizeof host, cudaMemcpyDeviceToDevice), cudaMemset(host, 0, sizeof host),
      cudaMemcpy2D(host, 20, on_device, 20, 20, 5, cudaMemcpyDeviceToDevice), cudaMemcpy(nullptr, on_device, 4, cudaMemcpyDefault)};
  for (int result : results) {
    if (result != cudaErrorInvalidValue) return 10000 + result;
  }
  if (cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyHostToDevice)) return 20000;
  cudaGetLastError();
  cudaFree(on_device);
  return done();
}

// A part of a volume, to a device and from there.
int volumes() {
  enum { W = 16, H = 3, D = 4 };
  static unsigned char host[D][H][W], back[D][H][W];
  for (int i = 0; i < W * H * D; ++i) ((unsigned char*)host)[i] = i;
  cudaPitchedPtr there;
  if (cudaMalloc3D(&there, make_cudaExtent(W, H, D)) || there.pitch < W) return 10000;
  cudaMemset(there.ptr, 0, there.pitch * H * D);
  cudaMemcpy3DParms copy = {};
  copy.srcPtr = make_cudaPitchedPtr(host, W, W, H);
  copy.dstPtr = there;
  copy.srcPos = copy.dstPos = make_cudaPos(4, 1, 2);
  copy.extent = make_cudaExtent(8, 2, 2);
  copy.kind = cudaMemcpyHostToDevice;
  if (cudaMemcpy3D(&copy)) return 20000;
  cudaMemcpy3DParms whole = {};
  whole.srcPtr = there;
  whole.dstPtr = make_cudaPitchedPtr(back, W, W, H);
  whole.extent = make_cudaExtent(W, H, D);
  whole.kind = cudaMemcpyDeviceToHost;
  if (cudaMemcpy3D(&whole)) return 30000;
  for (int z = 0; z < D; ++z)
    for (int y = 0; y < H; ++y)
      for (int x = 0; x < W; ++x) {
        const bool inside = x >= 4 && x < 12 && y >= 1 && z >= 2;
        if (back[z][y][x] != (inside ? host[z][y][x] : 0)) return 40000 + x;
      }
  cudaFree(there.ptr);
  return done();
}

int freed() {
  float* out;
  cudaMalloc(&out, 100 * sizeof(float));
  cudaFree(out);
  beyond<<<1, 32>>>(out, 0);
  return done();
}

int freed_twice() {
  float* out;
  cudaMalloc(&out, 100 * sizeof(float));
  cudaFree(out);
  const int second = cudaFree(out);
  cudaGetLastError();
  return second == cudaErrorInvalidValue ? 0 : 10000;
}

// A graph of a copy, a fill, launches on two streams and a call; memory that is freed meanwhile lives as long as it.
static void add_one(void* counted) { ++*(int*)counted; }

int graphs() {
  enum { N = 64 };
  float host[N], back[N], *in, *between, *out;
  int calls = 0;
  cudaStream_t stream, other;
  cudaEvent_t fork, join;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
  cudaEventCreate(&fork);
  cudaEventCreate(&join);
  cudaMalloc(&in, sizeof host);
  cudaMalloc(&out, sizeof host);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  cudaMalloc(&between, sizeof host);
  cudaMemcpyAsync(in, host, sizeof host, cudaMemcpyHostToDevice, stream);
  cudaMemsetAsync(between, 0, sizeof host, stream);
  scale<<<1, N, 0, stream>>>(between, in, N, 1.0f);
  cudaEventRecord(fork, stream);
  cudaStreamWaitEvent(other, fork);
  scale<<<1, N, 0, other>>>(out, between, N, 3.0f);
  cudaEventRecord(join, other);
  cudaStreamWaitEvent(stream, join);
  cudaLaunchHostFunc(stream, add_one, &calls);
  cudaMemcpyAsync(back, out, sizeof back, cudaMemcpyDeviceToHost, stream);
  cudaFree(between);
  if (cudaStreamEndCapture(stream, &graph)) return 10000;
  if (calls) return 10001;
  cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  static const float by[] = {1, 2, 4, 8};
  for (int turn = 1; turn <= 3; ++turn) {
    for (int i = 0; i < N; ++i) host[i] = i * turn;
    if (cudaGraphLaunch(executable, stream)) return 10002;
    cudaStreamSynchronize(stream);
    for (int i = 0; i < N; ++i) {
      if (back[i] != 3.0f * i * turn * by[i % 4] * by[i % 4]) return 20000 + i;
    }
    if (calls != turn) return 10003;
  }
  cudaGraphExecDestroy(executable);
  cudaFree(in);
  cudaFree(out);
  return done();
}

// One stream writes, another reads. order: 0 nothing between them, 1 an event, 2 the host waits, 3 both are one stream,
// 4 the other one has the other half, 5 a stream that blocks on the default one, which reads, 6 a synchronous copy reads.
int two_streams(int order) {
  enum { N = 4096 };
  static float host[N];
  float *in, *out;
  cudaStream_t one, two;
  cudaEvent_t event;
  cudaStreamCreateWithFlags(&one, order == 5 ? cudaStreamDefault : cudaStreamNonBlocking);
  cudaStreamCreateWithFlags(&two, cudaStreamNonBlocking);
  cudaEventCreate(&event);
  cudaMalloc(&in, sizeof host);
  cudaMalloc(&out, sizeof host);
  cudaMemset(in, 0, sizeof host);
  cudaMemset(out, 0, sizeof host);
  cudaDeviceSynchronize();
  scale<<<N / 2 / 128, 128, 0, one>>>(out, in, N / 2, 2.0f);
  if (order == 1) {
    cudaEventRecord(event, one);
    cudaStreamWaitEvent(two, event);
  }
  if (order == 2) cudaStreamSynchronize(one);
  cudaStream_t second = order == 3 ? one : order == 5 ? 0 : two;
  if (order == 4) scale<<<N / 2 / 128, 128, 0, second>>>(out + N / 2, in + N / 2, N / 2, 2.0f);
  else if (order == 6) cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  else scale<<<N / 2 / 128, 128, 0, second>>>(in + N / 2, out, N / 2, 2.0f);
  const int result = done();
  cudaFree(in);
  cudaFree(out);
  cudaStreamDestroy(one);
  cudaStreamDestroy(two);
  return result;
}
}

extern "C" int scale_by(float* out, const float* in, int n, float by) {
  scale<<<(n + 127) / 128, 128>>>(out, in, n, by);
  return cudaGetLastError();
}

extern "C" int leak() {
  void* memory;
  return cudaMalloc(&memory, 12345);
}
