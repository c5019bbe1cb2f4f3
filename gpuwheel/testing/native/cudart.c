/* A fake CUDA runtime on top of the fake driver: libcudart.so.N for torch, with what it calls in the life of an operator;
   with -DLINKED_IN, what takes the place of the runtime that is linked into a library (audit.c). -DCUDART_MAJOR=12 or 13.
   Structures are filled by offset, so that no CUDA header is needed; the tests check the offsets against the real ones. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

static __thread int last_error;
static __thread long life; /* that it is of: an error of a kernel ends with it */

int runtime_done(int code) {
  if (code != SUCCESS) last_error = code, life = gpuwheel_fake_lives();
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
  if (gpuwheel_fake_sticky() != SUCCESS) return gpuwheel_fake_sticky(); /* it stays */
  const int code = life == gpuwheel_fake_lives() ? last_error : SUCCESS;
  last_error = SUCCESS;
  return code;
}

EXPORT int cudaPeekAtLastError(void) {
  return gpuwheel_fake_sticky() != SUCCESS ? gpuwheel_fake_sticky() : life == gpuwheel_fake_lives() ? last_error : SUCCESS;
}

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
  gpuwheel_fake_host_waits((void*)-1, NULL);
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
