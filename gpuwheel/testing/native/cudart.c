/* A fake CUDA runtime on top of the fake driver: libcudart.so.N for torch, with what it calls in the life of an operator;
   with -DLINKED_IN, what takes the place of the runtime that is linked into a library (audit.c). -DCUDART_MAJOR=12 or 13.
   Structures are filled by offset, so that no CUDA header is needed; the tests check the offsets against the real ones. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime.h"

static __thread int last_error;

int runtime_done(int code) {
  if (code != SUCCESS) last_error = code;
  return code;
}

/* A runtime takes drivers of its major version and newer. Torch's is not asked: the fake stands in for any. */
static int check_driver(void) {
#ifdef LINKED_IN
  static atomic_int told;
  const int driver = gpuwheel_fake_driver();
  if (driver >= CUDART_MAJOR * 1000) return SUCCESS;
  if (!atomic_exchange(&told, 1)) {
    fprintf(stderr, "gpuwheel: a CUDA %d runtime that is linked in needs a driver for CUDA %d.0, the pretend one is for %d.%d (--fake-gpu-driver): cudaErrorInsufficientDriver\n",
            CUDART_MAJOR, CUDART_MAJOR, driver / 1000, driver % 1000 / 10);
  }
  return INSUFFICIENT_DRIVER;
#else
  return SUCCESS;
#endif
}

int runtime_init(void) {
  const int result = check_driver();
  return result == SUCCESS ? cuInit(0) : result;
}

/* The runtime makes the primary context current by itself, on the device that cudaSetDevice chose. */
int runtime_ensure_context(void) {
  int result = check_driver();
  if (result != SUCCESS || gpuwheel_fake_current() >= 0) return result;
  result = cuInit(0);
  return result == SUCCESS ? gpuwheel_fake_set_current(0) : result;
}

/* What NVIDIA's runtime has and this one has not. It must not succeed: nothing was done. */
int runtime_missing(const char* name) {
  fprintf(stderr, "gpuwheel: the pretend GPU has no %s: cudaErrorNotSupported\n", name);
  return runtime_done(NOT_SUPPORTED);
}

/* ---- errors, versions, devices */

EXPORT int cudaGetLastError(void) {
  const int code = last_error;
  last_error = SUCCESS;
  return code;
}

EXPORT int cudaPeekAtLastError(void) { return last_error; }

EXPORT int cudaDriverGetVersion(int* version) {
  ENTER(cudaDriverGetVersion);
  *version = gpuwheel_fake_driver();
  return SUCCESS;
}

EXPORT int cudaRuntimeGetVersion(int* version) {
  ENTER(cudaRuntimeGetVersion);
  *version = CUDART_MAJOR * 1000;
  return SUCCESS;
}

EXPORT int cudaGetDeviceCount(int* count) {
  ENTER(cudaGetDeviceCount);
  const int result = runtime_init();
  *count = result == SUCCESS ? gpuwheel_fake_devices() : 0;
  return runtime_done(result);
}

EXPORT int cudaGetDevice(int* device) {
  ENTER(cudaGetDevice);
  *device = gpuwheel_fake_current() < 0 ? 0 : gpuwheel_fake_current();
  return SUCCESS;
}

EXPORT int cudaSetDevice(int device) {
  ENTER(cudaSetDevice);
  const int result = runtime_init();
  return runtime_done(result == SUCCESS ? gpuwheel_fake_set_current(device) : result);
}

EXPORT int cudaDeviceGetAttribute(int* value, int attribute, int device) {
  ENTER(cudaDeviceGetAttribute);
  return runtime_done(gpuwheel_fake_device_attribute(value, attribute, device));
}

#if CUDART_MAJOR == 12
enum { PROP_SIZE = 1032, PROP_SIZE_OF_CUDA_11 = 728, MULTIPROCESSORS = 388, MEMORY_BUS = 612, L2_CACHE = 616, THREADS_PER_MULTIPROCESSOR = 624, SHARED_PER_MULTIPROCESSOR = 640,
       REGISTERS_PER_MULTIPROCESSOR = 648, COOPERATIVE = 688, SHARED_OPTIN = 696, BLOCKS_PER_MULTIPROCESSOR = 712, UNIFIED_ADDRESSING = 604 };
#else
enum { PROP_SIZE = 1008, MULTIPROCESSORS = 384, MEMORY_BUS = 592, L2_CACHE = 596, THREADS_PER_MULTIPROCESSOR = 604, SHARED_PER_MULTIPROCESSOR = 624,
       REGISTERS_PER_MULTIPROCESSOR = 632, COOPERATIVE = 668, SHARED_OPTIN = 672, BLOCKS_PER_MULTIPROCESSOR = 688, UNIFIED_ADDRESSING = 588 };
#endif
enum { TOTAL_MEMORY = 288, SHARED_PER_BLOCK = 296, REGISTERS_PER_BLOCK = 304, WARP = 308, THREADS_PER_BLOCK = 320, BLOCK_SIZE = 324, GRID_SIZE = 336,
       CONSTANT_MEMORY = 352, MAJOR = 360, MINOR = 364, TEXTURE_ALIGNMENT = 368 };

static void put_int(char* prop, int offset, int value) { memcpy(prop + offset, &value, sizeof value); }
static void put_size(char* prop, int offset, size_t value) { memcpy(prop + offset, &value, sizeof value); }
static void put_attribute(char* prop, int offset, int attribute, int device) {
  int value = 0;
  gpuwheel_fake_device_attribute(&value, attribute, device);
  put_int(prop, offset, value);
}

static int properties(char* prop, int device) {
  if (device < 0 || device >= gpuwheel_fake_devices()) return INVALID_DEVICE;
  size_t unused, total;
  gpuwheel_fake_memory(&unused, &total);
  memset(prop, 0, PROP_SIZE);
  strcpy(prop, "gpuwheel pretend GPU");
  prop[256] = (char)(device + 1); /* uuid */
  put_size(prop, TOTAL_MEMORY, total);
  put_size(prop, SHARED_PER_BLOCK, 48 * 1024);
  put_size(prop, SHARED_OPTIN, 227 * 1024);
  put_size(prop, SHARED_PER_MULTIPROCESSOR, 228 * 1024);
  put_size(prop, CONSTANT_MEMORY, 64 * 1024);
  put_size(prop, TEXTURE_ALIGNMENT, 512);
  static const int attributes[][2] = {{REGISTERS_PER_BLOCK, 12}, {WARP, 10}, {THREADS_PER_BLOCK, 1}, {BLOCK_SIZE, 2}, {BLOCK_SIZE + 4, 3}, {BLOCK_SIZE + 8, 4},
                                      {GRID_SIZE, 5}, {GRID_SIZE + 4, 6}, {GRID_SIZE + 8, 7}, {MAJOR, 75}, {MINOR, 76}, {MULTIPROCESSORS, 16},
                                      {THREADS_PER_MULTIPROCESSOR, 39}, {REGISTERS_PER_MULTIPROCESSOR, 82}, {COOPERATIVE, 95},
                                      {BLOCKS_PER_MULTIPROCESSOR, 106}, {UNIFIED_ADDRESSING, 41}};
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; ++i) put_attribute(prop, attributes[i][0], attributes[i][1], device);
  put_int(prop, MEMORY_BUS, 5120);
  put_int(prop, L2_CACHE, 50 << 20);
  return SUCCESS;
}

EXPORT int cudaGetDeviceProperties_v2(void* prop, int device) {
  ENTER(cudaGetDeviceProperties);
  return runtime_done(properties(prop, device));
}

#if CUDART_MAJOR == 12
/* What CUDA 11's headers call: its structure ends before what CUDA 12 appended. */
EXPORT int cudaGetDeviceProperties(void* prop, int device) {
  char whole[PROP_SIZE];
  const int result = cudaGetDeviceProperties_v2(whole, device);
  if (result == SUCCESS) memcpy(prop, whole, PROP_SIZE_OF_CUDA_11);
  return result;
}
#else
EXPORT int cudaGetDeviceProperties(void* prop, int device) { return cudaGetDeviceProperties_v2(prop, device); }
#endif

EXPORT int cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  ENTER(cudaDeviceCanAccessPeer);
  *can = device != peer;
  return SUCCESS;
}

EXPORT int cudaDeviceGetPCIBusId(char* id, int length, int device) {
  ENTER(cudaDeviceGetPCIBusId);
  const char text[] = {'0', '0', '0', '0', ':', (char)('0' + device / 10), (char)('0' + device % 10), ':', '0', '0', '.', '0', '\0'};
  if (length < (int)sizeof text) return runtime_done(INVALID_VALUE);
  memcpy(id, text, sizeof text);
  return SUCCESS;
}

EXPORT int cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  ENTER(cudaDeviceGetStreamPriorityRange);
  *least = 0;
  *greatest = -5;
  return SUCCESS;
}

EXPORT int cudaDeviceSynchronize(void) {
  ENTER_CONTEXT(cudaDeviceSynchronize);
  return SUCCESS;
}

/* ---- memory */

EXPORT int cudaMalloc(void** pointer, size_t bytes) {
  ENTER_CONTEXT(cudaMalloc);
  return runtime_done(gpuwheel_fake_allocate(pointer, bytes));
}

EXPORT int cudaMallocAsync(void** pointer, size_t bytes, void* stream) {
  (void)stream;
  return cudaMalloc(pointer, bytes);
}

EXPORT int cudaFree(void* pointer) {
  ENTER_CONTEXT(cudaFree);
  return runtime_done(gpuwheel_fake_free(pointer));
}

EXPORT int cudaFreeAsync(void* pointer, void* stream) {
  (void)stream;
  return cudaFree(pointer);
}

EXPORT int cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaHostAlloc);
  return runtime_done(posix_memalign(pointer, 4096, bytes ? bytes : 1) == 0 ? SUCCESS : OUT_OF_MEMORY);
}

EXPORT int cudaMallocHost(void** pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, 0); }

EXPORT int cudaFreeHost(void* pointer) {
  ENTER(cudaFreeHost);
  free(pointer);
  return SUCCESS;
}

EXPORT int cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  ENTER_CONTEXT(cudaMemGetInfo);
  gpuwheel_fake_memory(free_bytes, total);
  return SUCCESS;
}

EXPORT int cudaMemcpyAsync(void* to, const void* from, size_t bytes, int kind, void* stream) {
  (void)kind, (void)stream;
  ENTER_CONTEXT(cudaMemcpyAsync);
  memmove(to, from, bytes);
  return SUCCESS;
}

EXPORT int cudaMemcpy(void* to, const void* from, size_t bytes, int kind) { return cudaMemcpyAsync(to, from, bytes, kind, NULL); }

EXPORT int cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes, void* stream) {
  (void)to_device, (void)from_device;
  return cudaMemcpyAsync(to, from, bytes, 3, stream);
}

EXPORT int cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, int kind, void* stream) {
  (void)kind, (void)stream;
  ENTER_CONTEXT(cudaMemcpy2DAsync);
  for (size_t row = 0; row < height; ++row) memmove((char*)to + row * to_pitch, (const char*)from + row * from_pitch, width);
  return SUCCESS;
}

EXPORT int cudaMemsetAsync(void* pointer, int value, size_t bytes, void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaMemsetAsync);
  memset(pointer, value, bytes);
  return SUCCESS;
}

EXPORT int cudaMemset(void* pointer, int value, size_t bytes) { return cudaMemsetAsync(pointer, value, bytes, NULL); }

EXPORT int cudaPointerGetAttributes(void* attributes, const void* pointer) {
  ENTER(cudaPointerGetAttributes);
  const int device = gpuwheel_fake_device_of(pointer);
  struct {
    int type, device; /* 0 not known to CUDA, 2 device */
    const void *device_pointer, *host_pointer;
  } found = {device < 0 ? 0 : 2, device < 0 ? 0 : device, device < 0 ? NULL : pointer, NULL};
  memset(attributes, 0, CUDART_MAJOR == 12 ? 24 : 88);
  memcpy(attributes, &found, sizeof found);
  return SUCCESS;
}

/* ---- streams and events: everything runs at once */

EXPORT int cudaStreamCreateWithPriority(void** stream, unsigned flags, int priority) {
  (void)priority;
  ENTER_CONTEXT(cudaStreamCreate);
  return runtime_done(cuStreamCreate(stream, flags));
}

EXPORT int cudaStreamCreateWithFlags(void** stream, unsigned flags) { return cudaStreamCreateWithPriority(stream, flags, 0); }
EXPORT int cudaStreamCreate(void** stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
EXPORT int cudaStreamDestroy(void* stream) { return runtime_done(cuStreamDestroy(stream)); }

EXPORT int cudaStreamSynchronize(void* stream) {
  ENTER_CONTEXT(cudaStreamSynchronize);
  return runtime_done(gpuwheel_fake_capturing(stream) && stream != NULL ? CAPTURE_UNSUPPORTED : SUCCESS);
}

EXPORT int cudaStreamQuery(void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaStreamQuery);
  return SUCCESS;
}

EXPORT int cudaStreamWaitEvent(void* stream, void* event, unsigned flags) {
  (void)stream, (void)event, (void)flags;
  ENTER_CONTEXT(cudaStreamWaitEvent);
  return SUCCESS;
}

EXPORT int cudaStreamGetPriority(void* stream, int* priority) {
  (void)stream;
  ENTER(cudaStreamGetPriority);
  *priority = 0;
  return SUCCESS;
}

EXPORT int cudaEventCreateWithFlags(void** event, unsigned flags) {
  (void)flags;
  ENTER_CONTEXT(cudaEventCreate);
  *event = calloc(1, sizeof(struct timespec));
  return SUCCESS;
}

EXPORT int cudaEventCreate(void** event) { return cudaEventCreateWithFlags(event, 0); }

EXPORT int cudaEventRecord(void* event, void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaEventRecord);
  clock_gettime(CLOCK_MONOTONIC, event);
  return SUCCESS;
}

EXPORT int cudaEventRecordWithFlags(void* event, void* stream, unsigned flags) {
  (void)flags;
  return cudaEventRecord(event, stream);
}

EXPORT int cudaEventQuery(void* event) {
  (void)event;
  ENTER(cudaEventQuery);
  return SUCCESS;
}

EXPORT int cudaEventSynchronize(void* event) {
  (void)event;
  ENTER(cudaEventSynchronize);
  return SUCCESS;
}

EXPORT int cudaEventElapsedTime(float* milliseconds, void* from, void* to) {
  ENTER(cudaEventElapsedTime);
  const struct timespec *a = from, *b = to;
  *milliseconds = (float)((double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) * 1e-6);
  return SUCCESS;
}

/* The name that CUDA 12.8 and newer give it. */
EXPORT int cudaEventElapsedTime_v2(float* milliseconds, void* from, void* to) { return cudaEventElapsedTime(milliseconds, from, to); }

EXPORT int cudaEventDestroy(void* event) {
  ENTER(cudaEventDestroy);
  free(event);
  return SUCCESS;
}

/* ---- graphs: the captured launches run, and are recorded, when the graph is launched */

EXPORT int cudaStreamBeginCapture(void* stream, int mode) {
  (void)mode;
  ENTER_CONTEXT(cudaStreamBeginCapture);
  return runtime_done(gpuwheel_fake_begin_capture(stream));
}

EXPORT int cudaStreamEndCapture(void* stream, void** graph) {
  ENTER_CONTEXT(cudaStreamEndCapture);
  return runtime_done(gpuwheel_fake_end_capture(stream, graph));
}

EXPORT int cudaStreamIsCapturing(void* stream, int* status) {
  ENTER(cudaStreamIsCapturing);
  *status = stream != NULL && gpuwheel_fake_capturing(stream);
  return SUCCESS;
}

static int capture_info(void* stream, int* status, unsigned long long* id, void** graph) {
  *status = stream != NULL && gpuwheel_fake_capturing(stream);
  if (id != NULL) *id = *status ? (unsigned long long)(uintptr_t)stream : 0;
  if (graph != NULL) *graph = *status ? stream : NULL;
  return SUCCESS;
}

EXPORT int cudaStreamGetCaptureInfo_v2(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, size_t* count) {
  ENTER(cudaStreamGetCaptureInfo);
  if (dependencies != NULL) *dependencies = NULL;
  if (count != NULL) *count = 0;
  return capture_info(stream, status, id, graph);
}

EXPORT int cudaStreamGetCaptureInfo_v3(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, const void** edges, size_t* count) {
  if (edges != NULL) *edges = NULL;
  return cudaStreamGetCaptureInfo_v2(stream, status, id, graph, dependencies, count);
}

#if CUDART_MAJOR == 12
EXPORT int cudaStreamGetCaptureInfo(void* stream, int* status, unsigned long long* id) {
  ENTER(cudaStreamGetCaptureInfo);
  return capture_info(stream, status, id, NULL);
}
#else
EXPORT int cudaStreamGetCaptureInfo(void* stream, int* status, unsigned long long* id, void** graph, const void** dependencies, const void** edges, size_t* count) {
  return cudaStreamGetCaptureInfo_v3(stream, status, id, graph, dependencies, edges, count);
}
#endif

EXPORT int cudaThreadExchangeStreamCaptureMode(int* mode) {
  ENTER_CONTEXT(cudaThreadExchangeStreamCaptureMode);
  return runtime_done(cuThreadExchangeStreamCaptureMode(mode));
}

EXPORT int cudaGraphInstantiate(void** executable, void* graph, unsigned long long flags) {
  (void)flags;
  ENTER(cudaGraphInstantiate);
  *executable = graph;
  return SUCCESS;
}

EXPORT int cudaGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags) { return cudaGraphInstantiate(executable, graph, flags); }

EXPORT int cudaGraphLaunch(void* executable, void* stream) {
  (void)stream;
  ENTER_CONTEXT(cudaGraphLaunch);
  return runtime_done(gpuwheel_fake_replay(executable));
}

EXPORT int cudaGraphGetNodes(void* graph, void** nodes, size_t* count) {
  (void)graph, (void)nodes;
  ENTER(cudaGraphGetNodes);
  *count = 1;
  return SUCCESS;
}

/* ---- the driver's functions, through the runtime */

EXPORT int cudaGetDriverEntryPointByVersion(const char* name, void** address, unsigned version, unsigned long long flags, int* status) {
  ENTER(cudaGetDriverEntryPoint);
  int found = 0;
  cuGetProcAddress_v2(name, address, (int)version, flags, &found);
  if (status != NULL) *status = found; /* cudaDriverEntryPointQueryResult has the same values */
  return SUCCESS;
}

EXPORT int cudaGetDriverEntryPoint(const char* name, void** address, unsigned long long flags, int* status) {
  return cudaGetDriverEntryPointByVersion(name, address, CUDART_MAJOR * 1000 + 990, flags, status);
}
